package proxy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/opcode"
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

// What waits for an end that does not read fills the relay's memory. It is not who comes last that ends, but a
// circuit of those who hold most, however that is spread; the others lose no byte.
func TestCrowdInMemory(t *testing.T) {
	for name, x := range map[string]struct{ circuits, each int }{
		"one circuit": {1, 240},
		"many":        {6, 40}, // each less than the others' one
	} {
		t.Run(name, func(t *testing.T) {
			w := sim(t)
			const memory = 256 << 10
			r := w.node(plan{proxy: proxy.Config{Serve: true, Limits: proxy.Limits{Memory: memory, Window: 1 << 20}},
				engine: func(c *engine.Config) { c.SendBuffer = 64 << 10 }})
			slow, invited := w.puppet()
			w.ask(w.dial(slow, r.at()), msg(reserve, uint32(3600)))
			circuit := func(ip string) (*puppet, func(messages int)) {
				u, p := w.from(ip, r)
				got, number := w.ask(p, msg(connect, slow.ID()))
				if got != proxy.None {
					t.Fatal(got)
				}
				return u, func(messages int) {
					for range messages {
						if err := p.TrySendRaw(opcode.ProxyRequestCode, msg(up, number, strings.Repeat("x", 1000))); err != nil {
							t.Fatal(err)
						}
						w.Pass(10 * time.Millisecond)
					}
				}
			}
			good, say := circuit("10.8.1.1")
			var crowd []*puppet
			var hog []func(int)
			for i := range x.circuits {
				bad, fill := circuit(fmt.Sprintf("10.9.9.%d", 1+i))
				crowd, hog = append(crowd, bad), append(hog, fill)
			}
			w.cutOff(slow)
			said := 0
			for ; r.proxy.Stats().Waiting == 0; said++ {
				say(1)
			}
			for _, fill := range hog {
				fill(x.each)
			}
			say(100)
			said += 100
			if got := r.proxy.Stats(); got.Waiting > memory || got.Waiting < 100_000 || len(good.ends) != 0 {
				t.Errorf("the good one has ended with %v: %+v", good.ends, got)
			}
			ended := 0
			for _, bad := range crowd {
				for _, why := range bad.ends {
					if ended++; why != proxy.Busy {
						t.Errorf("the crowd is told %v", why)
					}
				}
			}
			if ended == 0 || int64(ended) != r.proxy.Stats().Ended {
				t.Errorf("%d circuits of the crowd have ended: %+v", ended, r.proxy.Stats())
			}
			w.Net().Heal()
			w.Until("what waits", func() bool { return r.proxy.Stats().Waiting == 0 })
			w.Pass(time.Second)
			if got := invited.each[invited.invited[0]]; got != 1000*said {
				t.Errorf("%d of %d bytes have come", got, 1000*said)
			}
		})
	}
}
