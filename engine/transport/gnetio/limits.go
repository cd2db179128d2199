package gnetio

// loopLimit is the number of loops that gnet numbers: an index is one byte of its connection names.
const loopLimit = 256

// defaultReadBuffer is what one read takes at most. Measured (BenchmarkOneWay, 256 KiB writes): see
// docs/decisions/0003-writing-past-gnet.md. It is per loop, so its memory does not matter; it is also the most that one
// link can hold up the others with in one turn.
const defaultReadBuffer = 128 << 10

// readBufferLimit: beyond the second-level cache a larger read buffer is slower; 16 MiB is far beyond.
const readBufferLimit = 16 << 20

// defaultReserve is the number of descriptors that links may not use. Half of it is for dials: handing a dialled socket
// to the reactor duplicates its descriptor for a moment, and defaultDials may do so at once. The other half is for
// whatever else the process opens: files, a store, a metrics page.
const defaultReserve = 512

// defaultDials is the number of dials under way at once, one goroutine each. On two cores 16 in parallel already
// saturate the processor; more only help against distance. 256 at 100 ms each are 2,560 dials a second.
const defaultDials = 256

// idleDials is how many goroutines stay for the next dials when there is none: net.Dialer does not get by with the stack of a
// new goroutine. With 64 dials at once, growing stacks was 2.8 % of what they cost the dialling side; with 8 that stay
// 1.6 %, with 16 1.1 %, with 64 less than 0.3 %. 32 keep 256 KiB at the most, which the collector halves where it is not used.
const idleDials = 32

// dialLimit bounds Config.DialLimit: one goroutine and two descriptors each.
const dialLimit = 1 << 16

// descriptorLimit is the kernel's own upper bound of a process's descriptors (fs.nr_open's default).
const descriptorLimit = 1 << 20

// postBatch is the number of posts (links to close, links with room again) that one turn of a loop handles. A close costs
// about 5 us, so a turn is held up by about a millisecond at most; the rest waits for the next turn, after the sockets.
const postBatch = 256

// postKeep is the capacity of a post list that is kept for the next burst; a longer one is given back.
const postKeep = 4096

// anchorTries bounds the search for every loop of the reactor, which gives out loops one at a time and may give the
// same one again: tries per loop.
const anchorTries = 64

// descriptorsPerLoop: its epoll, the reactor's eventfd, and the two ends of the anchor. Listeners come on top.
const descriptorsPerLoop = 4

// descriptorsAtLeast: the watcher's epoll and eventfd, the acceptor's epoll and eventfd, the hidden listener, and room.
const descriptorsAtLeast = 8
