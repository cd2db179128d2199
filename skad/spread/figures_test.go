package spread

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

const population = 1000

// figures runs one broadcast in each of some worlds and returns what came of it.
func figures(t *testing.T, worlds int, change func(*Config), prepare func(*world)) (all []outcome) {
	t.Helper()
	for seed := range worlds {
		w := newWorld(t, population, uint64(seed)+1, change)
		if prepare != nil {
			prepare(w)
		}
		w.broadcast(w.nodes[0], []byte("to everybody"))
		all = append(all, w.outcome())
	}
	return all
}

func mean(all []outcome, of func(o *outcome) float64) float64 {
	sum := 0.0
	for i := range all {
		sum += of(&all[i])
	}
	return sum / float64(len(all))
}

func coverage(all []outcome) (average, worst float64) {
	worst = 1
	for i := range all {
		worst = min(worst, all[i].coverage)
	}
	return mean(all, func(o *outcome) float64 { return o.coverage }), worst
}

// TestOneDelegateIsATree: with beta = 1 and no faults a broadcast is a spanning tree: N-1 messages, no duplicate,
// everybody, at a depth of half the logarithm of N.
func TestOneDelegateIsATree(t *testing.T) {
	statistical(t)
	all := figures(t, 10, func(c *Config) { c.Beta, c.PushOnly = []int{1}, true }, nil)
	for _, o := range all {
		if sent := math.Round(o.payloads * (population - 1)); sent != population-1 || o.duplicates != 0 || o.coverage != 1 || o.control != 0 {
			t.Errorf("%v messages for %d nodes, %v duplicates a node, coverage %v, control %v", sent, population, o.duplicates, o.coverage, o.control)
		}
	}
	if hops, want := mean(all, func(o *outcome) float64 { return o.hops }), math.Log2(population)/2; math.Abs(hops-want) > 0.3 {
		t.Errorf("mean depth %.2f, want %.2f", hops, want)
	}
}

// TestOneDelegateAmongHoles: beta = 1 obeys its law: the mean coverage of the good is (1-f/2)^log2(N) / (1-f).
func TestOneDelegateAmongHoles(t *testing.T) {
	statistical(t)
	for _, f := range []float64{0.1, 0.3} {
		all := figures(t, 30, func(c *Config) { c.Beta, c.PushOnly = []int{1}, true }, func(w *world) { w.spoil(f, hole) })
		got, _ := coverage(all)
		want := math.Pow(1-f/2, math.Log2(population)) / (1 - f)
		t.Logf("f=%v: coverage %.3f, formula %.3f", f, got, want)
		if math.Abs(got-want) > 0.06 {
			t.Errorf("f=%v: coverage %.3f, formula %.3f", f, got, want)
		}
	}
}

// TestOneDelegateUnderLoss: and if messages are lost with probability p, (1-p/2)^log2(N).
func TestOneDelegateUnderLoss(t *testing.T) {
	statistical(t)
	all := figures(t, 30, func(c *Config) { c.Beta, c.PushOnly = []int{1}, true }, func(w *world) { w.loss = 0.12 })
	got, _ := coverage(all)
	want := math.Pow(1-0.12/2, math.Log2(population))
	t.Logf("coverage %.3f, formula %.3f", got, want)
	if math.Abs(got-want) > 0.06 {
		t.Errorf("coverage %.3f, formula %.3f", got, want)
	}
}

// TestTaperedTreeAmongHoles: 8, 4, 2 delegates without repair, nodes that take everything and pass nothing on.
func TestTaperedTreeAmongHoles(t *testing.T) {
	statistical(t)
	for _, row := range []struct{ f, average, worst float64 }{{0.1, 0.9995, 0.99}, {0.2, 0.998, 0.99}, {0.3, 0.993, 0.97}} {
		all := figures(t, 10, func(c *Config) { c.PushOnly = true }, func(w *world) { w.spoil(row.f, hole) })
		average, worst := coverage(all)
		payloads := mean(all, func(o *outcome) float64 { return o.payloads })
		t.Logf("f=%v: coverage %.5f, worst %.5f, payloads %.2f", row.f, average, worst, payloads)
		if average < row.average || worst < row.worst {
			t.Errorf("f=%v: coverage %.5f, worst %.5f, want %v, %v", row.f, average, worst, row.average, row.worst)
		}
	}
}

// TestRepairAmongHoles: with repair practically nobody is missed.
func TestRepairAmongHoles(t *testing.T) {
	statistical(t)
	for _, row := range []struct{ f, average float64 }{{0.1, 0.99999}, {0.2, 0.9999}, {0.3, 0.9998}} {
		all := figures(t, 10, nil, func(w *world) { w.spoil(row.f, hole) })
		average, worst := coverage(all)
		t.Logf("f=%v: coverage %.5f, worst %.5f", row.f, average, worst)
		if average < row.average {
			t.Errorf("f=%v: coverage %.5f, worst %.5f, want %v", row.f, average, worst, row.average)
		}
	}
}

