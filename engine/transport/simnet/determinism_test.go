package simnet_test

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// crowd runs thirty nodes that dial, talk, wake, set alarms, offload and close at random for a minute of bad weather with a
// partition and a crash, and returns everything that happened. Every choice is the seed's.
func crowd(t testing.TB, seed uint64) (trace uint64, events []simnet.Event) {
	n := simnet.New(seed, simnet.Weather{
		Latency: 20 * time.Millisecond, Jitter: 15 * time.Millisecond, Loss: 0.02, Cut: 0.2, Rate: 100_000, ResetAfter: 3 * time.Second,
	})
	n.Observe(func(e simnet.Event) { events = append(events, e) })
	r := rand.New(rand.NewPCG(seed, 1))
	var nodes []*node
	for i := range byte(30) {
		nodes = append(nodes, newNode(t, n, netip.AddrFrom4([4]byte{10, 0, i % 3, 1 + i}), simnet.SendBuffer(30_000)))
	}
	for _, nd := range nodes {
		act := func(e *end) {
			switch r.IntN(10) {
			case 0:
				if len(nd.links) > 5 {
					return
				}
				to := tcp(nodes[r.IntN(len(nodes))].Addr(), port+uint16(r.IntN(5)/4)) // one in five finds no listener
				nd.Dial(t.Context(), to, nil)
			case 1:
				nd.Loops()[r.IntN(2)].Wake()
			case 2:
				nd.Offload(func() { nd.Loops()[0].Wake() })
			case 3:
				if r.IntN(5) == 0 {
					e.Close()
				}
			default:
				e.push(text(1 + r.IntN(40_000)))
			}
		}
		nd.onOpened = act
		nd.onBytes = func(e *end, _ []byte) { act(e) }
		nd.onTurn = func(lp transport.Loop) { lp.WakeAt(lp.Now() + time.Duration(r.IntN(1e9))) }
		nd.Dial(t.Context(), tcp(nodes[r.IntN(len(nodes))].Addr(), port), nil)
	}
	n.Run(20 * time.Second)
	n.Partition([]netip.Addr{nodes[0].Addr(), nodes[1].Addr(), nodes[2].Addr()}, []netip.Addr{nodes[3].Addr()})
	nodes[4].Crash()
	nodes[5].Vanish()
	n.Run(20 * time.Second)
	n.Heal()
	n.Run(20 * time.Second)
	return n.Trace(), events
}

// TestDeterminism: one seed, one run: event for event, whatever GOMAXPROCS is and whatever else the process does.
func TestDeterminism(t *testing.T) {
	trace, events := crowd(t, 1)
	if len(events) < 5_000 {
		t.Fatalf("%d events: too quiet to show anything", len(events))
	}
	kinds := make(map[simnet.Kind]int)
	for _, e := range events {
		kinds[e.Kind]++
	}
	for k := simnet.Opened; k <= simnet.Task; k++ {
		if kinds[k] == 0 {
			t.Errorf("nothing of kind %v happened: %v", k, kinds)
		}
	}
	for _, procs := range []int{1, 4} {
		before := runtime.GOMAXPROCS(procs)
		var runs sync.WaitGroup
		for range 2 {
			runs.Go(func() {
				again, same := crowd(t, 1)
				if again != trace {
					t.Errorf("GOMAXPROCS %d: trace %x, and %x before", procs, again, trace)
				}
				if i := firstDifference(events, same); i >= 0 {
					t.Errorf("GOMAXPROCS %d: event %d differs: %v", procs, i, same[i])
				}
			})
		}
		runs.Wait()
		runtime.GOMAXPROCS(before)
	}
	other, events2 := crowd(t, 2)
	if other == trace || firstDifference(events, events2) < 0 {
		t.Error("another seed gave the same run")
	}
}

func firstDifference(a, b []simnet.Event) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}

// TestTraceSeesAll: every part of an event and the order of events count.
func TestTraceSeesAll(t *testing.T) {
	run := func(size int, late time.Duration, link int, backwards bool) uint64 {
		n := simnet.New(1, simnet.Weather{})
		a, b := newNode(t, n, ipA), newNode(t, n, ipB)
		var ends []*end
		for range 2 {
			ea, eb := a.connect(b)
			ends = append(ends, ea, eb)
		}
		n.Run(late)
		two := []*end{ends[link], ends[3]}
		if backwards {
			slices.Reverse(two)
		}
		for _, e := range two {
			e.write(text(size))
		}
		n.Quiesce(time.Minute)
		return n.Trace()
	}
	seen := make(map[uint64]string)
	for name, trace := range map[string]uint64{
		"plain": run(10, 0, 0, false), "length": run(11, 0, 0, false), "time": run(10, 1, 0, false),
		"host": run(10, 0, 1, false), "link": run(10, 0, 2, false), "order": run(10, 0, 0, true),
	} {
		if other, ok := seen[trace]; ok {
			t.Errorf("%s and %s have one trace", name, other)
		}
		seen[trace] = name
	}
	if run(10, 0, 0, false) != run(10, 0, 0, false) {
		t.Error("the same run has two traces")
	}
}

// TestEventString holds the lines that people compare.
func TestEventString(t *testing.T) {
	at := 1204 * time.Millisecond
	for want, e := range map[string]simnet.Event{
		"1.204s 10.0.0.2 bytes link 4: 1432": {At: at, Host: ipB, Kind: simnet.Bytes, Link: 4, Len: 1432},
		"1.204s 10.0.0.2 opened link 4":      {At: at, Host: ipB, Kind: simnet.Opened, Link: 4},
		"1.204s 10.0.0.2 turn of loop 1":     {At: at, Host: ipB, Kind: simnet.Turn, Link: 1},
		"1.204s 10.0.0.2 dial failed":        {At: at, Host: ipB, Kind: simnet.DialFailed},
		"1.204s 10.0.0.2 kind-99":            {At: at, Host: ipB, Kind: 99},
	} {
		if got := e.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
