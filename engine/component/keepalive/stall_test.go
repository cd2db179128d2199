package keepalive_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
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
				net, _, hb, sa, sb := pair(t, patient, &keepalive.Component{}, over...)
				net.Run(time.Minute)
				for range 3 { // at different times between two questions
					hb.Stall(stall)
					net.Run(stall + 7*time.Second)
				}
				net.Run(time.Minute)
				if !sa.up.Connected() || !sb.up.Connected() {
					t.Fatalf("closed: %v, %v", sa.up.CloseReason(), sb.up.CloseReason())
				}
				if silent := sb.up.SilentFor(); silent > 25*time.Second {
					t.Errorf("and has heard nothing for %v", silent)
				}
			})
		}
	}
}

// Stalls do not keep the dead alive: one that died during a stall is closed a Timeout after it, and one that died before short stalls that come
// again and again after as much time of listening.
func TestStallsAreNoSignOfLife(t *testing.T) {
	for name, over := range transports {
		t.Run(name+"/one", func(t *testing.T) {
			net, ha, hb, sa, sb := pair(t, &keepalive.Component{}, &keepalive.Component{}, over...)
			net.Run(time.Minute)
			const stall = 10 * time.Minute
			hb.Stall(stall)
			net.Run(time.Second)
			ha.Vanish()
			sa.dead = true
			net.Run(stall - time.Second + keepalive.TimeoutDefault + 2*look + time.Second)
			if sb.up.Connected() {
				t.Errorf("the dead peer is connected after %v of silence", sb.up.SilentFor())
			}
		})
		t.Run(name+"/many", func(t *testing.T) {
			net, ha, hb, sa, sb := pair(t, &keepalive.Component{}, &keepalive.Component{}, over...)
			net.Run(time.Minute)
			ha.Vanish()
			sa.dead = true
			died := net.Now()
			for sb.up.Connected() && net.Now() < died+10*time.Minute {
				hb.Stall(3 * time.Second)
				net.Run(6 * time.Second)
			}
			if sb.up.Connected() {
				t.Errorf("the dead peer is connected after %v of silence", sb.up.SilentFor())
			}
		})
	}
}

// Nodes that have been held up together do not go on asking together: what 300 of them ask leaves over the time between two looks.
func TestQuestionsAreSpread(t *testing.T) {
	for name, over := range transports {
		t.Run(name, func(t *testing.T) {
			net := simnet.New(1, simnet.Weather{Latency: 10 * time.Millisecond})
			server, host, seen := node(t, net, 1, &keepalive.Component{}, over...)
			const count = 200
			for i := range count {
				n, _, _ := node(t, net, byte(2+i), &keepalive.Component{}, over...)
				if err := n.DialAsync(engine.Target{Addr: server.Addrs()[0], ID: server.ID()}, func(*engine.PeerClient, error) {}); err != nil {
					t.Fatal(err)
				}
			}
			if !net.RunUntil(func() bool { return server.Stats().Peers == count }, time.Minute) {
				t.Fatalf("%d peers", server.Stats().Peers)
			}
			net.Run(10 * time.Second)
			host.Stall(20 * time.Second) // all of them ask, and are answered in one moment
			net.Run(21 * time.Second)
			most := 0
			for range 250 { // five rounds
				before := seen.asked
				net.Run(200 * time.Millisecond)
				most = max(most, seen.asked-before)
			}
			if mean := count / 25; seen.asked < 3*count || most > 4*mean {
				t.Errorf("%d questions, and %d of them within 200 ms; each asks within 5 s, so that %d are the mean", seen.asked, most, mean)
			}
		})
	}
}
