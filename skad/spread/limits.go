package spread

import "time"

// Limits of the protocol: every node must agree on them.
const (
	// PayloadLimit is the largest payload in bytes: what one frame of 64 KiB has room for behind the head of the
	// message.
	PayloadLimit = 64<<10 - headSize

	// IDLimit bounds the ids of a Have or a Want. 128 are 2 KiB; a beat of repair comes every 400 ms, so this is 320
	// messages a second before announcements have to wait for the next beat.
	IDLimit = 128

	// announceAbove is the payload size above which a delegate beyond pushHops is sent a Have instead of the message.
	// 16 KiB: below it a duplicate costs less than the round trip that asking first costs.
	announceAbove = 16 << 10

	// pushHops is how many hops a large payload is pushed whatever its size. 2: the origin's delegates and theirs, some
	// hundred nodes that hardly overlap; beyond them most deliveries are duplicates.
	pushHops = 2
)

// Limits of a node.
const (
	// seenLimit bounds remembered messages, and seenFor how long they are. 16,384 messages are 1.5 MB; two minutes are
	// longer than any copy travels: the repair of the last hop ends within seconds. What is forgotten stays refused by
	// its origin's floor.
	seenLimit = 16 << 10
	seenFor   = 2 * time.Minute

	// heldFor is how long payloads are kept for those who missed them: the three rounds of repair are over after 1.5 s,
	// a Want that had to try all its sources after 4 s more. heldLimit bounds their bytes; the oldest go first. heldCost
	// is what is counted for each beside its payload: 0.3 KB for the message, 0.4 KB for nine offers, and 1 KB for two
	// delegates in each of twenty buckets.
	heldFor   = 10 * time.Second
	heldLimit = 8 << 20
	heldCost  = 2 << 10

	// originLimit bounds the origins whose rate and floor are known; the one silent for longest is forgotten first.
	// 4,096 of 96 bytes. Pushing somebody out takes as many proofs of work.
	originLimit = 4096

	// wantLimit bounds messages asked for at a time, wantsPerPeer those asked of one peer, so that one who announces
	// what does not exist takes no more than a quarter. sourceLimit is how many who announced a message are remembered
	// to be asked in turn.
	wantLimit    = 256
	wantsPerPeer = 64
	sourceLimit  = 4

	// wantTimeout is how long an asked peer has. 1 s: 64 KiB at half a megabit a second; a slower one is overtaken by
	// the next source.
	wantTimeout = time.Second

	// doubtFor: when a session ends, what was delegated to its peer within this span counts as not received. 2 s:
	// kernels and flow control can hold that much back; anything older would mostly be sent twice for nothing.
	doubtFor = 2 * time.Second

	// retryLimit bounds how many failed delegates of one bucket are replaced. 16: the size of a bucket.
	retryLimit = 16

	// drawTries bounds the attempts to draw a contact for repair: in a network of two nodes most draws hit nobody.
	drawTries = 16

	// betaLimit bounds Config.Beta, its length and its numbers. 16: nobody has more contacts in a bucket.
	betaLimit = 16

	// repairLimit bounds Config.Rounds and Config.Fanout. 16 times 16 announcements already exceed the payloads they
	// would save.
	repairLimit = 16

	// networkLimit bounds Config.Network: a domain of a signature has at most 255 bytes.
	networkLimit = 200
)

// The pause between two beats of repair is drawn between these. 300 ms: most pushes have arrived by then (t99 is two
// round trips), so that little is asked for that is on its way. Drawn, so that nodes that heard of a message together
// do not announce it together.
const (
	repairLeast = 300 * time.Millisecond
	repairMost  = 500 * time.Millisecond
)

// outKept, idsKept and ringKept are what an idle core keeps of its buffers.
const (
	outKept  = 8
	idsKept  = 16
	ringKept = 64

	wantsKept = 16
)

// What a core keeps while messages come all the time: freeKept of what is held for a message, about 2 KB each, and the
// buffers of a burst if the one before it was no longer ago than steadyFor.
const (
	freeKept  = 16
	steadyFor = time.Second
)
