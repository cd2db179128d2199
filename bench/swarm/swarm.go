// Package swarm runs many real nodes of an overlay over loopback sockets, in one process or in several, and measures what
// they do: how fast they know each other, whether lookups are exact, whom broadcasts reach, and what all that costs.
//
//	r, err := swarm.Run(ctx, swarm.Config{Nodes: 200, Kill: 0.2})
//
// The nodes live in hosts (package host): one inside this process, or one in each of Config.Processes children. The
// coordinator here tells hosts what to do, and is the only one to know the truth, because it has started everybody.
//
// The phases, in order, of which some can be left out:
//
//	start ─▶ join through the first ─▶ converge ─▶ lookups ─▶ broadcasts ─▶ settle ─▶ idle
//	  ─▶ churn, with lookups and broadcasts ─▶ kill ─▶ broadcasts ─▶ lookups ─▶ restart ─▶ broadcasts ─▶ lookups
//
// A node that leaves or is killed says no goodbye: its sockets close as the kernel closes those of a killed process. Where
// as many nodes are to be killed as a process has, the process is: by kill -9. The first to go is the one that all have
// joined through.
//
// With Config.Hostile some of the nodes are an adversary's. They are asked for nothing, and what is measured is what becomes
// of the honest ones: the truth about a key is the honest nodes among the 16 nearest.
//
// Run returns an error only if it could not measure; a bad figure is a figure.
package swarm

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/carrier-p2p/carrier/bench/swarm/host"
	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/sim"
)

// A Result is what was measured. Where it says NaN it has not been.
type Result struct {
	Nodes            int
	Hostile          int     // of these
	Processes        int     // children; 0: none
	JoinSeconds      float64 // from the first start until the last node has begun
	ConvergedSeconds float64 // from then until every honest node knows the honest ones of its 16 nearest; NaN: not within Patience
	Connections      float64 // of an honest node, mean, then

	Lookups    Lookups
	Broadcasts Broadcasts

	Replaced        int // nodes that left without a word, each followed by a new one
	ChurnLookups    Lookups
	ChurnBroadcasts Broadcasts

	Killed           int // nodes
	KilledProcesses  int // with some of these in them
	LookupsAfterKill Lookups
	AfterKill        Broadcasts

	Restarted    int     // nodes
	Restored     int     // contacts that a restarted node had from its store, mean
	BackSeconds  float64 // until all of them have joined and everybody knows the honest ones of the 16 nearest; NaN: not within Patience
	LookupsBack  Lookups
	BackInformed Broadcasts

	HeapBytes float64          // for each node, after everything was measured
	Settling  Upkeep           // of nodes that have joined a moment ago; Bytes is NaN if Rest was over by then
	Upkeep    Upkeep           // of idle nodes
	Tasks     engine.TaskStats // of the overlay, of all nodes
	Hardest   string           // the name of the one with Tasks.LongestWork
	Yardstick engine.TaskStats // of a task on each node that once a second does 50 us of arithmetic: what the machine adds
	Refused   Refused
}

// An Upkeep is what an honest node sends while nobody wants anything.
type Upkeep struct {
	Bytes       float64       // in a second
	From, Until time.Duration // since the last node has joined
}

// Lookups sum up lookups of random keys by random honest nodes.
type Lookups struct {
	Count   int
	Success float64 // part that found every honest one of the 16 nodes nearest to the key
	Hops    float64 // mean
	Asked   float64 // questions, mean
	P50     time.Duration
	P99     time.Duration
}

// Broadcasts sum up broadcasts by random honest nodes.
type Broadcasts struct {
	Count    int
	Coverage float64 // deliveries by what they should have been, honest nodes only
	Worst    float64 // coverage of the worst one
	Copies   float64 // that came to a node beside the first, mean
	Hops     float64 // of first copies, mean; those of repair not counted
	P50      time.Duration
	P99      time.Duration
	Max      time.Duration // from the call to the last delivery
	Delays   sim.Delays    // of one hop, by those that came directly from the origin
}

// Refused is what honest nodes have turned away.
type Refused struct {
	Forged uint64 // records and messages with a false signature
	Banned uint64 // who has sent two of them
	Flood  int64  // questions above a peer's rate, and answers that nobody waited for
}

// Run runs a swarm. Errors wrap ErrConfig or ErrProcess, are those of starting nodes, or of ctx.
func Run(ctx context.Context, cfg Config) (r *Result, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &swarm{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 1)), fail: fail, members: map[int]*member{}}
	defer s.close()
	r = &Result{Nodes: cfg.Nodes, Processes: cfg.Processes, ConvergedSeconds: math.NaN(), BackSeconds: math.NaN(), Settling: Upkeep{Bytes: math.NaN()}}
	for _, phase := range []func(context.Context, *Result) error{
		s.open, s.join, s.converge, s.lookUp, s.broadcast, s.idle, s.churn, s.kill, s.restart, s.settle,
	} {
		if err := phase(ctx, r); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return nil, cause // why a call has failed: its process is gone, or the user has had enough
			}
			return nil, err
		}
	}
	return r, nil
}

func (s *swarm) lookUp(ctx context.Context, r *Result) (err error) {
	r.Lookups, err = s.lookups(ctx, "lookups")
	return err
}

func (s *swarm) broadcast(ctx context.Context, r *Result) (err error) {
	r.Broadcasts, err = s.broadcasts(ctx, "broadcasts", func() error { return nil })
	return err
}

// kill kills, and measures at once.
func (s *swarm) kill(ctx context.Context, r *Result) (err error) {
	if s.cfg.Kill == 0 {
		return nil
	}
	sites, numbers := s.doomed(int(s.cfg.Kill * float64(s.cfg.Nodes)))
	end := func() error {
		r.KilledProcesses = len(sites)
		r.Killed, err = s.end(ctx, sites, numbers)
		s.cfg.Progress("kill", r.Killed, s.cfg.Nodes)
		return err
	}
	if r.AfterKill, err = s.broadcasts(ctx, "broadcasts after the kill", end); err != nil {
		return err
	}
	r.LookupsAfterKill, err = s.lookups(ctx, "lookups after the kill")
	return err
}

// settle adds up what it all has cost.
func (s *swarm) settle(ctx context.Context, r *Result) error {
	var heap uint64
	nodes := 0
	for _, x := range s.up() {
		var b host.Bill
		if err := x.call(ctx, "Settle", host.None(false), &b); err != nil {
			return err
		}
		heap, nodes = heap+b.Heap, nodes+b.Nodes
		if r.Tasks.LongestWork < b.Tasks.LongestWork {
			r.Hardest = b.Hardest
		}
		host.AddTasks(&r.Tasks, &b.Tasks)
		host.AddTasks(&r.Yardstick, &b.Yardstick)
	}
	r.HeapBytes = part(int(heap), nodes)
	sum, err := s.count(ctx)
	r.Refused = Refused{Forged: sum.Forged, Banned: sum.Banned, Flood: sum.Flood}
	return err
}

// randomKey draws a key.
func randomKey(rnd *rand.Rand) (k skad.ID) {
	for i := range k {
		k[i] = rnd.Uint64()
	}
	return k
}
