// Package driver holds the contestants: what package load can drive.
//
//	name       what it is                                                     why it is here
//	carrier    the engine of this module, as a program embeds it                what it is all about
//	gnet       frames on the reactor without encryption                       the floor under an engine on that reactor
//	tls        goroutine for each connection, net + crypto/tls, X25519         what a Go program does today
//	tls-mlkem  the same with Go's default hybrid key exchange, X25519MLKEM768  what it does when nobody chooses
//	tcp        the same without TLS                                           tells encryption's share of tls apart
//	quic       goroutine for each connection, quic-go with one stream, X25519  the floor under carrier over QUIC
//
// Where idle memory is the question tls and tcp use buffers of 4 KiB instead of 64 KiB. Dialling processes stand for many
// carrier nodes at once, each with an identity of its own, which share one transport (engine/transport/shared); over QUIC, where
// a transport proves one node's key, each has its own.
//
// The baselines speak the frames of package framed; what a server sends with id 0 is an acknowledgement (gnet only).
//
// # Rivals
//
// A driver of a library that this module should not depend on lives in a module of its own. There it
// implements load.Driver (a Dialer too, and a Conn; load.Stopper if it can), reports to the load.Sink as the
// drivers here do, and is lent to p2pbench by a program of one line, process.Main(its drivers...); "p2pbench
// rpc --program ./thatprogram --against itsname" does the rest, in turns and in separate processes. The
// package comment of bench/process has the protocol. What a driver is asked to hold:
//
//   - Serve calls Sink.Open once for each connection when its handshake is finished, Receiver.Message for each one-way message
//     and Receiver.Request for each request, one call at a time for a connection, and sends what Request returned unaltered.
//   - Send may gather until Flush; it waits while too much is unsent, since a queue without a bound measures memory.
//   - Call may be called by many goroutines at once on one connection.
//   - Where the library gives a stream of bytes, framed.Serve and framed.Dial are both ends.
//   - What the library cannot do is load.ErrCannot, and shows as n/a. It is never emulated badly.
//   - The library is set up as its own documentation advises, and shape.Idle, Churn and Storm are used as its users would.
//
// bench/peers is such a module. None of the baselines is a protocol to build on; carrier has the care that package engine takes.
package driver
