package engine_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func at(t testing.TB, s string) transport.Addr {
	t.Helper()
	a, err := transport.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// reach has a dial b at these addresses, and says how long it took in virtual time.
func (w *world) reach(a *engine.Network, id identity.ID, addrs ...transport.Addr) (*engine.PeerClient, time.Duration, error) {
	w.Helper()
	r := &dialResult{}
	began := w.Net().Now()
	if err := a.DialNodeAsync(id, addrs, r.put); err != nil {
		return nil, 0, err
	}
	w.Until("the dial to end", r.done)
	p, err := r.get()
	return p, w.Net().Now() - began, err
}

// leave ends a connection and waits until both sides know.
func (w *world) leave(p *engine.PeerClient, ends ...*engine.Network) {
	w.Helper()
	p.Disconnect(engine.CodeNone, "")
	w.Until("both to have parted", func() bool {
		for _, n := range ends {
			if all, _ := n.ConnMgr().Count(); all > 0 {
				return false
			}
		}
		return true
	})
}

// An address that says nothing costs the delay between two tries, one that refuses costs nothing; what worked is tried first
// the next time.
func TestDialNode(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: 10 * time.Millisecond})
	a, b := w.node(twoTransports(w)), w.node(twoTransports(w))
	vanished := at(t, "tcp://10.9.9.9:4001")
	w.Net().Host(vanished.Addr()).Vanish()
	refusing := transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(b.Addrs()[1].Addr(), 9)}
	quic := b.Addrs()[0]
	const soon = 150 * time.Millisecond

	p, took, err := w.reach(a, b.ID(), refusing, quic)
	if err != nil || p.RemoteAddr() != quic || took > soon {
		t.Fatalf("behind an address that refuses: %v after %v, %v", p, took, err)
	}
	w.leave(p, a, b)

	c := w.node(twoTransports(w))
	p, took, err = w.reach(c, b.ID(), vanished, quic)
	if err != nil || p.RemoteAddr() != quic || took < 250*time.Millisecond || took > 250*time.Millisecond+soon {
		t.Fatalf("behind an address that says nothing: %v after %v, %v", p, took, err)
	}
	w.leave(p, b, c)
	p, took, err = w.reach(c, b.ID(), vanished, quic)
	if err != nil || p.RemoteAddr() != quic || took > soon {
		t.Fatalf("the second time: %v after %v, %v", p, took, err)
	}
	again, took, err := w.reach(c, b.ID())
	if err != nil || again != p || took > time.Millisecond {
		t.Errorf("while it is open: %v after %v, %v; want the open peer at once", again, took, err)
	}
}

// When no address works the error says of each why.
func TestDialNodeInVain(t *testing.T) {
	w := simWorld(t, 2, simnet.Weather{Latency: 10 * time.Millisecond})
	a, b := w.node(twoTransports(w)), w.node(twoTransports(w))
	nobody := b.Addrs()[1].Addr()
	addrs := []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(nobody, 9)},
		{Proto: transport.QUIC, AddrPort: netip.AddrPortFrom(nobody, 9)}, a.Addrs()[1]}
	_, _, err := w.reach(a, b.ID(), addrs...)
	if err == nil {
		t.Fatal("connected to nobody")
	}
	for _, x := range addrs {
		if !strings.Contains(err.Error(), x.AddrPort.String()) {
			t.Errorf("%v\ndoes not name %v", err, x)
		}
	}
	if !errors.Is(err, simnet.ErrRefused) || !errors.Is(err, engine.ErrSelfDial) && !errors.Is(err, engine.ErrPeerMismatch) {
		t.Errorf("the reasons are not all in: %v", err)
	}
	if all, _ := a.ConnMgr().Count(); all != 0 {
		t.Errorf("%d peers are left", all)
	}
}

func TestDialNodeRefuses(t *testing.T) {
	w := simWorld(t, 3, simnet.Weather{})
	a, b := w.node(nil), w.node(nil)
	for _, c := range []struct {
		name  string
		id    identity.ID
		addrs []transport.Addr
		want  error
	}{
		{"nobody in particular", identity.ID{}, b.Addrs(), engine.ErrNeedsID},
		{"itself", a.ID(), b.Addrs(), engine.ErrSelfDial},
		{"nowhere", b.ID(), nil, engine.ErrNoTransport},
		{"by what nobody serves", b.ID(), []transport.Addr{at(t, "quic://10.0.0.1:1")}, engine.ErrNoTransport},
	} {
		if err := a.DialNodeAsync(c.id, c.addrs, func(*engine.PeerClient, error) { t.Errorf("%s: called back", c.name) }); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if _, err := a.DialNode(context.Background(), c.id, c.addrs); !errors.Is(err, c.want) {
			t.Errorf("%s, waiting: %v, want %v", c.name, err, c.want)
		}
	}
}

// The caller's context ends all tries.
func TestDialNodeCancelled(t *testing.T) {
	w := simWorld(t, 4, simnet.Weather{})
	a := w.node(twoTransports(w))
	vanished := at(t, "tcp://10.9.9.9:4001")
	w.Net().Host(vanished.Addr()).Vanish()
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	w.Do(func() {
		time.AfterFunc(time.Millisecond, cancel)
		_, err = a.DialNode(ctx, w.key(50).ID(), []transport.Addr{vanished, {Proto: transport.QUIC, AddrPort: vanished.AddrPort}})
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	w.Pass(time.Minute)
	if all, _ := a.ConnMgr().Count(); all != 0 {
		t.Errorf("%d peers", all)
	}
}

// Law: however the tries of two nodes that dial each other over all their transports overtake one another, the pair ends with
// one connection, both know it, and each component has seen one peer come.
func TestDialNodeRaces(t *testing.T) {
	for seed := range uint64(4) {
		// A handshake takes about as long as the delay between tries, so that two are often about to be open at once.
		w := simWorld(t, seed, simnet.Weather{Latency: 60 * time.Millisecond, Jitter: 80 * time.Millisecond})
		sa, sb := &witness{}, &witness{}
		a, b := w.node(twoTransports(w), withWitness(sa)), w.node(twoTransports(w), withWitness(sb))
		ra, rb := &dialResult{}, &dialResult{}
		if err := errors.Join(a.DialNodeAsync(b.ID(), b.Addrs(), ra.put), b.DialNodeAsync(a.ID(), a.Addrs(), rb.put)); err != nil {
			t.Fatal(err)
		}
		w.Until("both dials to end", func() bool { return ra.done() && rb.done() })
		w.Pass(5 * time.Second)
		pa, errA := ra.get()
		pb, errB := rb.get()
		if errA != nil || errB != nil || !pa.Connected() || !pb.Connected() {
			t.Fatalf("seed %d: %v, %v", seed, errA, errB)
		}
		ca, _ := a.ConnMgr().Count()
		cb, _ := b.ConnMgr().Count()
		upsA, downsA, _ := sa.count()
		upsB, downsB, _ := sb.count()
		if !slices.Equal([]int{ca, cb, upsA, upsB, downsA, downsB}, []int{1, 1, 1, 1, 0, 0}) {
			t.Fatalf("seed %d: %d and %d peers; %d and %d came, %d and %d went", seed, ca, cb, upsA, upsB, downsA, downsB)
		}
		if pa.LocalAddr().Proto != pb.LocalAddr().Proto {
			t.Fatalf("seed %d: one end is %v, the other %v", seed, pa.LocalAddr(), pb.LocalAddr())
		}
		w.End()
	}
}
