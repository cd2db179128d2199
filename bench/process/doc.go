// Package process gives each side of a measurement a process of its own, and lets programs lend their drivers to p2pbench.
//
// A program that knows drivers which p2pbench does not, because they live in modules of their own, is this:
//
//	func main() { process.Main(noise.Driver(), libp2p.Driver()) }
//
// and is used as p2pbench uses itself:
//
//	p2pbench rpc --inflight 64 --program ./rivals --against noise,libp2p --rounds 5
//
// # The protocol
//
// A program is started with one of these command lines. It writes nothing else to standard output; standard error is for
// people. Both kinds of child end when their standard input does, so none outlives who started it.
//
//	PROGRAM drivers                     prints the names of its drivers, one to a line
//	PROGRAM serve --child --driver NAME --listen 127.0.0.1:0 --conns N --idle=B --storm=B --churn=B --fan=B
//	                                    serves, and speaks the control lines of package load: first where it is, then answers
//	PROGRAM SCENARIO --driver NAME --config JSON --json - --follow [--target ADDR] [...]
//	                                    measures once, with a serving child of its own unless there is a target, and prints
//	                                    one load.Result as JSON; at the end of its input it prints what it has until then;
//	                                    handshakes from made-up addresses print an empty line when they begin
//
// Whoever measures may be written in another language, as long as it speaks this. A Run and what it starts
// belong to the goroutine that calls Do. Errors name the program's first argument.
package process
