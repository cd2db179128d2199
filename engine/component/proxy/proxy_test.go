package proxy_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Two nodes that listen nowhere talk through a relay, in both directions and in messages of every size, each seeing the
// other under its own proven identity; the relay knows only that there is a circuit.
func TestRelayed(t *testing.T) {
	worlds(t, func(w *world) {
		r := w.relay(proxy.Limits{})
		a, b := w.hidden(r), w.hidden(r)
		p := w.dial(b, a.through(r))
		if p.ID() != a.ID() || !p.Relayed() || p.RemoteAddr() != a.through(r).Addr {
			t.Errorf("b is connected to %v at %v, relayed %v", p.ID(), p.RemoteAddr(), p.Relayed())
		}
		w.Until("a to see b", func() bool { return a.peer(b.ID()) != nil })
		if q := a.peer(b.ID()); !q.Relayed() || q.ID() != b.ID() {
			t.Errorf("a is connected to %v, relayed %v", q.ID(), q.Relayed())
		}
		for _, size := range []int{0, 1, 100, 16 << 10, 64 << 10, 1 << 20} {
			body := bytes.Repeat([]byte{byte(size)}, size)
			w.Do(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				if _, got, err := p.RequestRaw(ctx, opAsk, body, nil); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes: %d came back, %v", size, len(got), err)
				}
				if _, got, err := a.peer(b.ID()).RequestRaw(ctx, opAsk, body, nil); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes the other way: %d came back, %v", size, len(got), err)
				}
			})
		}
		if s := r.proxy.Stats(); s.Reservations != 2 || s.Circuits != 1 || s.Opened != 1 || s.Bytes < 4<<20 || s.Waiting != 0 || s.Violations != 0 {
			t.Errorf("the relay counts %+v", s)
		}
		if notes, _ := r.seen.got(); len(notes) != 0 {
			t.Errorf("the relay has seen %d messages", len(notes))
		}
		if rec := r.Record(); rec.Flags&identity.FlagRelay == 0 {
			t.Error("the relay's record does not say that it is one")
		}
		if addrs := a.Record().Addrs; len(addrs) != 1 || addrs[0] != a.through(r).Addr {
			t.Errorf("a's record names %v", addrs)
		}
		p.Close()
		w.Until("the circuit to end", func() bool {
			return a.peer(b.ID()) == nil && r.proxy.Stats().Circuits == 0 && a.proxy.Stats().Links == 0 && b.proxy.Stats().Links == 0
		})
		if s := r.proxy.Stats(); s.Ended != 1 || s.Stray > 2 {
			t.Errorf("the relay counts %+v", s)
		}
	})
}
