package overlay

import "time"

const (
	// CopiesDefault is how many copies of a message go out, over distinct first hops. 4: with a fifth of the nodes taking
	// messages over and dropping them 98 % arrive, with one copy 76 %.
	CopiesDefault = 4

	// NeighboursDefault is how many of the closest nodes a node stays connected with. 8: a message for it ends at the one
	// closest to it that lives; all eight would have to go within neighboursEvery for a client to be out of reach.
	NeighboursDefault = 8

	// neighboursEvery is how often the neighbours are looked at. The table is a snapshot, so this costs a comparison.
	neighboursEvery = 2 * time.Second

	// sendsLimit bounds own messages that wait to be taken over or received: 256 of 16 KiB are 4 MiB.
	sendsLimit = 256

	// sendAgain is when a message without a receipt is sent again, doubled up to sendMost. 1 s: a message and its receipt
	// take 500 ms in the network of docs/skad.md, 800 ms for one in a hundred.
	sendAgain = time.Second
	sendMost  = 8 * time.Second

	// takenTimeout ends the wait for a first hop: ten candidates that are silent for a second each.
	takenTimeout = 10 * time.Second

	// turnBudget is how long the task works before the loop sees to its peers again: a third of the millisecond that they
	// would notice. A signature takes 55 us of it.
	turnBudget = 300 * time.Microsecond

	// arrivalsLimit and arrivalsBytes bound messages that wait to be looked at. 1,024 are 60 ms of arithmetic; what is above
	// them is dropped, and sent again if its sender waits for a receipt.
	arrivalsLimit = 1024
	arrivalsBytes = 4 << 20

	// arrivalsShare: of these one last hop may have an eighth, as many as there are neighbours.
	arrivalsShare = 8

	// seenLimit bounds the messages that are recognised when they come again: 4096 of 100 bytes. A receipt that was lost
	// brings the message again within seconds. Whoever sends most has his own forgotten first.
	seenLimit = 4096

	// sentFor bounds how long a SendTo lasts whose context has no end.
	sentFor = 30 * time.Second
)
