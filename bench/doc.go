// Package bench measures carrier, and beside it what a program would use instead, in the same shape and the same run.
//
// The package itself holds only Go benchmarks; what they share with the command p2pbench lives below it:
//
//	bench           go test -bench . ./bench: one process, sub-benchmarks named by their variables
//	cmd/p2pbench    two processes, the figures that documents may quote
//	   │
//	bench/scenario  scenario files          bench/slo      thresholds, and the highest rate that meets them
//	bench/report    results kept and shown  bench/plot     pictures
//	bench/process   a process for each side, and how programs of other modules lend drivers
//	bench/driver    the contestants: carrier and its baselines, each a load.Driver
//	   │
//	bench/load      scenarios, payloads, verification, latencies, results; knows no contestant
//	bench/stats     what differs, and what creeps      bench/fingerprint  on what machine, from what source
//
// For other modules are load, for whoever writes a driver of another library, and process, for the program
// that lends it (bench/peers is one). The others are p2pbench's own and may change with it.
//
// # The contract between the two sides
//
// A measurement has a serving side and a dialling side. In p2pbench they are two processes: the dialling one starts the
// serving one as a child, which tells its address, answers questions about itself and ends when its standard input
// does. A driver implements both sides and nothing else: it opens connections, moves bytes and says what arrived.
//
//	dialling process                                             serving process
//	┌──────────────────────┐                                     ┌─────────────────────┐
//	│ load.Bench, scenario │ ◀──────── load.Control ───────────▶ │ load.Sink, Usage    │
//	│   │ Send Call Close  │   JSON lines: await snapshot reset  │   ▲ Message Request │
//	│ load.Conn            │                                     │   │ load.Receiver   │
//	│   │ driver           │ ═══════ measured bytes ══════════▶  │ driver              │
//	└──────────────────────┘                                     └─────────────────────┘
//
// What every driver is held to, by the runner and not by trust:
//
//   - A message carries the number of its stream, its place in it and a content that depends on both. It counts when it
//     arrived at the other end, whole, in its place. Lost, doubled, late, altered and misdelivered messages are told apart.
//   - The clock of a one-way run stops at the last arrival, not at the last write.
//   - A request counts when its own bytes came back. The serving side counts what it answered; the sums must agree.
//   - A handshake counts when both ends say it is finished.
//   - Memory is read after two collections and after freed pages went back to the system, and what is called idle must
//     still answer.
//
// # What makes a baseline honest
//
// The rivals get the care that carrier gets: frames are gathered while more are waiting, buffers are 64 KiB both ways (4 KiB
// where idle memory is the question), TLS is mutual, 1.3 and without tickets, its key exchange a choice. Where a
// baseline would flatter itself by dropping what the others do, as reactor frames without bounds would, the driver adds
// the bound and says so.
//
// Rates on a machine that both sides share are rates of that machine: compare inside one run, in turns, by medians.
// CPU-seconds for each million messages move less than rates, so every result carries them.
package bench
