package ack

import (
	"time"

	"github.com/carrier-p2p/carrier/engine"
)

// Defaults of Config.
const (
	// RetryDefault is how long an acknowledgement is waited for at first. TCP resends by itself, so that on a connection that
	// lives only what the receiver refused has to be sent again: a second is soon enough.
	RetryDefault = time.Second

	// RetryMaxDefault: a receiver that refuses again and again is asked twice a minute.
	RetryMaxDefault = 30 * time.Second

	// GiveUpDefault survives a restart of the peer, and a connection that is found dead after 45 s and dialled again.
	GiveUpDefault = 2 * time.Minute

	// RememberDefault is far longer than a sender tries, so that what comes again is known.
	RememberDefault = 10 * time.Minute

	// PeerMemoryDefault bounds what waits for one peer, 4 MiB: as much as the credit of a peer grows to.
	PeerMemoryDefault = 4 << 20

	// MemoryDefault bounds what waits for all peers, 64 MiB.
	MemoryDefault = 64 << 20

	// InboxesDefault bounds how many senders are remembered that are not connected. Beyond that the oldest of
	// the network goes that has most of them. One costs some 400 bytes, or 900 if it left while a message was
	// missing.
	InboxesDefault = 16384
)

const (
	// WindowLimit is how many numbers lie between the oldest message to a peer that waits and the newest. Both ends rely on
	// it, so it is part of the protocol. 4096 messages of 64 bytes in a round trip of 20 ms are 200,000 a second; the
	// window's bits are 512 bytes and fit one AckResponse.
	WindowLimit = 4096

	// entryCost is what a waiting message takes besides its payload.
	entryCost = 128

	// outboxCost is what an outbox takes in which something waits.
	outboxCost = 1 << 10

	// retryJitter: a quarter of each wait is left to chance.
	retryJitter = 0.25

	// tickEvery is how often the clock looks for messages to be sent again or given up. A tenth of the shortest wait.
	tickEvery = 100 * time.Millisecond

	// resendsPerTick bounds the work of one look, at well under a microsecond each; the rest follows with the next look.
	resendsPerTick = 1024

	// acksAgain is when acknowledgements are sent again for which the connection had no room.
	acksAgain = 20 * time.Millisecond

	// ringFirst is how many messages an outbox has room for at first; the ring doubles.
	ringFirst = 8
)

// What must hold between them, proved when compiling.
const (
	_ = uint(engine.AckIDs - 4*WindowLimit) // numbers that come round are never mistaken for old ones
	_ = uint(1024 - ackSize - WindowLimit/8)
)
