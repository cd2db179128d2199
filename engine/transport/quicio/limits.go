package quicio

import "time"

// Defaults of Config.
const (
	// defaultLinks bounds links. One costs about 50 kB and four goroutines (TestCostOfALink), so 4096 take a fifth of a
	// gigabyte.
	defaultLinks = 4096

	// defaultHandshakes bounds connections that are still in TLS's handshake, or have not opened their
	// stream: each about 60 kB and a millisecond of arithmetic. Above a quarter of it strangers have to show
	// first that they receive at their address (Retry).
	defaultHandshakes = 512

	// defaultHandshakesPerIP keeps one address from taking all of them.
	defaultHandshakesPerIP = 64

	// defaultDials bounds dials under way, one goroutine each.
	defaultDials = 256

	// defaultWindowMemory bounds what the windows of all links may grow to beyond their beginning.
	defaultWindowMemory = 256 << 20
)

const (
	// loopLimit bounds loops; more than there are processors do nothing.
	loopLimit = 256

	// windowFirst is the window of a new connection: what a stranger can make quic-go keep by sending out of order. With
	// defaultLinks that is 512 MB in the worst case. It doubles as long as it holds the sender up, to windowLast.
	windowFirst = 128 << 10

	// windowLast: 4 MiB at 100 ms are 335 Mbit/s on one connection. The engine grants no more credit than that either.
	windowLast = 4 << 20

	// handshakeTimeout is quic-go's for a handshake in which nothing moves, and for the first byte of the stream after it.
	handshakeTimeout = 5 * time.Second

	// idleTimeout and keepAlive: a binding of a NAT lives for 30 s or longer (RFC 4787 asks for 120 s and is not heard), and
	// a connection whose other end is silent through three keepalives has none.
	keepAlive   = 25 * time.Second
	idleTimeout = 80 * time.Second

	// lingerTimeout is how long a closed link may take to deliver what was written before.
	lingerTimeout = 2 * time.Second

	// graceRTTs is how many round trips a side that has heard the other's end waits before it ends the connection, so that
	// its own end can be sent again if it was lost.
	graceRTTs = 3

	// discardLimit is what a link that was closed here still reads, to see the other side's end; whoever sends more is told to
	// stop.
	discardLimit = 256 << 10

	// smallRead is the buffer that what has arrived is read into, more than a packet; it is lent for the time
	// that takes to be handled. A read that fills it is followed by one of largeRead: defaultLinks that all
	// stream and wait for their loops hold half of a node's Memory. A link that finds none reads into one of
	// its own of smallRead.
	smallRead = 2 << 10
	largeRead = 32 << 10

	// directWrite is the longest write that goes into quic-go's own queue at once, and directBurst what may go that way
	// until the queue is known to have been empty: what no Memory counts, less than an idle link costs anyway. Longer ones are
	// sent from a buffer of ours, without another copy in quic-go.
	directWrite = 16 << 10
	directBurst = 32 << 10

	// sendBuffer is what a link holds of what it could not send at once; a power of two, as buffers are. Two of these are lent
	// to a busy link. With more of it there are fewer hand-overs, and more of it has left the cache when it is sent.
	sendBuffer = 128 << 10

	// memoryAgain is when a link that has found no memory for what is to be sent says that there is room: nobody tells when there
	// is some.
	memoryAgain = 5 * time.Millisecond

	// unreliableQueue is how many datagrams wait for quic-go's own queue, which is as long; what comes then is lost.
	unreliableQueue = 32

	// unreliableLimit is what every path that carries QUIC at all has room for: 1200 bytes of UDP, less header, tag and the
	// datagram's own frame (RFC 9000, 14; RFC 9221, 4).
	unreliableLimit = 1150

	// streamVersion is the first byte of the stream.
	streamVersion = 1
)
