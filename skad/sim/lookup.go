package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A LookupPlan says which lookups to make. Zero means the default of skad, except where something else is written.
type LookupPlan struct {
	Lookups int // 0 means 1000
	Paths   int // d; 0 means 8
	Width   int // w; 0 means what skad makes of it
	Alpha   int

	// Classic is the paper's lookup: each path asks one contact at a time, ends with the closest one, and
	// nothing is asked afterwards. A lookup then succeeds if a path has come to know the target without
	// having touched the adversary.
	Classic bool

	Progress func(done, total int) // may be nil
}

func (p LookupPlan) withDefaults(cfg *Config) (LookupPlan, error) {
	if p.Lookups == 0 {
		p.Lookups = 1000
	}
	if p.Paths == 0 {
		p.Paths = 8
	}
	if p.Classic {
		p.Width, p.Alpha = 1, 1
	}
	if p.Width == 0 {
		p.Width = max(2, cfg.Siblings/p.Paths)
	}
	if p.Lookups < 0 || p.Lookups > lookupLimit {
		return p, fmt.Errorf("%w: %d lookups, must be 1 to %d", ErrConfig, p.Lookups, lookupLimit)
	}
	return p, nil
}

// A quest is a lookup that is measured: for the ID of an honest node, by another one.
type quest struct {
	plan    *LookupPlan
	id      skad.LookupID
	key     skad.ID
	target  *Node
	beganAt time.Duration
	knownAt time.Duration // when the genuine record of the target first turned up; negative: not yet
	told    []*Node       // who has mentioned it, with whatever address
	owned   []*Node       // the adversary's nodes that were asked
}

// asked notes a question on its way.
func (q *quest) asked(to *Node, m *skad.Message) {
	if m.Op == opcode.LookupNodeRequestCode && m.Key == q.key && to.evil != nil {
		q.owned = append(q.owned, to)
	}
}

// heard notes an answer.
func (q *quest) heard(s *shard, from *Node, m *skad.Message) {
	if m.Op != opcode.LookupNodeResponseCode {
		return
	}
	for _, c := range m.Contacts {
		if c.ID != q.key {
			continue
		}
		q.told = append(q.told, from)
		if q.knownAt < 0 && s.w.hosts.at(c.Addrs[0].Addr()) != nil {
			q.knownAt = s.now
		}
	}
}

// lengths returns for each path how many contacts it asked until it knew the target, and whether all of them
// were honest. -1: it never knew.
func (q *quest) lengths(w *Network, r *skad.Result) (lengths []int, clean []bool) {
	for _, p := range r.Paths {
		length, ok := -1, true
		for i, c := range p.Asked {
			n := w.hosts.at(c.Addrs[0].Addr())
			if c.ID == q.key {
				length = i
				break
			}
			ok = ok && n != nil && n.evil == nil
			if n != nil && slices.Contains(q.told, n) {
				length = i + 1
				break
			}
		}
		lengths, clean = append(lengths, length), append(clean, ok && length >= 0)
	}
	return lengths, clean
}

// Lookups makes lookups, each in a random honest node for another one, many at a time, and reports how they
// went. Errors wrap ErrConfig or skad.ErrOptions, or are those of ctx.
func (w *Network) Lookups(ctx context.Context, plan LookupPlan) (*Report, error) {
	plan, err := plan.withDefaults(&w.cfg)
	if err != nil {
		return nil, err
	}
	good := newAtlas(w.nodes, honest)
	if len(good) < 2 {
		return nil, fmt.Errorf("%w: fewer than two honest nodes", ErrConfig)
	}
	targets := []*Node(good)
	if w.victims != nil {
		targets = w.victims
	}
	askers := good
	if w.restarted != nil {
		askers = newAtlas(w.restarted, honest)
	}
	if len(targets) < 2 {
		return nil, fmt.Errorf("%w: fewer than two nodes to look up", ErrConfig)
	}
	t := &lookupTally{w: w, plan: &plan, good: good, askers: askers, targets: targets, all: newAtlas(w.nodes, func(n *Node) bool { return !n.down && !n.contact.Client() && !n.stray })}
	if w.settles > 0 {
		if err := w.run(ctx, w.now+w.settles, never); err != nil {
			return nil, err
		}
		w.settles = 0
	}
	w.atHand = t.take
	defer func() { w.atHand = nil }()
	t.started = min(parallelLookups, plan.Lookups, (len(askers)+1)/2)
	for range t.started {
		if err := t.start(); err != nil {
			return nil, err
		}
	}
	if err := w.run(ctx, skad.Never, func() bool { return t.done >= plan.Lookups || t.err != nil }); err != nil {
		return nil, err
	}
	if t.err != nil {
		return nil, t.err
	}
	return t.report(), nil
}

