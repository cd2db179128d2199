package sim

import "time"

const (
	// nodeLimit bounds the nodes of a network over its whole life, those that have left included. 2^22: each has an address of its own in 10.0.0.0/8, of
	// which a quarter is taken, and memory ends before that.
	nodeLimit = 1 << 22

	// lookupLimit bounds the lookups of an experiment, 10 million: an hour of computing.
	lookupLimit = 10_000_000

	// parallelLookups is how many measured lookups are under way at a time, each in another node. 64: enough to keep the clock from mattering,
	// few enough that nodes do not meet each other's questions.
	parallelLookups = 64

	// progressEvery is how many events pass between two looks at the context.
	progressEvery = 1 << 12

	// quiet is how long the tables of a still network are left alone: longer than any experiment that calls them still.
	quiet = 300 * 24 * time.Hour
)
