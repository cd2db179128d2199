package engine

import "time"

// Default limits. Each can be set in Config; none can be switched off, only made large.
const (
	// PeersDefault bounds open peers. At about a kilobyte each the engine keeps this many in 20 MB; the kernel's part,
	// some 4 KB a socket, and the file descriptors usually end first.
	PeersDefault = 16384

	// HalfOpenDefault bounds connections that have not proven themselves. One costs about 2 KB until its first message
	// and 30 KB while its handshake is computed, so 1024 pin 30 MB at worst; at 2,000 handshakes a second they are half
	// a second of work.
	HalfOpenDefault = 1024

	// HalfOpenPerIPDefault keeps one address from taking all of that. 64 is what a load generator on one machine needs.
	HalfOpenPerIPDefault = 64

	// PerIPDefault and PerSubnetDefault bound open inbound peers of one address and of one /24 (IPv6: /48). Behind one
	// carrier-grade NAT there may be dozens of honest nodes; a botnet of one hoster must not fill the table.
	// Loopback addresses are exempt: what runs on this machine is the operator's.
	PerIPDefault     = 64
	PerSubnetDefault = 256

	// DialsDefault bounds dials in flight. Each holds a file descriptor for up to DialTimeout.
	DialsDefault = 256

	// SendBufferDefault bounds what is queued for one peer and not yet written: 1 MiB keeps the socket busy at 10 Gbit/s
	// for the time a loop may be away (about 1 ms), four times over.
	// It is a little less, so that with the headers and tags of its records it still fits a buffer of 1 MiB.
	SendBufferDefault = 960 << 10

	// ReceiveWindowDefault is the credit a peer gets: what it may send before this node has consumed any of it.
	// 1 MiB is free for small messages and costs a 64 KiB stream a quarter of its rate; a peer that streams is given more, to
	// ReceiveWindowMaxDefault, which costs it nothing measurable.
	ReceiveWindowDefault    = 1 << 20
	ReceiveWindowMaxDefault = 4 << 20

	// MemoryDefault bounds all buffers of a Network together: send queues, records that arrive in parts, held messages.
	MemoryDefault = 256 << 20

	// RequestsDefault bounds the unanswered requests to one peer. A request costs some 100 bytes while it waits.
	RequestsDefault = 2048

	// HandshakeQueueDefault bounds handshake steps that wait for a worker; past it the newest is shed. At 150 us a step
	// and two workers the last of 512 waits about 40 ms.
	HandshakeQueueDefault = 512

	// EventsDefault is how many events a subscriber may be behind before the oldest are dropped (and counted).
	EventsDefault = 256
)

// Default time-outs. SilenceTimeoutDefault is of the component keepalive, the others can be set in Config.
const (
	DialTimeoutDefault      = 10 * time.Second // a SYN and two retries at 1 s and 3 s, and some
	HandshakeTimeoutDefault = 5 * time.Second  // two round trips and 1 ms of work; generous for a busy node
	RequestTimeoutDefault   = 30 * time.Second // where the caller's context has no deadline
	RecordTimeoutDefault    = 10 * time.Second // a record that has begun to arrive: 64 KiB at 7 kB/s
	SendTimeoutDefault      = 5 * time.Second  // waiting for room, where the caller's context has no deadline
	GateTimeoutDefault      = 5 * time.Second  // a receive gate that nobody unlocks
	SilenceTimeoutDefault   = 45 * time.Second // three keepalives unanswered
	LingerTimeoutDefault    = 2 * time.Second  // after goodbye, for the other side to hang up
	ProbeTimeoutDefault     = 2 * time.Second  // an old connection of a peer that dials again
)