// A lookupTally sums up.
type lookupTally struct {
	w       *Network
	plan    *LookupPlan
	good    atlas
	askers  atlas
	targets []*Node
	all     atlas
	started int // those included that are about to be
	done    int
	err     error

	succeeded, complete, alarms int
	contacts, rpcs              int
	times                       []time.Duration
	lengths                     []int // histogram
}

// start begins the next lookup, in a node that has none.
func (t *lookupTally) start() error {
	w := t.w
	n := t.askers[w.rnd.IntN(len(t.askers))]
	for n.quest != nil {
		n = t.askers[w.rnd.IntN(len(t.askers))]
	}
	target := n
	for target == n {
		target = t.targets[w.rnd.IntN(len(t.targets))]
	}
	opt := skad.LookupOptions{Paths: t.plan.Paths, Width: t.plan.Width, Alpha: t.plan.Alpha, Unfinished: t.plan.Classic}
	q := &quest{plan: t.plan, key: target.contact.ID, target: target, beganAt: w.now, knownAt: -1}
	if near := n.core.Closest(q.key, 1, nil); len(near) > 0 && near[0].ID == q.key {
		q.knownAt = w.now
	}
	id, err := n.core.Lookup(w.now, q.key, opt)
	if err != nil {
		return err
	}
	q.id, n.quest = id, q
	w.settle(n)
	return nil
}

// take judges a lookup that has ended and begins another.
func (t *lookupTally) take(_ time.Duration, n *Node, a skad.Action) {
	if a.Kind != skad.ActionLookup || n.quest == nil || n.quest.id != a.Result.Lookup {
		return
	}
	t.judge(n, n.quest, a.Result)
	n.quest = nil
	t.done++
	if t.plan.Progress != nil {
		t.plan.Progress(t.done, t.plan.Lookups)
	}
	if t.started < t.plan.Lookups {
		t.started++
		t.w.after(0, func() { t.err = t.start() }) // not from within the turn of another node
	}
}

func (t *lookupTally) judge(n *Node, q *quest, r *skad.Result) {
	found := r.Found != nil && t.w.hosts.at(r.Found.Addrs[0].Addr()) != nil
	lengths, clean := q.lengths(t.w, r)
	for _, l := range lengths {
		for l >= len(t.lengths) {
			t.lengths = append(t.lengths, 0)
		}
		if l >= 0 {
			t.lengths[l]++
		}
	}
	if t.plan.Classic {
		found = slices.Contains(clean, true)
	}
	if found {
		t.succeeded++
		t.contacts += r.Hops
	}
	if q.knownAt >= 0 {
		t.times = append(t.times, q.knownAt-q.beganAt)
	}
	t.rpcs += r.Asked
	if !r.DensityOK {
		t.alarms++
	}
	if t.knowsSiblings(n, q, r) {
		t.complete++
	}
}

// knowsSiblings reports whether every honest node that can be dialled among the s closest to the key is in the result.
func (t *lookupTally) knowsSiblings(n *Node, q *quest, r *skad.Result) bool {
	count := 0
	for _, x := range t.all.nearest(q.key, t.w.cfg.Siblings+1) {
		if x == n {
			continue
		}
		if count++; count > t.w.cfg.Siblings {
			break
		}
		if x.evil == nil && x.calls == nil && !slices.ContainsFunc(r.Closest, func(c *skad.Contact) bool { return c.ID == x.contact.ID }) {
			return false
		}
	}
	return true
}

func (t *lookupTally) report() *Report {
	r := t.w.report()
	n := float64(t.done)
	r.Lookups = t.done
	r.Success = part(t.succeeded, n)
	r.RPCsMean = part(t.rpcs, n)
	r.DensityAlarms = part(t.alarms, n)
	r.ContactsMean = part(t.contacts, float64(t.succeeded))
	if !t.plan.Classic {
		r.SiblingsFound = part(t.complete, n)
	}
	r.TimeToTarget = percentiles(t.times)
	r.PathLengths = t.lengths
	if t.w.strays != nil {
		table, siblings := t.w.crowd(t.good)
		r.StraysInTable, r.StraysInSiblings = &table, &siblings
	}
	if t.w.restarted != nil {
		kept := t.w.kept()
		r.TableKept = &kept
	}
	return r
}

// crowd returns how many strays stand in the table and in the sibling list of the node that has most of them.
func (w *Network) crowd(nodes []*Node) (table, siblings int) {
	count := func(list []*skad.Contact) (n int) {
		for _, c := range list {
			if x := w.hosts.at(c.Addrs[0].Addr()); x != nil && x.stray {
				n++
			}
		}
		return n
	}
	for _, n := range nodes {
		v, all := n.core.View(), 0
		for prefix := range v.Buckets() {
			all += count(v.Sharing(prefix))
		}
		table, siblings = max(table, all), max(siblings, count(v.Siblings()))
	}
	return table, siblings
}
