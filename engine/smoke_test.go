package engine_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

type hello struct{ Text string }
type answer struct{ N uint64 }

func node(t testing.TB, listen bool, change func(*engine.Config)) *engine.Network {
	t.Helper()
	id, err := identity.Generate(context.Background(), identity.Puzzle{}, identity.GenerateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := engine.Config{Transport: gnetio.New(gnetio.Config{}), Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true}
	if listen {
		cfg.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}
	}
	if change != nil {
		change(&cfg)
	}
	n, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSmoke(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a, b := node(t, true, nil), node(t, false, nil)
	for _, n := range []*engine.Network{a, b} {
		engine.Register[answer](n, 1001)
	}
	got := make(chan string, 10)
	engine.Handle(a, 1000, func(ctx *engine.ComponentContext, m *hello) error {
		if ctx.IsRequest() {
			return ctx.Reply(&answer{42})
		}
		got <- m.Text
		return nil
	})
	engine.Register[hello](b, 1000)
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := b.Dial(ctx, engine.Target{Addr: a.Addrs()[0], ID: a.ID()}.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(ctx, &hello{"hi"}); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "hi" {
		t.Fatal(s)
	}
	r, err := engine.Call[*answer](ctx, p, &hello{"?"})
	if err != nil || r.N != 42 {
		t.Fatal(r, err)
	}
	rtt, err := p.Ping(ctx)
	t.Log(rtt, err)
	if err := b.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", a.Stats())
}
