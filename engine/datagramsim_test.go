package engine_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// overDatagrams makes a node of a simulated world one over datagrams, and returns its host.
func overDatagrams(w *world, host **simnet.Host) func(*engine.Config) {
	return func(c *engine.Config) {
		n := len(w.nodes)
		addr := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		h := w.sim.Host(addr, simnet.Datagrams(datagram.Config{}))
		c.Transport = h
		c.Listen = []transport.Addr{{Proto: transport.UDP, AddrPort: netip.AddrPortFrom(addr, 4001)}}
		if host != nil {
			*host = h
		}
	}
}

// In a network that loses, repeats, cuts and shuffles datagrams each message comes once, whole, or not at all.
func TestDatagramsInBadWeather(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			weather := simnet.Weather{Latency: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.1, Twice: 0.1, Short: 0.05}
			w := simWorld(t, seed, weather)
			seen := &witness{}
			a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil), withWitness(seen))
			p := w.dial(a, b)
			const count = 2000
			for i := range count {
				if err := p.TrySendRaw(opNote, fmt.Appendf(nil, "note %04d", i)); err != nil {
					t.Fatal(err)
				}
				if i%20 == 0 {
					w.pass(time.Millisecond)
				}
			}
			w.pass(20 * time.Second)
			seen.mu.Lock()
			notes := slices.Clone(seen.notes)
			seen.mu.Unlock()
			slices.Sort(notes)
			if n := len(slices.Compact(slices.Clone(notes))); n != len(notes) {
				t.Errorf("%d notes came, %d of them again", len(notes), len(notes)-n)
			}
			if len(notes) < count*7/10 || len(notes) == count {
				t.Errorf("%d of %d notes came through 10 %% of loss and 5 %% of cuts", len(notes), count)
			}
			for _, s := range notes {
				if len(s) != len("note 0000") {
					t.Fatalf("a note came as %q", s)
				}
			}
			if p.CloseReason() != nil || b.Stats().FaultsPeers != 0 {
				t.Errorf("the weather has ended the connection: %v", p.CloseReason())
			}
		})
	}
}

// A handshake survives 30 % of loss each way in less than 3 s, in 99 of 100 cases.
func TestHandshakeThroughLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("300 worlds")
	}
	var took []time.Duration
	failed := 0
	for seed := range uint64(300) {
		w := simWorld(t, seed, simnet.Weather{Latency: 25 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.3})
		a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil))
		began := w.sim.Now()
		if _, err := w.tryDial(a, target(b)); err != nil {
			failed++
			continue
		}
		took = append(took, w.sim.Now()-began)
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("p50 %v, p99 %v, worst %v, %d of 300 failed", took[len(took)/2], p99, took[len(took)-1], failed)
	if p99 >= 3*time.Second || failed > 0 {
		t.Errorf("p99 %v with %d failures", p99, failed)
	}
}
