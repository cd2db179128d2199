package backoff

import (
	"net/netip"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A peer that is disabled just when its turn has come is not dialled: it has no addresses any more.
func TestDisabledAsItsTurnComes(t *testing.T) {
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	id := identity.ID{7}
	at := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("10.0.0.7:4001")}
	if err := c.Enable(engine.Target{ID: id, Addr: at}); err != nil {
		t.Fatal(err)
	}
	l := c.peers[id]
	l.dialling, c.dialling = true, 1 // as turn leaves it
	if err := c.Disable(id); err != nil {
		t.Fatal(err)
	}
	c.dial(l)
	if s := c.Stats(); s.Dialling != 0 || l.dialling {
		t.Errorf("%+v", s)
	}
}
