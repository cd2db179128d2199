package shared_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
)

// listening shares a transport that listens on two addresses.
func listening(t *testing.T) (*shared.Hub, []transport.Addr) {
	any := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
	h, err := shared.New(gnetio.New(gnetio.Config{Loops: 2}), 1, any, any)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, h.Bound()
}

// Who connects to an address reaches the Port that listens there, and no other; the Port may be gone and another one in its
// place.
func TestListen(t *testing.T) {
	h, at := listening(t)
	if len(at) != 2 || at[0] == at[1] || at[0].Port() == 0 {
		t.Fatalf("bound %v", at)
	}
	a, b, c := h.Port(), h.Port(), h.Port()
	ra, rb := newRecorder(), newRecorder()
	for _, x := range []struct {
		p    *shared.Port
		r    *recorder
		addr transport.Addr
	}{{a, ra, at[0]}, {b, rb, at[1]}} {
		if bound, err := x.p.Start(x.r, []transport.Addr{x.addr}); err != nil || len(bound) != 1 || bound[0] != x.addr {
			t.Fatalf("bound %v, %v", bound, err)
		}
	}
	if _, err := c.Start(newRecorder(), at[:1]); !errors.Is(err, shared.ErrListen) {
		t.Errorf("an address that is taken: %v", err)
	}
	a.Dial(t.Context(), at[1], "tag")
	out, in := wait(t, "a's link", ra.opened), wait(t, "b's link", rb.opened)
	if tag, _ := rb.tags.Load(in); tag != nil {
		t.Errorf("accepted with the tag %v", tag)
	}
	if _, err := out.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, "bytes", rb.bytes); got != "hello" {
		t.Errorf("b got %q", got)
	}
	if len(ra.opened) > 0 {
		t.Error("a was told of b's connection")
	}

	b.Cut() // as if killed
	if l := wait(t, "the end", ra.closed); l != out {
		t.Errorf("closed: %v", l)
	}
	wait(t, "b's own end", rb.closed)
	b.Dial(t.Context(), at[0], nil)
	if err := wait(t, "the refusal", rb.failed); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("a dial of a port that was cut: %v", err)
	}
	a.Dial(t.Context(), at[1], nil)
	wait(t, "the link that nobody takes", ra.opened)
	wait(t, "its end", ra.closed)

	again, r := h.Port(), newRecorder()
	if _, err := again.Start(r, at[1:]); err != nil {
		t.Fatal(err)
	}
	a.Dial(t.Context(), at[1], nil)
	wait(t, "the newcomer's link", r.opened)
	for _, p := range []*shared.Port{a, b, c, again} {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
}
