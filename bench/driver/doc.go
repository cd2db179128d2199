// Package driver holds the contestants: what package load can drive.
//
//	name       what it is                                                     why it is here
//	carrier    the engine of this module, as a program embeds it                what it is all about
//	gnet       frames on the reactor without encryption                       the floor under an engine on that reactor
//	tls        goroutine for each connection, net + crypto/tls, X25519         what a Go program does today
//	tls-mlkem  the same with Go's default hybrid key exchange, X25519MLKEM768  what it does when nobody chooses
//	tcp        the same without TLS                                           tells encryption's share of tls apart
//
// Where idle memory is the question tls and tcp use buffers of 4 KiB instead of 64 KiB. Dialling processes stand for many
// carrier nodes at once, each with an identity of its own, which share one transport (engine/transport/shared).
//
// The baselines speak one frame format, little endian. Its id pairs an answer with its request: 0 is a one-way
// message, and what a server sends with id 0 is an acknowledgement (gnet only).
//
//	offset size field
//	0      4    length of the payload, at most load.SizeLimit
//	4      4    id
//	8      n    payload
//
// None of the baselines is a protocol to build on: a frame that lies ends its connection, and that is all the care it
// takes. carrier has the care that package engine takes.
package driver