// TestCostWithoutFaults: what a broadcast costs where nothing goes wrong, and how long it takes, in median round trips
// (here 200 ms).
func TestCostWithoutFaults(t *testing.T) {
	statistical(t)
	all := figures(t, 5, nil, nil)
	duplicates := mean(all, func(o *outcome) float64 { return o.duplicates })
	payloads := mean(all, func(o *outcome) float64 { return o.payloads })
	control := mean(all, func(o *outcome) float64 { return o.control })
	t99 := mean(all, func(o *outcome) float64 { return float64(o.times[len(o.times)*99/100]) / float64(200*time.Millisecond) })
	last := mean(all, func(o *outcome) float64 { return float64(slices.Max(o.times)) / float64(200*time.Millisecond) })
	t.Logf("duplicates %.2f, payloads %.2f, control %.2f, t99 %.2f round trips, last %.2f", duplicates, payloads, control, t99, last)
	if average, _ := coverage(all); average != 1 {
		t.Errorf("coverage %v", average)
	}
	if duplicates > 5 || payloads > 6 || control > 10 {
		t.Errorf("duplicates %.2f, payloads %.2f, control %.2f, want at most 5, 6, 10", duplicates, payloads, control)
	}
	if t99 > 2.4 || last > 3 {
		t.Errorf("t99 %.2f round trips, last %.2f, want at most 2.4, 3", t99, last)
	}
}

// TestCopiesFollowDelays: how many copies come beside the first depends on how even the delays are. Where all are equal the
// first copy has come over the fewest hops, with the largest duty; where a message may overtake five others it often has
// come over more hops, with less to pass on. Everybody is reached in any case.
func TestCopiesFollowDelays(t *testing.T) {
	statistical(t)
	of := func(delay func(w *world) time.Duration) float64 {
		all := figures(t, 5, nil, func(w *world) { w.delay = func() time.Duration { return delay(w) } })
		if average, _ := coverage(all); average != 1 {
			t.Errorf("coverage %v", average)
		}
		return mean(all, func(o *outcome) float64 { return o.duplicates })
	}
	equal := of(func(*world) time.Duration { return 100 * time.Millisecond })
	even := of(func(w *world) time.Duration { return time.Duration(40+w.rnd.IntN(120)) * time.Millisecond })
	wild := of(func(w *world) time.Duration { return time.Duration(w.rnd.ExpFloat64() * float64(100*time.Millisecond)) })
	t.Logf("duplicates %.2f with equal delays, %.2f with even ones, %.2f with wild ones", equal, even, wild)
	if !(wild+1 < even && even+.3 < equal) {
		t.Errorf("duplicates %.2f, %.2f, %.2f, want them to fall as delays get uneven", equal, even, wild)
	}
}

// TestDeadDelegatesAreReplaced: where 30 % of the contacts cannot be reached even the bare tree reaches all others.
func TestDeadDelegatesAreReplaced(t *testing.T) {
	statistical(t)
	all := figures(t, 10, func(c *Config) { c.Beta, c.PushOnly = []int{1}, true }, func(w *world) { w.spoil(0.3, dead) })
	payloads := mean(all, func(o *outcome) float64 { return o.payloads })
	t.Logf("payloads %.2f", payloads)
	if _, worst := coverage(all); worst != 1 {
		t.Errorf("worst coverage %v, want all", worst)
	}
	if payloads > 1.8 {
		t.Errorf("%.2f payloads a node, want at most 1.8", payloads)
	}
}

// TestInflatorsGainNothing: 5 % of the nodes claim heights that would give their delegates a larger duty. Good nodes
// then send as much as without them, and get it all.
func TestInflatorsGainNothing(t *testing.T) {
	statistical(t)
	payloads := func(o *outcome) float64 { return o.payloads }
	honest, attacked := figures(t, 5, nil, nil), figures(t, 5, nil, func(w *world) { w.spoil(0.05, inflator) })
	ratio := mean(attacked, payloads) / mean(honest, payloads)
	t.Logf("payloads %.2f, without them %.2f", mean(attacked, payloads), mean(honest, payloads))
	if ratio > 1.2 {
		t.Errorf("good nodes send %.2f times as much", ratio)
	}
	if average, _ := coverage(attacked); average < 0.9999 {
		t.Errorf("coverage %v", average)
	}
}

