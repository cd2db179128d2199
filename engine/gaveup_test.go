package engine_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A wait that ends with its context says what the context says. If that is a deadline it is the same time-out besides as without
// one, so that a caller need not ask for both; a caller who has called it off has not waited too long.
func TestGaveUp(t *testing.T) {
	w := liveWorld(t)
	silent := &witness{on: func(*engine.ComponentContext) error { return nil }}
	p := w.dial(w.node(func(c *engine.Config) { c.DialTimeout, c.HandshakeTimeout = patience, patience }), w.node(nil, withWitness(silent)))
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	must(t, err)
	defer mute.Close()
	at := transport.Addr{Proto: transport.TCP, AddrPort: mute.Addr().(*net.TCPAddr).AddrPort()}
	waits := map[string]struct {
		late error
		f    func(context.Context) error
	}{
		"request": {engine.ErrReceiveTimeout, func(ctx context.Context) error {
			_, _, err := p.RequestRaw(ctx, opAsk, nil, nil)
			return err
		}},
		"receive": {engine.ErrReceiveTimeout, func(ctx context.Context) error {
			_, err := p.Receive(ctx, opTold)
			return err
		}},
		"gate": {engine.ErrReceiveTimeout, func(ctx context.Context) error {
			g, err := p.LockOnReceive(context.Background(), opTold)
			if err != nil {
				return err
			}
			defer g.Unlock()
			_, err = g.Receive(ctx)
			return err
		}},
		"dial": {engine.ErrDialTimeout, func(ctx context.Context) error {
			_, err := p.Network().Dial(ctx, at.String())
			return err
		}},
		"dial a node": {engine.ErrDialTimeout, func(ctx context.Context) error {
			_, err := p.Network().DialNode(ctx, identity.ID{1}, []transport.Addr{at})
			return err
		}},
	}
	called := errors.New("called off")
	for name, c := range waits {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		err := c.f(ctx)
		cancel()
		if !errors.Is(err, c.late) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, late: %v", name, err)
		}
		named, cancel := context.WithDeadlineCause(t.Context(), time.Unix(0, 0), called)
		err = c.f(named)
		cancel()
		if !errors.Is(err, c.late) || !errors.Is(err, called) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, late with a cause: %v", name, err)
		}
		off, cancelCause := context.WithCancelCause(t.Context())
		cancelCause(called)
		if err := c.f(off); errors.Is(err, c.late) || !errors.Is(err, called) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s, called off: %v", name, err)
		}
	}
}

// A sender who has waited for room is told both: that there was none, and why he waits no longer.
func TestNoRoom(t *testing.T) {
	w := liveWorld(t)
	stuck, free := make(chan struct{}, 1), make(chan struct{})
	holder := &witness{on: func(*engine.ComponentContext) error {
		select {
		case stuck <- struct{}{}:
		default:
		}
		<-free
		return nil
	}}
	a, b := w.node(func(c *engine.Config) { c.SendTimeout = time.Millisecond }), w.node(nil, withWitness(holder))
	p := w.dial(a, b)
	must(t, p.TrySendRaw(opNote, nil))
	<-stuck
	defer close(free)
	full := func(ctx context.Context) (err error) {
		for err == nil { // until kernel, window and queue are full
			err = p.SendRaw(ctx, opNote, make([]byte, 256<<10))
		}
		return err
	}
	if err := full(context.Background()); !errors.Is(err, engine.ErrSendBufferFull) || !errors.Is(err, engine.ErrSendTimeout) {
		t.Errorf("without a deadline: %v", err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if err := full(ctx); !errors.Is(err, engine.ErrSendBufferFull) || !errors.Is(err, engine.ErrSendTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late: %v", err)
	}
}
