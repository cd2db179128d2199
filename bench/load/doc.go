// Package load runs scenarios against anything that can serve and dial, checks every message, and reports what it saw.
//
// It is not a client of any library: contestants implement Driver (driver.go), and it imports none of them. The serving
// side of a driver reports to a Sink; the dialling side is driven by a Bench, which asks about the other side through
// a Control, whatever lies between: nothing (Local), the pipes of a child process, or a TCP connection.
//
// A message, little endian; at least HeaderSize bytes:
//
//	offset size field    meaning                                        checked by
//	0      8    seq      place in its stream, from 0                    Receiver: follows the one before
//	8      8    stamp    one-way: when it should have left, and did; 0: n/a Receiver: latency, if not 0
//	                     requests: size of the answer; 0: its own bytes Receiver: answers with so many
//	16     4    stream   which sender; top bit: a mark, ends a phase    Receiver: one stream for one connection
//	20     4    check    mixes the three above with the length          Pattern.Check
//	24     n    content  a window of the pattern, chosen by seq         Pattern.Check
//
// Closed loop (no rate): every worker has one message or request under way and begins the next at once. It
// shows throughput; its latencies are those of a saturated system. Open loop (a rate): there is a timetable,
// whoever is free takes the next place in it, and latency counts from the planned time, so that a stall is
// charged to all who had to wait for it. The time from the actual sending is kept beside it as service time.
//
// Ownership: a Bench belongs to the goroutine that runs it. A Receiver belongs to whoever delivers its connection's
// messages, one call at a time; everything in a Sink that others read is atomic and published in small batches.
//
// Errors of single messages are counted by kind in the Result and do not end a run; a run returns an error only when there is
// nothing to report.
package load
