package addressmap

import (
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// Who has moved before it leaves is taken from the network that it came from: its vote grows old like any other.
func TestVotesOfTheMoved(t *testing.T) {
	enginetest.Simulate(t, 3, simnet.Weather{Latency: 10 * time.Millisecond}, func(w *enginetest.World) {
		c := New(Config{})
		node := func(ip string, components ...engine.ComponentInterface) *engine.Network {
			return w.Start(w.New(w.ConfigAt(netip.MustParseAddr(ip), simnet.Datagrams(datagram.Config{})), components...))
		}
		n := node("25.64.0.10", c)
		for i, ip := range []string{"30.1.0.1", "30.2.0.1", "30.3.0.1"} {
			p := node(ip)
			there := w.Dial(p, n)
			var here *engine.PeerClient
			w.Until("open", func() (ok bool) { here, ok = n.ConnMgr().Peer(p.ID()); return ok })
			w.Host(p).Move(netip.AddrFrom4([4]byte{40, byte(i), 0, 1}))
			if err := there.PingAsync(time.Second, func(time.Duration, error) {}); err != nil {
				t.Fatal(err)
			}
			w.Until("a move", func() bool { return here.RemoteAddr() != here.Origin() })
			here.Disconnect(engine.CodeNone, "")
			w.Until("the end", func() bool { all, _ := n.ConnMgr().Count(); return all == 0 })
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if got := len(c.book.votes.groups); got != 3 {
			t.Fatalf("%d networks have voted, want 3", got)
		}
		if left := c.book.votes.present; len(left) != 0 {
			t.Errorf("peers are thought to be left: %v", left)
		}
	})
}
