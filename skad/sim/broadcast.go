package sim

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// A BroadcastPlan says what to broadcast. Zero means the default of spread, except where something else is written.
type BroadcastPlan struct {
	Broadcasts int // one after the other; 0 means 10
	Beta       []int
	Rounds     int
	Fanout     int
	PushOnly   bool
	Size       int // of the payload in bytes; 0 means 64

	// Apart has the next broadcast begin so soon after everybody has had the one before, or ten seconds after it has begun; 0:
	// always then, when nothing is left of it.
	Apart time.Duration

	Progress func(done, total int) // may be nil
}

// broadcastWait is how long a broadcast is given: three rounds of repair end within two seconds, and what
// they bring about within the next.
const broadcastWait = 10 * time.Second

// BroadcastLaw is the share of the good nodes of n that a tree without redundancy reaches, one delegate to a
// bucket, if the share f of all nodes passes nothing on and the share loss of all messages is lost: a node is
// as deep in the tree as its ID differs from the origin's in bits that matter, half of log2 n of them on
// average, and every node above it must be good, and every message to it arrive.
func BroadcastLaw(n int, f, loss float64) float64 {
	return math.Pow(1-(1-(1-f)*(1-loss))/2, math.Log2(float64(n))) / (1 - f)
}

// Broadcasts sends messages to everybody, each from a random honest node, and reports whom they reach. Fill
// the network first. Errors wrap ErrConfig or spread.ErrConfig, or are those of ctx.
func (w *Network) Broadcasts(ctx context.Context, plan BroadcastPlan) (*Report, error) {
	if plan.Broadcasts == 0 {
		plan.Broadcasts = 10
	}
	if plan.Size == 0 {
		plan.Size = 64
	}
	good := newAtlas(w.nodes, honest)
	if plan.Broadcasts < 0 || plan.Broadcasts > broadcastLimit || plan.Size < 0 || plan.Size > spread.PayloadLimit || plan.Apart < 0 || plan.Apart > spanLimit || len(good) < 2 {
		return nil, fmt.Errorf("%w: %d broadcasts of %d bytes among %d honest nodes", ErrConfig, plan.Broadcasts, plan.Size, len(good))
	}
	if err := w.Spread(spread.Config{Beta: plan.Beta, Rounds: plan.Rounds, Fanout: plan.Fanout, PushOnly: plan.PushOnly}); err != nil {
		return nil, err
	}
	t := &broadcastTally{w: w}
	w.told, w.posted, w.reaching = t.told, t.posted, t.reaching
	defer func() { w.told, w.posted, w.reaching = nil, nil, nil }()
	for i := range plan.Broadcasts {
		origin := good[w.rnd.IntN(len(good))]
		payload := make([]byte, plan.Size)
		for k := range payload {
			payload[k] = byte(w.rnd.Uint32())
		}
		t.begin()
		if _, err := origin.cast.Broadcast(w.now, payload); err != nil {
			return nil, err
		}
		w.carry(origin)
		if err := t.wait(ctx, len(good)-1, &plan, i); err != nil {
			return nil, err
		}
		t.end(len(good) - 1)
		if plan.Progress != nil {
			plan.Progress(i+1, plan.Broadcasts)
		}
	}
	r := t.report(float64(plan.Broadcasts), float64(len(good)))
	if len(plan.Beta) == 1 && plan.Beta[0] == 1 && plan.PushOnly && w.cfg.Dead == 0 {
		law := BroadcastLaw(len(w.nodes), w.cfg.Share, w.cfg.Loss)
		r.CoverageFormula = &law
	}
	return r, nil
}

// A broadcastTally sums up. One broadcast is under way at a time.
type broadcastTally struct {
	w       *Network
	beganAt time.Duration
	last    time.Duration
	reached int

	coverage                   []float64 // of each
	delivered, pushed, hops    int
	payloads, copies, controls int
	times, lasts               []time.Duration
}

func (t *broadcastTally) begin() {
	t.beganAt, t.last, t.reached = t.w.now, 0, 0
}

// wait lets a broadcast have its time.
func (t *broadcastTally) wait(ctx context.Context, others int, plan *BroadcastPlan, i int) error {
	if plan.Apart == 0 || i == plan.Broadcasts-1 {
		return t.w.run(ctx, t.w.now+broadcastWait, never)
	}
	if err := t.w.run(ctx, t.w.now+broadcastWait, func() bool { return t.reached >= others }); err != nil {
		return err
	}
	return t.w.run(ctx, t.w.now+plan.Apart, never)
}

// told notes a delivery.
func (t *broadcastTally) told(n *Node, a spread.Action) {
	if !honest(n) {
		return
	}
	t.reached++
	if a.Message.Hop > 0 {
		t.pushed++
		t.hops += int(a.Message.Hop)
	}
	t.last = t.w.now - t.beganAt
	t.times = append(t.times, t.last)
}

// reaching notes copies that arrive at honest nodes, also at those that have the message.
func (t *broadcastTally) reaching(n *Node, m *spread.Message) {
	if m.Op == opcode.BroadcastCode && honest(n) {
		t.copies++
	}
}

// posted notes what honest nodes send.
func (t *broadcastTally) posted(from *Node, m *spread.Message) {
	if !honest(from) {
		return
	}
	if m.Op == opcode.BroadcastCode {
		t.payloads++
	} else {
		t.controls++
	}
}

func (t *broadcastTally) end(others int) {
	share := float64(t.reached) / float64(others)
	t.coverage = append(t.coverage, share)
	t.delivered += t.reached
	if t.reached > 0 {
		t.lasts = append(t.lasts, t.last)
	}
}

func (t *broadcastTally) report(n, good float64) *Report {
	r := t.w.report()
	r.Broadcasts = int(n)
	slices.Sort(t.coverage)
	var sum float64
	for _, share := range t.coverage {
		sum += share
	}
	mean := sum / n
	r.CoverageMean, r.CoverageMedian, r.CoverageWorst = &mean, &t.coverage[len(t.coverage)/2], &t.coverage[0]
	r.Payloads, r.Control = part(t.payloads, n*good), part(t.controls, n*good)
	r.Duplicates = part(t.copies-t.delivered, float64(t.delivered))
	r.HopsMean = part(t.hops, float64(t.pushed))
	r.TimeToDeliver, r.TimeToLast = percentiles(t.times), percentiles(t.lasts)
	return r
}