// What is not settable.
const (
	// closeTextLimit bounds the text of Disconnect and Error: a sentence, not a page.
	closeTextLimit = 512

	// commandsPerTurn and timersPerTurn bound the work of one turn besides reading: at well under a microsecond each
	// they keep a turn below a millisecond.
	commandsPerTurn = 512
	timersPerTurn   = 512

	// sweepEvery and sweepRounds: every peer is looked at once in sweepEvery*sweepRounds (5 s) for silence, so silence
	// is noticed at most that late. The look is one comparison; 10,000 peers cost 200 looks a tick.
	sweepEvery  = 100 * time.Millisecond
	sweepRounds = 50

	// fewPeers are so few that it costs less to know when the next of them may be silent than to look at one now and then.
	fewPeers = 8

	// deafAfter is how late a loop may be, or behind with reading, and still count as listening. Each loop is late by
	// milliseconds now and then; half a second is little against the seconds of silence that are judged.
	deafAfter = 500 * time.Millisecond

	// deafGrace is how long a loop that was late has for what waits in its sockets before it counts as listening: 16,384
	// peers with a message each are a tenth of that.
	deafGrace = time.Second

	// deafLimit and deafMost bound what deafness excuses, as a loop that never catches up must find dead peers too: the last
	// eight times that it came late, and of a time in which it has only been behind with reading two minutes.
	deafLimit = 8
	deafMost  = 2 * time.Minute

	// messageTimeout bounds how long messages may take that arrive in fragments, counted from when the first began or the
	// last ended: the largest, 16 MiB, at 1 Mbit/s takes 134 s.
	messageTimeout = 150 * time.Second

	// namedAddrs bounds how many addresses of a name are tried: two hosts of both families. Each may take DialTimeout.
	namedAddrs = 4

	// dialQueueLimit bounds the dials that wait for one of Config.Dials to end. What is dialled may be what others have
	// named; a thousand waiting ones are a minute's work and 200 KB.
	dialQueueLimit = 1024

	// sendBufferFirst is how much a sender that can wait may queue for a peer at first: one frame of the largest size. The
	// queue doubles, up to SendBuffer, when it proves too short (deepenLocked).
	sendBufferFirst = 64 << 10

	// roomAgain is when a sender that has found no memory tries again: nobody tells when there is some, and each try costs
	// about a microsecond.
	roomAgain = 5 * time.Millisecond

	// greetEvery is how often a handshake message over datagrams is sent until it is answered, and goodbye. It does not
	// double: see transport/datagram.
	greetEvery = 200 * time.Millisecond

	// doubtAfter is how long a dial over datagrams waits for the one that was asked for when somebody else
	// has answered: four times greetEvery, and it is there on most paths.
	doubtAfter = time.Second

	// attemptsLimit bounds the first messages with different keys that one cookie may come with. The
	// initiator's is one; each costs what a handshake does, and 6 KiB.
	attemptsLimit = 4

	// wrongLimit bounds the messages of a link over datagrams that are judged in its handshake and found not
	// to be the peer's: what comes after them is not looked at. Each may cost a secret, 33 us, or with a key
	// of low order 55 us, and no handshake that anybody answers: 32 are 2 ms, of which one address may have
	// HalfOpenPerIP in HandshakeTimeout. An honest end makes none; whoever sees its datagrams, and so could
	// write as many as these, can end the handshake with less.
	wrongLimit = 32

	// keptLimit bounds the handshake messages of a link that wait for a worker to be done with the one before: 10 KiB.
	keptLimit = 8

	// goodbyeCut is after how many unanswered goodbyes what is still queued is given up: 1 s of the 2 s that a node lingers.
	goodbyeCut = 5

	// receiptEvery is how many records with messages a receiver of datagrams takes before it says so: an eighth of their
	// number back is less than 1 % of their bytes.
	receiptEvery = 8

	// flowFirst, flowLeast and flowMost bound how many records may be under way. 32 are RFC 6928's ten segments of a page
	// that is three; the least is two receipts' worth, as with less a receipt is never due; the most is 5 MB, 1 Gbit/s over
	// 40 ms.
	flowFirst = 32
	flowLeast = 2 * receiptEvery
	flowMost  = 4096

	// flowLoss and flowSpare say what loss is the crowd's: more than a 32nd of what was sent, and more than two records, which
	// may merely have been overtaken.
	flowLoss  = 32
	flowSpare = 2

	// stallAfter is how long a sender that may send no more waits for a receipt before it asks: longer than most round trips.
	// It doubles up to stallMax. After stallTries the link doubts the size of its path.
	stallAfter = 250 * time.Millisecond
	stallMax   = 4 * time.Second
	stallTries = 2

	// promptWithin is what it takes at most to get from Send to the flush on a loop that is not busy: a thread switch.
	promptWithin = 250 * time.Microsecond

	// coolAfter is how long a peer keeps its expanded ciphers (1.5 KB) and buffers after its last message. Expanding
	// again costs half a microsecond.
	coolAfter = 250 * time.Millisecond

	// touchEvery is how exactly the last use of a peer is known: by less than this coolAfter may be too short.
	touchEvery = 50 * time.Millisecond

	// flushBudget bounds what one flush writes before the loop looks at its other peers; flushBudgetInteractive applies
	// while requests are under way on the same connection, so that they need not wait behind bulk.
	flushBudget            = 1 << 20
	flushBudgetInteractive = 128 << 10

	// chunkLimit is how much is sealed for one write(2): 256 KiB is where loopback throughput stops growing.
	chunkLimit            = 256 << 10
	chunkLimitInteractive = 64 << 10

	// controlLimit bounds the control lane of a peer. Honest traffic leaves it nearly empty; a peer that sends Pings and
	// reads no Pongs is closed when it is full.
	controlLimit = 64 << 10

	// queueInteractive is the TCP_NOTSENT_LOWAT of a connection that carries requests beside bulk.
	queueInteractive = 128 << 10

	// interactiveFor is how long after a request a connection counts as carrying requests.
	interactiveFor = 50 * time.Millisecond

	// grantShare: credit is granted anew when this fraction (an eighth) of the window has been consumed.
	grantShare = 8

	// widenWithin: a peer that has a whole window consumed within it streams, and is given a larger one. 250
	// ms is the longest round trip on the ground: a window of 1 MiB would hold a stream over it to 4 MB/s.
	widenWithin = 250 * time.Millisecond

	// libraryOpcodes and firstOpcodes are how many opcodes the dispatch table indexes directly: the library's, and the first of
	// an application, as far as it uses them. The others are looked up in a map, which costs 5 ns more.
	libraryOpcodes = 40
	firstOpcodes   = 1024

	// relieveShare: from three quarters of Config.Memory on buffers are taken back that nobody needs at the
	// moment, and those peers are closed who keep much and move little. The sends of all others fail at seven
	// eighths.
	relieveShare = 4

	// relieveEvery is how often a loop then looks, relieveLeast the least that is worth closing a peer for: with less, all of
	// PeersDefault keep a quarter of the memory. relieveWithin is how soon what is kept has to be gone at the pace at which it
	// goes: a buffer of 1 MiB at 1 Mbit/s.
	relieveEvery  = time.Second
	relieveLeast  = 4 << 10
	relieveWithin = 8 * time.Second

	// offloadCost is what keeping a message for a worker takes besides its payload: its context of 72 bytes,
	// its place in the queue, and what the allocator rounds up. An empty message costs its sender 12 bytes of
	// credit.
	offloadCost = 128

	// goodbyeRoom is what a goodbye may weigh behind a gate that holds all that a peer has credit for.
	goodbyeRoom = 1 << 10

	// farewellAfter and heldAfter are how long Shutdown, when its context has ended, still waits for loops
	// that components' code keeps to hear of it, and for the code. Each loop closes thousands of peers in a
	// tenth of that. farewellLooks is how often it looks meanwhile whether it is code that keeps a loop: a
	// process that has not run for a while finds each of its loops late once.
	farewellAfter = 500 * time.Millisecond
	farewellLooks = 2
	heldAfter     = time.Second

	// compressFrom is the smallest message that is worth compressing: below it S2 saves less than a fifth of a kilobyte of
	// text, for a microsecond. compressGain: what does not get smaller by an eighth is sent as it is.
	compressFrom = 1 << 10
	compressGain = 8

	// inflateRatio bounds what a compressed message may claim to be, beside its opcode's limit. S2 makes JSON smaller by 2
	// to 5 and a log that repeats itself by 30; without a bound, ten bytes could cost the receiver 16 MiB of copying. At
	// 64 a byte of a bomb costs it a few times what any byte costs.
	inflateRatio = 64

	// slowTurn is what counts as holding a loop: a millisecond is what the other peers of the loop notice.
	slowTurn = 10 * time.Millisecond

	// connectionDelay is how long a try of one address of a node has for itself before the next is tried beside it
	// (RFC 8305, section 5 and 8: 250 ms is recommended).
	connectionDelay = 250 * time.Millisecond

	// workedLimit is how many nodes' addresses are remembered that led to them: 1024 are 150 KB, and a node that dials more
	// than that in a day tries 250 ms longer.
	workedLimit = 1024

	// retryFirst and retryLast space the dials that follow a refusal as duplicate.
	retryFirst = 10 * time.Millisecond
	retryLast  = 500 * time.Millisecond

	// evictionSample is how many peers are compared to find one to make room with: the worst of 32 random peers is
	// among the worst tenth of all with 97 % probability, whatever their number.
	evictionSample = 32

	// evictionGrace protects young peers, who have had no time to be useful.
	evictionGrace = 30 * time.Second

	// windowMost bounds the configured credit of a peer: 1 GiB is 10 Gbit/s over a second, and fits the 32
	// bits in which a window is kept.
	windowMost = 1 << 30

	// timeoutMost bounds the configured time-outs: whoever means never gets a year, and no sum with it overflows.
	timeoutMost = 365 * 24 * time.Hour

	// unknownLimit is how many messages of unknown opcodes a peer may send before it is closed: newer versions may
	// say things we do not know, but not only such things.
	unknownLimit = 1 << 16
)
