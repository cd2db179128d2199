package proxy

import "time"

// What a relay grants unless Limits says otherwise.
const (
	// ReservationsDefault bounds the nodes a relay is reachable for. One costs about 100 bytes besides its connection.
	ReservationsDefault = 1024

	// CircuitsDefault bounds the circuits of all. An idle one costs about 600 bytes.
	CircuitsDefault = 4096

	// CircuitsPerNodeDefault bounds the circuits to one reservation, and those of one node that dials: what a node talks to
	// through a relay should move to direct connections, so there are seldom many.
	CircuitsPerNodeDefault = 64

	// WindowDefault is how much one end of a circuit may have under way to the relay: 512 KiB keep 40 Mbit/s busy at 100 ms,
	// and are what a peer that does not read can pin at the relay for each of its circuits.
	WindowDefault = 512 << 10

	// MemoryDefault bounds what waits at the relay for peers that do not read, besides their send buffers.
	MemoryDefault = 64 << 20

	// BytesDefault bounds what one circuit carries, both directions together: 1 GiB is an hour at 2.4 Mbit/s.
	BytesDefault = 1 << 30

	// LifetimeDefault is how long a reservation lasts that is not renewed. Nodes renew at half of it.
	LifetimeDefault = time.Hour

	// DurationDefault is how long a circuit lasts. Its ends may make another one.
	DurationDefault = 24 * time.Hour
)

// What is not settable.
const (
	// windowLeast and windowMost bound the window that a node believes a relay: less stalls, more is no bound.
	windowLeast = 4 << 10
	windowMost  = 16 << 20

	// queueCost is what keeping a message that waits takes besides its bytes, of which there may be one: its
	// place in the queue, and what the allocator rounds up.
	queueCost = 48

	// grantShare: new room is told when a quarter of the window has been passed on.
	grantShare = 4

	// inviteTimeout is how long the node that is asked for has to answer the relay.
	inviteTimeout = 5 * time.Second

	// askTimeout is how long a node waits for a relay's answer: an invitation that is not answered, and a round trip.
	askTimeout = inviteTimeout + 2*time.Second

	// askEvery and askAhead bound how often one node may ask for circuits: 64 at once, ten a second. Each is an invitation,
	// which costs the node that is asked for the beginning of a handshake.
	askEvery = 100 * time.Millisecond
	askAhead = 64

	// pairLimit bounds the circuits from one node to another: they need one, and make a second before the relay has heard of
	// the first one's end. Without it one dialler could take all the room of a reservation.
	pairLimit = 4

	// endTimeout is how long a circuit of which one end has ended waits for the other.
	endTimeout = 5 * time.Second

	// sweepEvery is how often a relay looks for what has expired.
	sweepEvery = time.Second

	// rateBurst is how far a circuit may run ahead of its rate.
	rateBurst = 250 * time.Millisecond

	// retryFirst and retryLast space the tries to get a reservation from a relay that has refused. One that
	// cannot be reached is tried after retryAway at the latest: most often it is this node's own network that
	// is away, and when that is back nobody reaches the node until the next try. It costs a dial that nobody
	// answers.
	retryFirst = time.Second
	retryLast  = 5 * time.Minute
	retryAway  = 30 * time.Second

	// reserveFor is how long a reservation a node asks for; the relay may grant less.
	reserveFor = 4 * time.Hour

	// directFirst and directLast space the tries of a relayed peer's direct addresses, directLimit bounds how many of them
	// are tried in a round: they are what the peer claims, and each is a stranger's address until somebody answers.
	directFirst = time.Second
	directLast  = 10 * time.Minute
	directLimit = 4

	// linkLimit bounds the circuits that one relay may open to this node and that are there, all told: a hostile relay can
	// invite as often as it likes.
	linkLimit = 1024

	// keepLimit is the largest receive buffer that a link keeps for what comes next: a few messages.
	keepLimit = 64 << 10
)
