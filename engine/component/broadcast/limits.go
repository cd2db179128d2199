package broadcast

import "time"

const (
	// inboxBytes and inboxMessages bound what has come and was not looked at. 4 MiB are 64 messages of the largest size, or
	// the tokens of all origins for a second: the core would refuse the rest. inboxShare is the part that one peer may
	// take: an eighth, so that a flooder fills its own.
	inboxBytes    = 4 << 20
	inboxMessages = 4096
	inboxShare    = 8

	// itemCost is counted for each message beside its bytes: a Have of one id must not be free.
	itemCost = 256

	// asksLimit bounds own broadcasts that wait for their turn. 64 are the burst of an origin.
	asksLimit = 64

	// turnBudget is how long the task works before the loop sees to its peers again. The loop may run a task that wakes
	// itself once more within one event, so this is a third of the millisecond that peers would notice.
	turnBudget = 300 * time.Microsecond

	// deliverBytes and deliverMessages bound what waits for the application. Above them messages that are new are dropped
	// unseen, and asked for again when they are announced; so an application may pause for a second or two.
	deliverBytes    = 8 << 20
	deliverMessages = 1024

	// deliverAgain is the pause after which a Deliver that had no room is called again; doubled up to deliverMost.
	deliverAgain = 2 * time.Millisecond
	deliverMost  = 64 * time.Millisecond

	// dialsLimit bounds dials at a time; what is above it goes to other delegates. 128: the delegates of an origin in a
	// network of 65,000 nodes. dialMessages bounds what waits for one of them, dialBytes what waits for all.
	dialsLimit   = 128
	dialMessages = 16
	dialBytes    = 8 << 20

	// linkedPerBucket bounds the table of connected peers: with more than four times the delegates of an origin in a bucket
	// nothing is won.
	linkedPerBucket = 32

	// blameLimit ends the connection of a peer. It is the weight at which the overlay bans. Each forgiveEvery takes 1 off, so
	// that what happens to an honest peer now and then, such as to answer late, does not add up.
	blameLimit   = 32
	forgiveEvery = time.Minute

	// announceRate and announceBurst bound what one peer may announce and ask for, in messages: one of 128 ids takes 50 us to
	// look through. A node announces to nine others for each beat of 400 ms, so 64 a second are twenty times what comes from
	// one of them at most, except that large payloads are announced singly: for these is the burst.
	announceRate  = 64
	announceBurst = 256
)
