package simnet

import "time"

const (
	// loopsDefault is the number of loops of a Host: the smallest with which "another loop" exists.
	loopsDefault = 2

	// loopsLimit bounds Loops. More loops than any machine has cores test nothing that two do not.
	loopsLimit = 1024

	// sendBufferDefault is what a direction of a link holds between Write and the other side: between Linux's first
	// send buffer (16 KiB to 85 KiB) and its largest (4 MiB), and small enough that tests meet a full one.
	sendBufferDefault = 256 << 10

	// readLimit is the largest chunk of one Sink.Bytes: the read buffer of the reactor this stands in for.
	readLimit = 64 << 10

	// segmentLimit is the most that travels as one piece, so that a long write over a slow line arrives bit by bit.
	// 16 KiB is about a dozen packets: the piece a network card is handed at once.
	segmentLimit = 16 << 10

	// mtuDefault is the UDP payload of an Ethernet frame over IPv4.
	mtuDefault = 1472

	// packetSize is what an Ethernet frame carries for TCP over IPv4. Loss is counted in packets.
	packetSize = 1460

	// retransmitAfter and retransmitMax are Linux's least and largest wait before bytes are sent again; the wait
	// doubles in between.
	retransmitAfter = 200 * time.Millisecond
	retransmitMax   = 120 * time.Second

	// lossTries bounds how often one packet is lost in a row, so that a Loss close to 1 delays and does not hang:
	// 7 losses delay by 25.4 s.
	lossTries = 7

	// connectAfter is the wait before a connection request is sent again; it doubles.
	connectAfter = time.Second

	// The written defaults of Weather; see there. 924.6 s and 127 s are what Linux's tcp_retries2 = 15 and
	// tcp_syn_retries = 6 come to.
	latencyDefault     = time.Millisecond
	resetAfterDefault  = 924600 * time.Millisecond
	dialTimeoutDefault = 127 * time.Second

	// clockLimit is where the clock ends: a hundred years, a third of what a time.Duration holds, so that no sum with
	// a span overflows.
	clockLimit = 100 * 365 * 24 * time.Hour

	// spanLimit bounds every span in a Weather, so that sums of them stay far from overflow.
	spanLimit = 30 * 24 * time.Hour

	// contextEvery is how often a pending dial looks whether its context has ended: half of what a person notices,
	// and 2,540 events for the longest dial.
	contextEvery = 50 * time.Millisecond

	// turnAfterMin and turnAfterMax are what a loop takes to come round: a few microseconds, as epoll does. It is
	// never zero, or a loop that wakes itself for ever would stop virtual time.
	turnAfterMin = time.Microsecond
	turnAfterMax = 20 * time.Microsecond

	// taskAfterMin and taskAfterMax are what a worker takes: from a signature check to a handshake behind another.
	taskAfterMin = 20 * time.Microsecond
	taskAfterMax = 500 * time.Microsecond

	// cutAfterMax is how much later the second half of a cut read comes.
	cutAfterMax = time.Millisecond

	// portFirst and portLast bound the ports of dialling ends and of port 0: Linux's range.
	portFirst = 32768
	portLast  = 60999

	// bufferFreeLimit is how many empty send buffers the Net keeps to use again. With the default size they come to
	// 64 MiB at most; links that are busy at the same instant are rarely more.
	bufferFreeLimit = 256
)
