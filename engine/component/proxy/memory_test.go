package proxy_test

import (
	"runtime"
	"testing"

	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
)

func heap() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A pair costs its relay at most 2,000 bytes for everything that is not one of the two connections: two reservations, the
// circuit, and what is noted of both nodes.
func TestPairMemory(t *testing.T) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds take more")
	}
	w := sim(t)
	const pairs = 100
	r := w.relay(proxy.Limits{})
	type end struct {
		*puppet
		node *node
	}
	var ends []end
	for range 2 * pairs {
		n, p := w.puppet()
		w.dial(n, r.at())
		ends = append(ends, end{p, n})
	}
	w.Pass(1e9)
	before := heap()
	for i := range pairs {
		from, to := ends[2*i].node.peer(r.ID()), ends[2*i+1].node
		for _, n := range []*node{ends[2*i].node, to} {
			if got, _ := w.ask(n.peer(r.ID()), msg(reserve, uint32(3600))); got != proxy.None {
				t.Fatal(got)
			}
		}
		if got, _ := w.ask(from, msg(connect, to.ID())); got != proxy.None {
			t.Fatal(got)
		}
	}
	w.Pass(1e9) // what is used no more cools down
	each := int(heap()-before) / pairs
	t.Logf("%d bytes for each pair besides its connections", each)
	if s := r.proxy.Stats(); s.Circuits != pairs || s.Reservations != 2*pairs {
		t.Fatalf("%+v", s)
	}
	if each > 2000 {
		t.Errorf("a pair costs %d bytes besides its connections, at most 2,000", each)
	}
	runtime.KeepAlive(ends)
}

// A relay passes bytes on without allocating anything.
func TestForwardAllocs(t *testing.T) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	w := sim(t)
	r := w.relay(proxy.Limits{Bytes: 1 << 40})
	from, _, _, there, number := circuitOf(w, r)
	body := msg(up, number, string(make([]byte, 16000)))
	pass := func() {
		for range 8 {
			if err := from.TrySendRaw(opcode.ProxyRequestCode, body); err != nil {
				t.Fatal(err)
			}
		}
		w.Pass(100e6)
	}
	for range 100 {
		pass()
	}
	there.rooms = make([]uint64, 0, 1<<16)
	before := there.data
	got := testing.AllocsPerRun(50, pass)
	if there.data-before != 51*8*16000 {
		t.Fatalf("%d bytes have come", there.data-before)
	}
	if got > 2 { // the caller's puppet writes down each grant
		t.Errorf("%v allocations for 8 messages, promised 0 but for the list of grants", got)
	}
}