// TestFloodersPayForIt: 5 % of the nodes send to as many as they can with numbers that pass. That cannot be told from
// an honest node high up in the tree; but no good node sends more than its bound, and all of them together send less on
// top than the flooders do themselves.
func TestFloodersPayForIt(t *testing.T) {
	statistical(t)
	quiet, w := newWorld(t, population, 4, nil), newWorld(t, population, 4, nil)
	quiet.broadcast(quiet.nodes[0], []byte("x"))
	w.spoil(0.05, flooder)
	w.broadcast(w.nodes[0], []byte("x"))
	theirs, bound := 0, 0
	for _, x := range w.nodes {
		bound = max(bound, 4*len(x.table.buckets)+w.nodes[0].core.cfg.Rounds*w.nodes[0].core.cfg.Fanout)
		if x.conduct == flooder {
			theirs += x.payloads
		}
	}
	o, before := w.outcome(), quiet.outcome()
	added := (o.payloads - before.payloads) * population
	t.Logf("%d payloads of flooders, %.0f more of good nodes; at most %d by one of them, bound %d", theirs, added, o.most, bound)
	if added > float64(theirs) || o.most > bound {
		t.Error("flooding pays, or somebody went beyond the bound")
	}
	if o.coverage != 1 {
		t.Errorf("coverage %v", o.coverage)
	}
}

// TestInflatorsAreBlamed: nobody but them is.
func TestInflatorsAreBlamed(t *testing.T) {
	w := newWorld(t, 200, 3, nil)
	w.spoil(0.1, inflator)
	w.broadcast(w.nodes[0], []byte("x"))
	n := 0
	for _, x := range w.nodes {
		for _, b := range x.blames {
			if w.byID[b.To.ID].conduct != inflator || b.Reason != skad.SpreadHeight {
				t.Errorf("%v blamed for %v", b.To.ID, b.Reason)
			}
			n++
		}
	}
	if n == 0 {
		t.Error("nobody was blamed")
	}
}

// TestLossIsRepaired: without any acknowledgement, 12 % of all messages lost.
func TestLossIsRepaired(t *testing.T) {
	statistical(t)
	all := figures(t, 10, nil, func(w *world) { w.loss = 0.12 })
	if average, _ := coverage(all); average < 0.9999 {
		t.Errorf("coverage %.5f", average)
	}
}

// TestLargePayloads: beyond two hops a large payload is announced first: everybody has it, for fewer payloads, though
// they are later; and the figures of the holes hold.
func TestLargePayloads(t *testing.T) {
	statistical(t)
	large := make([]byte, announceAbove+1)
	run := func(share float64) (o outcome) {
		w := newWorld(t, population, 5, nil)
		w.spoil(share, hole)
		w.broadcast(w.nodes[0], large)
		return w.outcome()
	}
	small := figures(t, 1, nil, nil)[0]
	o := run(0)
	t.Logf("payloads %.2f, small ones %.2f, duplicates %.2f, control %.2f", o.payloads, small.payloads, o.duplicates, o.control)
	if o.coverage != 1 || o.payloads > 0.75*small.payloads {
		t.Errorf("coverage %v, %.2f payloads a node, small ones %.2f", o.coverage, o.payloads, small.payloads)
	}
	if o = run(0.2); o.coverage < 0.999 {
		t.Errorf("20 %% holes: coverage %v", o.coverage)
	}
}

// TestSameSeedSameWorld: two runs from one seed do the same in the same order; another seed does something else.
func TestSameSeedSameWorld(t *testing.T) {
	trace := func(seed uint64) (h uint64) {
		w := newWorld(t, 150, seed, nil)
		w.spoil(0.1, hole)
		w.onSend = func(from, to *node, m *Message) {
			kind := uint64(m.Op)<<32 | uint64(m.Hop)<<24 | uint64(m.Height)<<16 | uint64(len(m.IDs))
			for _, v := range []uint64{uint64(w.now), from.contact.ID[0], to.contact.ID[0], kind} {
				h = (h ^ v) * 0x100000001b3
				h ^= h >> 29
			}
		}
		for i := range 3 {
			w.broadcast(w.nodes[i], []byte{byte(i)})
		}
		return h
	}
	a, b, c := trace(1), trace(1), trace(2)
	if a != b {
		t.Errorf("same seed: %x and %x", a, b)
	}
	if a == c {
		t.Error("the trace does not depend on the seed")
	}
}

// TestOverRealTables: cores over the tables of skad cores, filled by its own rules: everybody gets it.
func TestOverRealTables(t *testing.T) {
	w := newWorld(t, 300, 9, nil)
	for i, x := range w.nodes {
		table, err := skad.New(skad.Config{Verifier: skad.Records(zeroPuzzle)}, x.contact, newRand(uint64(i)), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range w.rnd.Perm(len(w.nodes)) {
			table.Adopt(0, w.nodes[k].contact)
		}
		x.core.table = table
	}
	w.broadcast(w.nodes[0], []byte("x"))
	if o := w.outcome(); o.coverage != 1 || o.payloads > 7 {
		t.Errorf("coverage %v, %.2f payloads a node", o.coverage, o.payloads)
	}
}
