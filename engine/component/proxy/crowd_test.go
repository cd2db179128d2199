package proxy_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
)

// from makes a puppet at an address, with a connection to a relay.
func (w *world) from(ip string, r *node) (*puppet, *engine.PeerClient) {
	w.Helper()
	p := &puppet{}
	n := w.node(plan{dumb: true, setup: func(n *node) {
		if err := n.AddComponent(p); err != nil {
			w.Fatal(err)
		}
	}, engine: func(c *engine.Config) {
		c.Transport, c.Listen = w.Net().Host(netip.MustParseAddr(ip)), nil
	}})
	return p, w.dial(n, r.at())
}

// A crowd at one place, which has all circuits to a node, or all of a relay, makes room for who comes from
// elsewhere, and not for more of its own; its circuits are ended with a reason, and the books are right when
// all have gone.
func TestCrowdMakesRoom(t *testing.T) {
	for name, limits := range map[string]proxy.Limits{
		"to one node": {CircuitsPerNode: 8},
		"in all":      {Circuits: 8},
	} {
		t.Run(name, func(t *testing.T) {
			w := sim(t)
			r := w.relay(limits)
			victim, invited := w.puppet()
			w.ask(w.dial(victim, r.at()), msg(reserve, uint32(3600)))
			var crowd []*puppet
			var peers []*engine.PeerClient
			for i := range 3 {
				bad, p := w.from(fmt.Sprintf("10.9.9.%d", 1+i), r)
				crowd, peers = append(crowd, bad), append(peers, p)
				for j := range 4 {
					want := proxy.None
					if i*4+j >= 8 {
						want = proxy.Full
					}
					if got, _ := w.ask(p, msg(connect, victim.ID())); got != want {
						t.Fatalf("circuit %d of the crowd: %v, want %v", i*4+j, got, want)
					}
				}
			}
			let := 0
			for i := range 12 { // each of a network of its own
				_, p := w.from(fmt.Sprintf("10.8.%d.1", i), r)
				peers = append(peers, p)
				got, _ := w.ask(p, msg(connect, victim.ID()))
				if got == proxy.None {
					let++
				} else if got != proxy.Full {
					t.Fatalf("from elsewhere: %v", got)
				}
			}
			w.Pass(time.Second)
			ended := 0
			for _, c := range crowd {
				for _, why := range c.ends {
					if ended++; why != proxy.Full {
						t.Errorf("the crowd is told %v", why)
					}
				}
			}
			if s := r.proxy.Stats(); let != 7 || ended != 7 || s.Circuits != 8 || s.Ended != 7 {
				t.Errorf("%d of elsewhere were let in, %d of the crowd's ended: %+v", let, ended, s)
			}
			if n := len(invited.invited); n != 15 {
				t.Errorf("the node was invited %d times", n)
			}
			for _, p := range peers {
				p.Close()
			}
			w.Until("all circuits to end", func() bool { return r.proxy.Stats().Circuits == 0 })
			late, p := w.from("10.9.9.99", r)
			for i := range 4 {
				if got, _ := w.ask(p, msg(connect, victim.ID())); got != proxy.None {
					t.Errorf("circuit %d when all have gone: %v", i, got)
				}
			}
			if len(late.ends) != 0 {
				t.Errorf("they have ended: %v", late.ends)
			}
		})
	}
}
