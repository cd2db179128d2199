// Package simnet is a network in virtual time: the twin of a real transport, for tests.
//
// A Net holds hosts, and a Host is a transport.Transport: the whole engine runs on it, many nodes in one process, and
// everything that happens is a function of one seed. An hour of keepalives takes milliseconds, and a failure seen once
// is seen again.
//
//	      test ── Step, Run, RunUntil ──▶ ┌────────────── Net ───────────────┐
//	       or Serve, in a synctest bubble │ clock · queue of events · dice   │
//	                                      └──┬───────────▲─────────────┬─────┘
//	                  Opened, Bytes, Turn, … │           │ Write, Dial │ Opened, Bytes, Turn, …
//	                                      engine on Host a        engine on Host b
//
//	Link a ── Write ─▶ [ send buffer ] ═ rate ═ latency ═ loss ═▶ cut ─▶ Bytes ── Link b      one pipe
//	       ◀─ Bytes ── cut ◀═ loss ═ latency ═ rate ═ [ send buffer ] ◀─ Write ──             the other
//
// A link carries an ordered, reliable stream of bytes each way, as TCP does. Weather says how: what a packet takes, how
// often one is lost (which shows as delay, never as a gap), how many bytes a second fit, where reads are cut. Hosts can
// be parted (Partition), crash with their machine answering for them (Crash) or without (Vanish), and come back as a new
// Host at the old address. Intercept puts a liar on the path.
//
// A Host made with Datagrams has links over datagrams instead, by the protocol that UDP carries (package datagram): of them
// Weather loses, repeats, cuts and shuffles what it says. Inject sends one as a stranger would, Move takes a host elsewhere.
//
// What it is not: a model of TCP's congestion control, of shared bottlenecks or of address translation.
// It moves bytes between places in one process and touches no socket.
//
// # Who owns what
//
// One goroutine drives: the one in Step, Run, RunUntil or Quiesce, or the one in Serve. It makes every call of a Sink and
// runs every task, one at a time, with no lock of the Net held. Calls from outside (Dial, Write, Wake, Close, …) may
// come from any goroutine; they change state under the Net's lock and leave the rest to a later event. With one goroutine
// doing both, the order of everything is the seed's. Under Serve, calls that other goroutines make at the same instant
// are ordered by the Go scheduler; virtual times still hold. Settle gives blocking callers a place in the order too.
//
// # Errors
//
// A dial fails with ErrRefused, ErrTimeout, the context's error or transport.ErrClosed; a link ends with nil, io.EOF,
// ErrReset or ErrTimeout. The three of this package wrap the errno that a socket would report. A broken rule of the
// contract (a Write before the Writable it must wait for, WakeAt from another goroutine's turn) is a bug and panics: on a
// real socket it would only fail sometimes.
package simnet
