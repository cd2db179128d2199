package skad

import (
	"runtime"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
)

// TestSteadyStateDoesNotAllocate: what a node does all day costs no memory: to answer a ping, to answer a lookup
// request, to ping and to take the answer.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	if raceEnabled || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	c := fullCore(t)
	rnd := newRand(1)
	friend := Peer{c.slots[c.members[3]].contact, true}
	stranger := Peer{fakeContact(randomID(rnd), 99_999), true}
	take := func(want opcode.Opcode) (last Message) {
		n := 0
		for a, ok := c.Next(); ok; a, ok = c.Next() {
			last = a.Message
			n++
		}
		if n != 1 || last.Op != want {
			t.Fatalf("%d actions, the last one sends %v, want one %v", n, last.Op, want)
		}
		return last
	}
	ping := Message{Op: opcode.PingCode, Nonce: 7}
	request := Message{Op: opcode.LookupNodeRequestCode, Nonce: 8, Count: 16}
	now := time.Duration(0)
	for _, step := range []struct {
		name string
		run  func()
	}{
		{"a ping of a member", func() { c.Receive(now, friend, &ping); take(opcode.PongCode) }},
		{"a lookup request of a member", func() {
			request.Key = randomID(rnd)
			c.Receive(now, friend, &request)
			if m := take(opcode.LookupNodeResponseCode); len(m.Contacts) != 16 {
				t.Fatalf("%d contacts in the answer", len(m.Contacts))
			}
		}},
		{"a ping of a stranger without a place", func() { c.Receive(now, stranger, &ping); take(opcode.PongCode) }},
		{"our ping and its pong", func() {
			now = c.Deadline()
			c.Expire(now)
			for a, ok := c.Next(); ok; a, ok = c.Next() {
				if a.Kind == ActionSend && a.Message.Op == opcode.PingCode {
					c.Receive(now, Peer{a.To, true}, &Message{Op: opcode.PongCode, Nonce: a.Message.Nonce})
				}
			}
		}},
	} {
		for range 50 {
			step.run() // grows what it will reuse
		}
		if n := testing.AllocsPerRun(500, step.run); n != 0 {
			t.Errorf("%s: %v allocations, promised 0", step.name, n)
		}
	}
}

// TestMemoryOfANode: a core with the table of a 10,000 node network, with its replacement caches filled by passing
// strangers, stays within 16 kB of its own; the contacts are shared.
func TestMemoryOfANode(t *testing.T) {
	if raceEnabled || invariant.Enabled {
		t.Skip("checked builds are larger")
	}
	const nodes, population = 64, 10_000
	rnd := newRand(1)
	all := make([]*Contact, population)
	for i := range all {
		all[i] = fakeContact(randomID(rnd), i)
	}
	cfg := Config{Verifier: &fakes{}}
	cores := make([]*Core, nodes)
	before := heap()
	for i := range cores {
		c, err := New(cfg, all[i], newRand(uint64(i)), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range rnd.Perm(population) {
			c.Adopt(0, all[k])
		}
		for range 500 { // callers, a lookup, and a round of pings
			c.Receive(0, Peer{all[rnd.IntN(population)], true}, &Message{Op: opcode.PingCode, Nonce: 1})
			answerPings(c, 0)
		}
		for c.Deadline() < 40*time.Second {
			c.Expire(c.Deadline())
			answerPings(c, c.now)
		}
		cores[i] = c
	}
	each := int(heap()-before) / nodes
	contacts := cores[0].Len()
	t.Logf("%d B per node, %d contacts in the table of the first, %d known", each, contacts, cores[0].held)
	if each > 16<<10 {
		t.Errorf("%d B per node, limit 16 kB", each)
	}
	runtime.KeepAlive(cores)
	runtime.KeepAlive(all)
}

func answerPings(c *Core, now time.Duration) {
	for a, ok := c.Next(); ok; a, ok = c.Next() {
		if a.Kind == ActionSend && a.Message.Op == opcode.PingCode {
			c.Receive(now, Peer{a.To, true}, &Message{Op: opcode.PongCode, Nonce: a.Message.Nonce})
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkReceive(b *testing.B) {
	c := fullCore(b)
	friend := Peer{c.slots[c.members[3]].contact, true}
	rnd := newRand(1)
	keys := make([]ID, 1024)
	for i := range keys {
		keys[i] = randomID(rnd)
	}
	for _, bb := range []struct {
		name string
		m    Message
	}{{"ping", Message{Op: opcode.PingCode, Nonce: 7}}, {"lookup", Message{Op: opcode.LookupNodeRequestCode, Nonce: 8, Count: 16}}} {
		b.Run("message="+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				bb.m.Key = keys[i%1024]
				c.Receive(0, friend, &bb.m)
				c.Next()
			}
		})
	}
}
