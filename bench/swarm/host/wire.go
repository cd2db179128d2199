package host

import (
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad"
)

// What travels between coordinator and host. Exported because net/rpc asks for it; nothing of it is kept anywhere.

// None stands where nothing is said.
type None bool

// A Setup is the first thing that a host is told.
type Setup struct {
	Places    int    // nodes that listen at the same time
	Seed      uint64 // of identities
	Loops     int    // 0: one per core
	Stores    string // directory for a store of each node; "": they keep nothing
	Adversary string // what hostile nodes do
}

// A Spec says which node to start. The same number is the same identity.
type Spec struct {
	Number    int
	Bootstrap string // "": nobody
	Hostile   bool
}

// A Member is a node that has been started.
type Member struct {
	Number   int
	ID       skad.ID
	Target   string // to be dialled
	Record   []byte
	Hostile  bool
	Restored int64 // contacts that came from its store
}

// A Wait asks whether a node has joined by then.
type Wait struct {
	Number   int
	Patience time.Duration
}

// Seen is what nodes know at a moment.
type Seen struct {
	Honest      int // nodes
	Exact       int // of these, who know every honest node among the Nearest to themselves
	Connections int // of all honest nodes
}

// Nearest is how many nodes a lookup is asked for, and what convergence means: the siblings of a key.
const Nearest = 16

// A Quest is a lookup.
type Quest struct {
	Number   int // of the node that makes it
	Key      skad.ID
	Patience time.Duration
}

// Found is what came of it.
type Found struct {
	Closest     []skad.ID
	Hops, Asked int
	Took        time.Duration
}

// A Shout is a broadcast.
type Shout struct {
	Number int    // of its origin
	Index  uint64 // rises from broadcast to broadcast, beginning with 1
	Size   int    // of the payload, ShoutLeast at least
}

// ShoutLeast is what a payload says: which broadcast it is and when it began.
const ShoutLeast = 16

// A Delivery is a broadcast that a node has delivered.
type Delivery struct {
	Number int
	Hops   int           // 0: by repair
	Took   time.Duration // since its origin was told to begin
}

// A Sum adds up counters of the honest nodes.
type Sum struct {
	BytesOut  int64
	Delivered uint64 // broadcasts
	Doubled   uint64 // copies beside the first
	Forged    uint64 // records and messages refused because of a signature
	Banned    uint64
	Flood     int64 // questions above a peer's rate, answers that nobody waited for
}

// A Bill is what it all has cost.
type Bill struct {
	Heap  uint64 // that the nodes have added
	Nodes int
	Tasks engine.TaskStats // of all overlay tasks of all nodes

	Hardest   string           // the name of the task with the longest work of these
	Yardstick engine.TaskStats // of a task that always does the same, for comparison
}
