package metric

import "time"

const (
	// TimeoutDefault is when a question counts as lost. TCP repeats a lost packet after 200 ms, and again after 400, 800 and
	// 1,600: what takes longer than these is as good as lost to whoever waits.
	TimeoutDefault = 5 * time.Second

	// EveryLeast is the shortest time between two questions to one peer.
	EveryLeast = 100 * time.Millisecond

	// rounds: in the time between two questions to one peer the peers of a loop are visited in so many parts, so that their
	// questions do not leave together.
	rounds = 50

	// tickLeast bounds how often a loop is woken for that.
	tickLeast = 50 * time.Millisecond

	// MeasureLimit bounds the bytes of one measurement of throughput: a second at 500 Mbit/s.
	MeasureLimit = 64 << 20

	// measureChunk and measureAhead: a measurement has 896 KiB under way, as much as fits the send buffer of a peer. It
	// measures up to that in a round trip: 45 MB/s over 20 ms.
	measureChunk = 64 << 10
	measureAhead = 14
)
