package sim

import "time"

const (
	// nodeLimit bounds the nodes of a network over its whole life, those that have left included. 2^22: each
	// has an address of its own in 10.0.0.0/8, of which a quarter is taken, and memory ends before that.
	nodeLimit = 1 << 22

	// lookupLimit bounds the lookups of an experiment, 10 million: an hour of computing.
	lookupLimit = 10_000_000

	// broadcastLimit bounds the broadcasts of an experiment. 100,000: with ten seconds for each these are eleven days.
	broadcastLimit = 100_000

	// spanLimit bounds every span of a plan. 200 days: less than quiet, and nothing that is added up overflows.
	spanLimit = 200 * 24 * time.Hour

	// oftenLimit is the shortest mean time between two lookups of a node, and the shortest mean lifetime:
	// below it the network would do nothing else, and at zero time would stand still.
	oftenLimit = time.Second

	// parallelLookups is how many measured lookups are under way at a time, each in another node. 64: enough
	// to keep the clock from mattering, few enough that nodes do not meet each other's questions.
	parallelLookups = 64

	// workerLimit bounds the processors that share the work, 64: a window of 10,000 nodes holds some hundred events.
	workerLimit = 64

	// windowLeast is the shortest window: where messages may take less, as Config.Delays can have it, one
	// event comes after the other.
	windowLeast = time.Millisecond

	// sparse is how many events a window must have had for the next one to be shared: fewer are done before
	// the others have woken up.
	sparse = 24

	// progressEvery is how many events pass between two looks at the context.
	progressEvery = 1 << 12

	// quiet is how long the tables of a still network are left alone: longer than any experiment that calls them still.
	quiet = 300 * 24 * time.Hour
)
