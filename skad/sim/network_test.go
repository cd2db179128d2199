package sim

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// TestSameSeedSameTrace: the same network does the same, event by event, on one processor and on all of them;
// another seed does something else.
func TestSameSeedSameTrace(t *testing.T) {
	run := func(procs int, seed uint64) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		a, err := AdversaryNamed("colluder")
		if err != nil {
			t.Fatal(err)
		}
		w := newNetwork(t, Config{Nodes: 200, Seed: seed, Adversary: a, Share: .2, Loss: .02})
		w.Fill()
		if _, err := w.Lookups(context.Background(), LookupPlan{Lookups: 100}); err != nil {
			t.Fatal(err)
		}
		if err := w.run(context.Background(), w.now+2*time.Minute, never); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Broadcasts(context.Background(), BroadcastPlan{Broadcasts: 2}); err != nil {
			t.Fatal(err)
		}
		if w.Events() < 1000 {
			t.Fatalf("only %d events", w.Events())
		}
		return w.TraceHash()
	}
	first := run(1, 5)
	if again := run(max(2, runtime.NumCPU()), 5); again != first {
		t.Errorf("the same seed has another trace: %s, %s", first, again)
	}
	if other := run(1, 6); other == first {
		t.Error("another seed has the same trace")
	}
}

// TestWhoHearsWhom: messages arrive at who is up, at the address it has, on the same side, unless they are lost.
func TestWhoHearsWhom(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   Config
		spoil func(w *Network, to *Node) *skad.Contact
		heard bool
	}{
		{"plain", Config{}, func(_ *Network, n *Node) *skad.Contact { return n.contact }, true},
		{"down", Config{}, func(_ *Network, n *Node) *skad.Contact { n.down = true; return n.contact }, false},
		{"other side", Config{}, func(_ *Network, n *Node) *skad.Contact { n.side = 1; return n.contact }, false},
		{"nobody there", Config{}, func(_ *Network, n *Node) *skad.Contact { return forge(n.contact, nowhere(1)) }, false},
		{"somebody else there", Config{}, func(w *Network, n *Node) *skad.Contact { return forge(n.contact, homeAddr(2)) }, false},
		{"all lost", Config{Loss: 1}, func(_ *Network, n *Node) *skad.Contact { return n.contact }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Nodes = 3
			w := newNetwork(t, tt.cfg)
			a, b := w.nodes[0], w.nodes[1]
			if err := a.core.AskRecord(w.now, tt.spoil(w, b)); err != nil {
				t.Fatal(err)
			}
			w.settle(a)
			if err := w.run(context.Background(), time.Second, never); err != nil {
				t.Fatal(err)
			}
			if got := a.core.Stats().Answered == 1; got != tt.heard {
				t.Errorf("answered: %v, want %v", got, tt.heard)
			}
		})
	}
}

// TestNotary: a record is believed with its own signature only.
func TestNotary(t *testing.T) {
	w := newNetwork(t, Config{Nodes: 2})
	c := w.nodes[0].contact
	if err := w.notary.Signature(c); err != nil {
		t.Errorf("a genuine record: %v", err)
	}
	if err := w.notary.Signature(forge(c, nowhere(1))); !errors.Is(err, errForged) {
		t.Errorf("another address: %v", err)
	}
	newer := *w.nodes[0].contact
	newer.Record.Seq++
	if err := w.notary.Signature(&newer); !errors.Is(err, errForged) {
		t.Errorf("another number: %v", err)
	}
	m := spread.Message{ID: spread.MessageID{1}, Origin: c.Record.PublicKey}
	m.Signature = pen{w.notary, m.Origin}.Sign("", m.ID[:])
	if err := w.notary.Verify("", &m); err != nil {
		t.Errorf("a genuine broadcast: %v", err)
	}
	m.ID[15]++
	if err := w.notary.Verify("", &m); !errors.Is(err, spread.ErrSignature) {
		t.Errorf("another broadcast: %v", err)
	}
	w.notary.gullible = true
	if err := w.notary.Signature(&newer); err != nil {
		t.Errorf("without signatures: %v", err)
	}
}

// TestConfigErrors: what makes no sense is an error, not a panic and not an endless run.
func TestConfigErrors(t *testing.T) {
	for _, cfg := range []Config{{Nodes: 1}, {Nodes: -5}, {Nodes: nodeLimit + 1}, {Loss: 1.5}, {Share: -1}, {Share: .5}, {Clients: 2}, {Homes: -1}, {Homes: .6, Clients: .6}, {K: 1000}, {Eta: 99}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		} else if !errors.Is(err, ErrConfig) && !errors.Is(err, skad.ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if _, err := AdversaryNamed("nobody"); !errors.Is(err, ErrConfig) {
		t.Errorf("an unknown adversary: %v", err)
	}
	for _, name := range Adversaries() {
		if _, err := AdversaryNamed(name); err != nil {
			t.Error(err)
		}
	}
	w := newNetwork(t, Config{Nodes: 4})
	w.Fill()
	if _, err := w.Lookups(context.Background(), LookupPlan{Lookups: -1}); !errors.Is(err, ErrConfig) {
		t.Errorf("negative lookups: %v", err)
	}
	if _, err := w.Lookups(context.Background(), LookupPlan{Paths: 99}); !errors.Is(err, skad.ErrOptions) {
		t.Errorf("99 paths: %v", err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := w.Lookups(stopped, LookupPlan{}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
