package discovery

import "time"

// Limits that Config can change.
const (
	// DialsDefault bounds the dials of the overlay under way. The core asks for at most 8 pings and 16 questions of each
	// lookup at a time; 64 lets a few lookups meet strangers without the dials becoming a scan of the network.
	DialsDefault = 64

	// ConnectionsDefault bounds the connections that were dialled for the overlay. A full table of a
	// large network has some 160 members, of which about half have called us. A kept connection is about a kilobyte
	// here and one there; without it a ping costs a handshake.
	ConnectionsDefault = 96

	// IdleDefault is how long a connection dialled for a lookup stays after its last use. The next lookup often asks the
	// same nodes, and a minute of keepalives costs less than one handshake.
	IdleDefault = time.Minute

	// SaveEveryDefault is how often the table is written to the store. What a killed node loses is what it has learnt in
	// the last minute.
	SaveEveryDefault = time.Minute
)

// Limits that nobody needs to change.
const (
	// inboxLimit bounds what waits for the home loop: messages. At some 5 us each, 1024 are five turns' work.
	inboxLimit = 1024

	// inboxPeerLimit is how many of them one peer may have there: 32, so that it takes 32 to shut out the others.
	inboxPeerLimit = 32

	// doLimit bounds functions of callers that wait for the home loop.
	doLimit = 1024

	// requestsPerSecond and requestsBurst bound what one peer may ask. A lookup asks a node once; a node that joins or
	// looks up many keys asks its neighbours a few times a second.
	requestsPerSecond = 64
	requestsBurst     = 256

	// answersLimit bounds the questions to one peer whose answers are waited for, and so what it may send unasked.
	answersLimit = 64

	// forgedLimit: an answer with so many records that are not genuine is not looked at any further. Two forged ones end
	// the acquaintance in the core.
	forgedLimit = 2

	// dialQueueLimit bounds the contacts that wait for a dial, parcelLimit what waits to be sent to one of them. Routed
	// messages are strangers' and have up to 16 KiB: they wait only while all that waits is below parcelBytes.
	dialQueueLimit = 256
	parcelLimit    = 16
	parcelBytes    = 4 << 20

	// lookupsLimit bounds lookups of callers at a time; the core has 32, and maintenance must not wait.
	lookupsLimit = 24

	// lookupQueueLimit bounds lookups of callers that wait for their turn.
	lookupQueueLimit = 1024

	// connectionsShare is the part of the node's places (Peers.All), a quarter, of which the overlay's own
	// connections take no more, whatever Config.Connections says: the others are the application's.
	connectionsShare = 4

	// inUse is how long after its last use a connection is left alone although there are too many.
	inUse = 500 * time.Millisecond

	// turnBudget is how long the task works before it lets the sockets have their turn. One step more may follow; the
	// longest, an answer full of news, takes a tenth of a millisecond.
	turnBudget = 250 * time.Microsecond

	// failureAfter is how long after the attempt the core learns that a message did not go out: shorter than its shortest
	// time-out, 150 ms, and long enough that a node without a network tries ten times a second and not without end.
	failureAfter = 100 * time.Millisecond

	// pingFailureAfter is the same for Pings, which nobody waits for: the core believes that somebody is gone if others answer
	// meanwhile, and those may be half a second away.
	pingFailureAfter = 600 * time.Millisecond

	// sweepEvery is how often connections, protection and the own record are looked at.
	sweepEvery = 5 * time.Second

	// seedFirst and seedLast bound the pause before bootstrap addresses are dialled again while the table is empty.
	seedFirst = time.Second
	seedLast  = time.Minute

	// restoredSeeds is how many stored contacts are asked first, as if they were bootstrap nodes: those seen last.
	restoredSeeds = 32

	// resolveTimeout bounds asking for the addresses of a bootstrap node's name.
	resolveTimeout = 10 * time.Second

	// resolvedLimit bounds the addresses of one name that are dialled: a name server that lies must not make the node dial
	// thousands of victims.
	resolvedLimit = 16

	// verifiedLimit is how many records are remembered as checked: those of the table ten times over, at 0.7 KB each.
	verifiedLimit = 2048
)

// settleAfter is when a node that has joined looks at its neighbourhood again, each after the one before, until the core's
// refresh takes over: those who joined at the same time did not know of each other, and who had no time to listen to a
// newcomer hears of it again. Where there is no news that is a kilobyte each time, else three.
var settleAfter = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute}
