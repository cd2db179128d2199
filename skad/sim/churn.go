package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// A ChurnPlan says how nodes come and go. Zero means the written default.
type ChurnPlan struct {
	Mean  time.Duration // of the time between joining and leaving; 0 means 10,000 s
	Warm  time.Duration // before lookups begin; its second half shows what maintenance costs; 0 means 1800 s
	For   time.Duration // how long lookups are made; 0 means 10 min
	Every time.Duration // between two lookups of one node, on average; 0 means 1 min
	Paths int           // d; 0 means 8

	Progress func(done, total int) // may be nil; seconds
}

// seasoned is how long a node must have been there to look up others and to be looked up: it has joined by then.
const seasoned = time.Minute

// lifetime draws from the Weibull distribution with shape 1/2 and the given mean: what has been measured of
// peers is neither exponential nor Pareto, but this. With shape 1/2 a lifetime is the square of an
// exponential one, scaled.
func lifetime(mean time.Duration, rnd *rand.Rand) time.Duration {
	g := rnd.ExpFloat64()
	return time.Duration(g * g * float64(mean) / 2)
}

// remaining draws how long a node has left that is met at a random moment of a network as old as time. The
// longer a lifetime the likelier it is met: that makes it the square of a sum of three exponential ones, and
// the moment lies anywhere in it.
func remaining(mean time.Duration, rnd *rand.Rand) time.Duration {
	g := rnd.ExpFloat64() + rnd.ExpFloat64() + rnd.ExpFloat64()
	return time.Duration(rnd.Float64() * g * g * float64(mean) / 2)
}

// Churn lets nodes leave without a word, and for each of them a new one come, while lookups are made for
// nodes that are there. Fill the network first. Success counts lookups of targets that were still there when
// they ended. Errors are those of ctx, or wrap ErrConfig or skad.ErrOptions.
func (w *Network) Churn(ctx context.Context, plan ChurnPlan) (*Report, error) {
	err := complete(span{&plan.Mean, 10_000 * time.Second, oftenLimit}, span{&plan.Warm, 1800 * time.Second, time.Second},
		span{&plan.For, 10 * time.Minute, 0}, span{&plan.Every, time.Minute, oftenLimit})
	if err != nil {
		return nil, err
	}
	if plan.Paths == 0 {
		plan.Paths = 8
	}
	c := &churn{w: w, plan: &plan, good: map[*Node]int{}}
	for _, n := range w.nodes {
		c.born(n, remaining(plan.Mean, w.rnd))
	}
	w.atHand = c.take
	defer func() { w.atHand = nil }()
	if err := c.run(ctx, plan.Warm/2); err != nil {
		return nil, err
	}
	w.counted = true
	before := w.bytes()
	if err := c.run(ctx, plan.Warm-plan.Warm/2); err != nil {
		return nil, err
	}
	w.counted = false
	upkeep := float64(w.bytes()-before) / float64(len(c.alive)) / (plan.Warm - plan.Warm/2).Seconds()
	c.lookAround()
	if err := c.run(ctx, plan.For); err != nil {
		return nil, err
	}
	r := w.report()
	r.Lookups = c.done
	r.Success = part(c.found, float64(c.done))
	r.RPCsMean = part(c.rpcs, float64(c.done))
	r.TimeToTarget = percentiles(c.times)
	r.UpkeepBytes = &upkeep
	recall := w.recall()
	r.SiblingsFound = &recall
	r.Left = &c.left
	return r, nil
}

// churn is what Churn keeps.
type churn struct {
	w     *Network
	plan  *ChurnPlan
	alive []*Node
	good  map[*Node]int // places in alive; looked up only
	left  int
	err   error

	elapsed           time.Duration
	done, found, rpcs int
	times             []time.Duration
}

// run lets time pass, in steps that progress can be told about.
func (c *churn) run(ctx context.Context, span time.Duration) error {
	total := c.plan.Warm + c.plan.For
	for rest := span; rest > 0; {
		step := min(rest, 10*time.Second)
		if err := c.w.run(ctx, c.w.now+step, func() bool { return c.err != nil }); err != nil {
			return err
		}
		if c.err != nil {
			return c.err
		}
		rest -= step
		c.elapsed += step
		if c.plan.Progress != nil {
			c.plan.Progress(int(c.elapsed/time.Second), int(total/time.Second))
		}
	}
	return nil
}

// born adds a node to those that are there, and plans its end.
func (c *churn) born(n *Node, life time.Duration) {
	c.good[n] = len(c.alive)
	c.alive = append(c.alive, n)
	c.w.after(life, func() { c.leave(n) })
}

// leave takes a node away and lets another one join in its place, through somebody at random.
func (c *churn) leave(n *Node) {
	w := c.w
	at, last := c.good[n], len(c.alive)-1
	c.alive[at] = c.alive[last]
	c.good[c.alive[at]] = at
	c.alive = c.alive[:last]
	delete(c.good, n)
	w.hosts.remove(n.contact.Addrs[0].Addr())
	n.down, n.core, n.quest = true, nil, nil
	c.left++
	if len(w.nodes) >= nodeLimit {
		c.err = fmt.Errorf("%w: more than %d nodes have come and gone", ErrConfig, nodeLimit)
		return
	}
	next, err := w.add(n.contact.Record.Flags)
	if err != nil {
		c.err = err
		return
	}
	through := c.alive[w.rnd.IntN(len(c.alive))]
	for range 100 {
		if c.seasoned(through) && !through.contact.Client() {
			break
		}
		through = c.alive[w.rnd.IntN(len(c.alive))]
	}
	w.bootstrap(next, through)
	c.born(next, lifetime(c.plan.Mean, w.rnd))
}

// seasoned reports whether n has been there for long enough. Those of the beginning have.
func (c *churn) seasoned(n *Node) bool {
	return n.bornAt == 0 || c.w.now-n.bornAt >= seasoned
}

// lookAround begins a lookup somewhere, and comes back after a random span, so that all together make as many as wanted.
func (c *churn) lookAround() {
	w := c.w
	n, target := c.alive[w.rnd.IntN(len(c.alive))], c.alive[w.rnd.IntN(len(c.alive))]
	if n != target && n.quest == nil && c.seasoned(n) && c.seasoned(target) && !target.contact.Client() {
		q := &quest{plan: &LookupPlan{}, key: target.contact.ID, target: target, beganAt: w.now, knownAt: -1}
		if near := n.core.Closest(q.key, 1, nil); len(near) > 0 && near[0].ID == q.key {
			q.knownAt = w.now
		}
		id, err := n.core.Lookup(w.now, q.key, skad.LookupOptions{Paths: c.plan.Paths})
		if err != nil {
			c.err = err
			return
		}
		q.id, n.quest = id, q
		w.settle(n)
	}
	w.after(time.Duration(w.rnd.ExpFloat64()*float64(c.plan.Every)/float64(len(c.alive))), c.lookAround)
}

// take judges a lookup that has ended.
func (c *churn) take(_ time.Duration, n *Node, a skad.Action) {
	q := n.quest
	if a.Kind != skad.ActionLookup || q == nil || q.id != a.Result.Lookup {
		return
	}
	n.quest = nil
	if q.target.down {
		return
	}
	c.done++
	c.rpcs += a.Result.Asked
	if a.Result.Found != nil {
		c.found++
	}
	if q.knownAt >= 0 {
		c.times = append(c.times, q.knownAt-q.beganAt)
	}
}
