package simnet

import (
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A mute is a Sink that keeps its links.
type mute struct{ links []*Link }

func (m *mute) Opened(l transport.Link, _ any) { m.links = append(m.links, l.(*Link)) }
func (m *mute) Bytes(transport.Link, []byte)   {}
func (m *mute) Writable(transport.Link)        {}
func (m *mute) Closed(transport.Link, error)   {}
func (m *mute) Turn(transport.Loop)            {}
func (m *mute) DialFailed(any, error)          {}
func (m *mute) Refused(transport.Addr, error)  {}
func (m *mute) Failed(error)                   {}

// TestIdleKeepsNothing: a link with nothing under way holds no buffer, and a link whose end has arrived is forgotten by its
// host.
func TestIdleKeepsNothing(t *testing.T) {
	n := New(1, Weather{})
	addr := netip.MustParseAddr("10.0.0.1")
	h, m := n.Host(addr), new(mute)
	bound, err := h.Start(m, []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		h.Dial(t.Context(), bound[0], nil)
	}
	n.Quiesce(time.Minute)
	for _, l := range m.links {
		if k, err := l.Write(make([]byte, 1000)); k != 1000 || err != nil {
			t.Fatalf("wrote %d, %v", k, err)
		}
	}
	n.Quiesce(time.Minute)
	for _, l := range m.links {
		if l.out.buf != nil || l.out.length() != 0 || l.out.gone != len(l.out.segs) {
			t.Fatalf("%v keeps %d bytes of buffer", l, cap(l.out.buf))
		}
	}
	if len(h.links) != 200 || len(n.buffers) != 200 {
		t.Errorf("%d links open and %d buffers free, want 200 of each", len(h.links), len(n.buffers))
	}
	for _, l := range m.links[:100] {
		l.Close()
	}
	n.Quiesce(time.Minute)
	if len(h.links) != 0 || len(h.dials) != 0 || len(n.queue.heap) != 0 {
		t.Errorf("left over: %d links, %d dials, %d events", len(h.links), len(h.dials), len(n.queue.heap))
	}
}
