package keepalive_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// transports are what a pair may be connected over.
var transports = map[string][]simnet.HostOption{"tcp": nil, "udp": {simnet.Datagrams(datagram.Config{})}}

// A node that has not run, however long, closes nobody for what it has not read: it reads before it judges.
func TestStalledNodeClosesNobody(t *testing.T) {
	for name, over := range transports {
		for _, stall := range []time.Duration{30 * time.Second, time.Minute, time.Hour} {
			t.Run(name+"/"+stall.String(), func(t *testing.T) {
				patient := &keepalive.Component{Timeout: 24 * time.Hour}
				w, a, b := pair(t, patient, &keepalive.Component{}, over...)
				w.Pass(time.Minute)
				for range 3 { // at different times between two questions
					w.Host(b.node).Stall(stall)
					w.Pass(stall + 7*time.Second)
				}
				w.Pass(time.Minute)
				if !a.up.Connected() || !b.up.Connected() {
					t.Fatalf("closed: %v, %v", a.up.CloseReason(), b.up.CloseReason())
				}
				if silent := b.up.SilentFor(); silent > 25*time.Second {
					t.Errorf("and has heard nothing for %v", silent)
				}
			})
		}
	}
}

// Stalls do not keep the dead alive: one that died during a stall is closed a Timeout after it, and one that
// died before short stalls that come again and again after as much time of listening.
func TestStallsAreNoSignOfLife(t *testing.T) {
	for name, over := range transports {
		t.Run(name+"/one", func(t *testing.T) {
			w, a, b := pair(t, &keepalive.Component{}, &keepalive.Component{}, over...)
			w.Pass(time.Minute)
			const stall = 10 * time.Minute
			w.Host(b.node).Stall(stall)
			w.Pass(time.Second)
			w.Vanish(a.node)
			w.Pass(stall - time.Second + keepalive.TimeoutDefault + 2*look + time.Second)
			if b.up.Connected() {
				t.Errorf("the dead peer is connected after %v of silence", b.up.SilentFor())
			}
		})
		t.Run(name+"/many", func(t *testing.T) {
			w, a, b := pair(t, &keepalive.Component{}, &keepalive.Component{}, over...)
			w.Pass(time.Minute)
			w.Vanish(a.node)
			died := w.Net().Now()
			for b.up.Connected() && w.Net().Now() < died+10*time.Minute {
				w.Host(b.node).Stall(3 * time.Second)
				w.Pass(6 * time.Second)
			}
			if b.up.Connected() {
				t.Errorf("the dead peer is connected after %v of silence", b.up.SilentFor())
			}
		})
	}
}

// Nodes that have been held up together do not go on asking together: what 300 of them ask leaves over the
// time between two looks.
func TestQuestionsAreSpread(t *testing.T) {
	for name, over := range transports {
		t.Run(name, func(t *testing.T) {
			w := enginetest.Sim(t, 1, weather)
			server := start(w, &keepalive.Component{}, over...)
			const count = 200
			for range count {
				n := start(w, &keepalive.Component{}, over...).node
				if err := n.DialAsync(server.node.Target(), func(*engine.PeerClient, error) {}); err != nil {
					t.Fatal(err)
				}
			}
			w.Until("everybody to be connected", func() bool { return server.node.Stats().Peers == count })
			w.Pass(10 * time.Second)
			w.Host(server.node).Stall(20 * time.Second) // all of them ask, and are answered in one moment
			w.Pass(21 * time.Second)
			most := 0
			for range 250 { // five rounds
				before := server.asked
				w.Pass(200 * time.Millisecond)
				most = max(most, server.asked-before)
			}
			if mean := count / 25; server.asked < 3*count || most > 4*mean {
				t.Errorf("%d questions, and %d of them within 200 ms; each asks within 5 s, so that %d are the mean", server.asked, most, mean)
			}
		})
	}
}

// A question that stood before a partition for seconds is a round trip, too. The next one shows what the path
// is, and is believed.
func TestRoundTripAfterPartition(t *testing.T) {
	w, a, _ := pair(t, &keepalive.Component{}, &keepalive.Component{})
	w.Pass(keepalive.EveryDefault - time.Second)
	w.Net().Partition([]netip.Addr{a.up.LocalAddr().Addr()})
	w.Pass(look + 9*time.Second)
	w.Net().Heal()
	w.Pass(10 * time.Second)
	if rtt := a.up.RTT(); rtt < 5*time.Second {
		t.Fatalf("the round trip through the partition is measured as %v", rtt)
	}
	w.Pass(keepalive.EveryDefault + look)
	if rtt := a.up.RTT(); rtt < 20*time.Millisecond || rtt > 21*time.Millisecond {
		t.Errorf("after the next one it is %v", rtt)
	}
}
