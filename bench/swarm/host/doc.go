// Package host runs a part of a swarm in this process: whole nodes of an overlay, with an identity, a listening socket,
// the engine, keepalive, discovery and broadcast each. They share the event loops and the handshake workers of one
// transport (engine/transport/shared), because a process has few cores, and nothing else: what they know of each other has
// come over the sockets.
//
// A host does as it is told. Whoever coordinates the swarm (package swarm) calls the methods of Host with net/rpc, over the
// standard input and output of a child process or over a pipe inside its own: the same calls, so that one process and many
// measure the same. The end of the connection is the end of the host and of all its nodes.
//
//	coordinator ── net/rpc ─┬─ Serve: Host ── node node node …  ┐
//	                        ├─ Serve: Host ── node node node …  ├ sockets on loopback
//	                        └─ Serve: Host ── node node node …  ┘
//
// Some nodes may be hostile (Spec.Hostile): their sockets, identities and cores are real, and what they answer is not. See
// Adversaries. Puzzles are switched off, as 200 proofs of work are five minutes of arithmetic that measure nothing here.
package host
