// Package scenario reads scenario files: what to run, how long, how often, and what to expect of it.
//
// A file is lines of a key and its value. "#" begins a comment, blanks at the ends of a line do not count. Lines before the
// first "scenario" are for the whole file; each "scenario" begins a run, and the lines after it are its own.
//
//	key       value                       of        what it is
//	title     text                        file      what it is for, in one line
//	driver    a name                      both      what is measured; without it the command says
//	against   names between blanks        both      what it is compared with, in turns
//	rounds    1..1000                     file      how often each takes its turn
//	scenario  rpc, oneway, ...            begins    see load.Scenarios
//	conns     a number                    run       connections, or dials at once
//	inflight  a number                    run       requests under way on each connection
//	size      64, 1KiB, 1MiB              run       of a message
//	sizes     64:90 16KiB:10              run       several sizes and their shares
//	answer    64, 1KiB                    run       size of an answer
//	bulk      64KiB                       run       size of a bulk message
//	direction up, down, both              run       of a stream
//	duration  2s, 1m30s                   both      of the measured part
//	warmup    500ms, 0s                   both      before it
//	rate      2000, 10k, 1.5M             run       planned sendings a second
//	stage     10s 0..5k                   run       a stretch of a timetable; several follow each other
//	arrival   uniform, poisson            run       of planned sendings
//	expect    p99<2ms, errors<0.1%        run       package slo; several lines add up
//
// The parser is strict: an unknown key, one that is said twice, a value that is none and a run that load would refuse are
// errors, told together, each with its line's number. Ready scenarios are part of the package, see Ready. Nothing here has state.
package scenario
