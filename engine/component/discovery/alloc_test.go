package discovery_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A lookup request that is answered, and a Ping of the core with its Pong, allocate nothing on the node that answers or
// asks: all of its work between two sockets, in virtual time.
func TestSteadyStateAllocs(t *testing.T) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	w := simWorld(t, 1)
	quiet := func(c *discovery.Config) {
		c.Overlay.PingLeast, c.Overlay.PingMost = time.Hour, time.Hour
		c.Overlay.RefreshLeast, c.Overlay.RefreshMost, c.Overlay.BucketIdle = 24*time.Hour, 24*time.Hour, 24*time.Hour
	}
	w.swarm(20, setting{disc: quiet})
	w.Pass(5 * time.Minute) // what follows a join is over

	var e echo
	asker := w.Node(&e)
	p := w.Dial(asker, w.nodes[5].Network)
	m := skad.Message{Op: opcode.LookupNodeRequestCode, Nonce: 7, Key: randomKey(1), Count: 16, Payload: []byte{1, 0, 2, 0}} // of known records
	request := m.Append(nil)
	ask := func() {
		if err := p.TrySendRaw(opcode.LookupNodeRequestCode, request); err != nil {
			t.Fatal(err)
		}
		w.Pass(100 * time.Millisecond)
	}
	for range 50 {
		ask()
	}
	served, answers := w.nodes[5].Stats().Core.Served, e.answers
	if n := testing.AllocsPerRun(200, ask); n > 0 {
		t.Errorf("%v allocations for an answered lookup, promised 0", n)
	}
	if got := w.nodes[5].Stats().Core.Served - served; got < 201 || e.answers-answers != 201 { // others ask, too
		t.Errorf("%d served, %d answers, want 201", got, e.answers-answers)
	}
}

// A Ping of the core and its Pong allocate nothing either: twelve whole nodes that have all of each other in their tables
// and do nothing but ask whether the others are still there, so often that connections stay warm.
func TestPingAllocs(t *testing.T) {
	allocs, pings := pingAllocs(t, 150*time.Millisecond)
	if pings < 1200 {
		t.Errorf("%d pings at a time, want 1,200", pings)
	}
	if allocs != 0 {
		t.Errorf("%v allocations for %d pings, promised 0", allocs, pings)
	}
}

// Over a connection that has been silent for a while, as most are that a node only pings, each end expands its two keys
// anew and makes what is there to send from: five allocations. Keeping all that would be 2 kB more for each connection,
// of which a node may have a hundred thousand.
func TestColdPingAllocs(t *testing.T) {
	const ends, each = 2, 5
	allocs, pings := pingAllocs(t, time.Second)
	if pings < 300 {
		t.Errorf("%d pings at a time, want 300", pings)
	}
	if got := allocs / float64(pings); got > ends*(each+.25) { // a collection empties the pools of the buffers meanwhile
		t.Errorf("%.2f allocations a ping, want %d", got, ends*each)
	}
}

// pingAllocs returns what twelve nodes allocate in three seconds in which they ping each other, each contact every so often:
// the mean of ten, without what is less than one, such as what a collection has taken from a pool meanwhile.
func pingAllocs(t *testing.T, every time.Duration) (allocs float64, pings uint64) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	w := simWorld(t, 1)
	w.swarm(12, setting{disc: func(c *discovery.Config) {
		c.Overlay.PingLeast, c.Overlay.PingMost = every, every
		c.Overlay.RefreshLeast, c.Overlay.RefreshMost, c.Overlay.BucketIdle = 24*time.Hour, 24*time.Hour, 24*time.Hour
	}})
	w.Pass(10 * time.Minute) // what follows a join is over
	answered := func() (n uint64) {
		for _, x := range w.nodes {
			n += x.Stats().Core.Answered
		}
		return n
	}
	const times = 10
	before := answered()
	allocs = testing.AllocsPerRun(times, func() { w.Pass(3 * time.Second) })
	return allocs, (answered() - before) / (times + 1) // the first is not counted
}

// Who looks around does allocate: a lookup, its paths, what each question names. It is little where nobody has anything to
// tell, as in a neighbourhood that a node knows, and happens every few minutes.
func TestLookAroundAllocs(t *testing.T) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	w := simWorld(t, 1)
	w.swarm(20, setting{disc: func(c *discovery.Config) {
		c.Overlay.PingLeast, c.Overlay.PingMost = time.Hour, time.Hour
		c.Overlay.RefreshLeast, c.Overlay.RefreshMost, c.Overlay.BucketIdle = 24*time.Hour, 24*time.Hour, 24*time.Hour
	}})
	w.Pass(10 * time.Minute)
	n := w.nodes[7]
	before := n.Stats().Core.Answered
	const times, most = 100, 40
	allocs := testing.AllocsPerRun(times, func() {
		if err := n.Do(func(now time.Duration, core *skad.Core) { _ = core.LookAround(now) }); err != nil {
			t.Fatal(err)
		}
		w.Pass(100 * time.Millisecond)
	})
	questions := n.Stats().Core.Answered - before
	t.Logf("%v allocations", allocs)
	if questions < 4*times || allocs > most {
		t.Errorf("%v allocations for a look around, want %d; %d questions in %d of them", allocs, most, questions, times)
	}
}

// An echo counts answers.
type echo struct {
	engine.Component
	answers int
}

func (c *echo) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.LookupNodeResponseCode} }
func (c *echo) Receive(*engine.ComponentContext) error {
	c.answers++
	return engine.ErrIntercepted
}
