package discovery_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// What was accepted before the end is done, also if the home loop has not come to it yet. Else a caller
// without a deadline would wait for ever.
func TestEndDoesWhatWasAccepted(t *testing.T) {
	w := simWorld(t, 1)
	n := w.node(setting{})
	w.Pass(time.Second)
	silence := errors.New("nothing was told")
	looked := silence
	w.Do(func() { // Cleanup itself: what a network does before would wake the loop once more
		if err := n.DoUnwoken(func(time.Duration, *skad.Core) {
			then := func(_ *skad.Result, err error) { looked = err }
			if err := n.Lookup(randomKey(1), skad.LookupOptions{}, then); err != nil {
				looked = err
			}
		}); err != nil {
			t.Error(err)
		}
		n.Cleanup(n.Network)
	})
	if looked == silence {
		t.Error(silence)
	}
}

// Who waits for a connection is told at the end.
func TestEndOfConnect(t *testing.T) {
	w := simWorld(t, 1)
	w.swarm(3, setting{})
	n := w.nodes[2]
	nobody := skad.NewContact(identity.Record{Addrs: []transport.Addr{
		{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("10.9.9.9:4001")},
	}}, skad.Private)
	silence := errors.New("nothing was told")
	told := silence
	w.Do(func() {
		if err := n.Connect(nobody, func(_ *engine.PeerClient, err error) { told = err }); err != nil {
			t.Error(err)
		}
		n.Cleanup(n.Network)
	})
	if told == silence || told == nil {
		t.Errorf("the connection: %v", told)
	}
}

// A component that is taken out of a network that goes on leaves no protection behind.
func TestRemovedProtectsNobody(t *testing.T) {
	w := simWorld(t, 1)
	w.swarm(5, setting{})
	n := w.nodes[2]
	protected := func() (count int) {
		for _, x := range w.nodes {
			if n.ConnMgr().Protected(x.ID()) {
				count++
			}
		}
		return count
	}
	w.Until("members to be protected", func() bool { return protected() > 0 })
	w.Do(func() {
		if err := n.RemoveComponent(n.Component); err != nil {
			t.Error(err)
		}
	})
	if count := protected(); count != 0 {
		t.Errorf("%d peers are protected by nobody", count)
	}
}
