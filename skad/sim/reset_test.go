package sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestResets: whose connections break is found out before silence would show it. Of the nodes that are gone nobody is in a
// table after three seconds, and lookups ask none; without resets they are in all of them, as nobody has asked.
func TestResets(t *testing.T) {
	for _, resets := range []bool{false, true} {
		w, err := New(Config{Nodes: 200, Seed: 1, Still: true, Dead: .2, Resets: resets, Delays: Delays{time.Millisecond, time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		w.Fill()
		if err := w.run(context.Background(), 3*time.Second, never); err != nil {
			t.Fatal(err)
		}
		dead, all := 0, 0
		for _, n := range w.nodes {
			if n.down {
				continue
			}
			for _, m := range n.core.Members(w.now, nil) {
				all++
				if w.hosts.at(m.Contact.Addrs[0].Addr()).down {
					dead++
				}
			}
		}
		if got := float64(dead) / float64(all); resets && dead > 0 || !resets && got < .15 {
			t.Errorf("resets %v: %d of %d members are gone", resets, dead, all)
		}
		r, err := w.Lookups(context.Background(), LookupPlan{Lookups: 300})
		if err != nil {
			t.Fatal(err)
		}
		if resets && *r.SiblingsFound < 1 {
			t.Errorf("%v of the lookups are exact", *r.SiblingsFound)
		}
	}
}

// TestRefused: a question to a node that is gone fails as a refused dial does, a Ping later than others, and not at all where
// connections do not break.
func TestRefused(t *testing.T) {
	w, err := New(Config{Nodes: 2, Seed: 1, Resets: true, Delays: Delays{time.Millisecond, 0}})
	if err != nil {
		t.Fatal(err)
	}
	n, gone := w.nodes[0], w.nodes[1]
	gone.down = true
	if err := n.core.AskRecord(0, gone.contact); err != nil {
		t.Fatal(err)
	}
	w.settle(n)
	if err := w.run(context.Background(), refusedAfter-time.Millisecond, never); err != nil || n.core.Stats().Missed != 0 {
		t.Errorf("%d missed before it can be known, %v", n.core.Stats().Missed, err)
	}
	if err := w.run(context.Background(), refusedAfter+time.Millisecond, never); err != nil || n.core.Stats().Missed != 1 {
		t.Errorf("%d missed, %v", n.core.Stats().Missed, err)
	}
}

// TestDelays: half of the messages take less than the median that was asked for, nine of ten less than the other figure; and
// what makes no sense makes no negative delay.
func TestDelays(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 9))
	l := newLatency(rnd)
	l.delays = DelaysOf(10*time.Millisecond, 20*time.Millisecond)
	var all []time.Duration
	for range 20_000 {
		all = append(all, l.oneWay(3, 4, rnd.Float64()))
	}
	slices.Sort(all)
	for _, x := range []struct {
		part float64
		want time.Duration
	}{{.5, 10 * time.Millisecond}, {.9, 20 * time.Millisecond}} {
		if got := all[int(x.part*float64(len(all)))]; got < x.want*96/100 || got > x.want*104/100 {
			t.Errorf("p%v is %v, want %v", 100*x.part, got, x.want)
		}
	}
	for _, d := range []Delays{DelaysOf(0, 0), DelaysOf(time.Millisecond, 0), DelaysOf(time.Millisecond, time.Second)} {
		if d.Least < 0 || d.More < 0 {
			t.Errorf("%+v", d)
		}
	}
	if _, err := New(Config{Nodes: 2, Delays: Delays{Least: -1}}); err == nil {
		t.Error("messages that arrive before they are sent are accepted")
	}
}

// TestBroadcastsApart: the next one begins when everybody has had the one before, and the figures are the same.
func TestBroadcastsApart(t *testing.T) {
	var took [2]time.Duration
	for i, apart := range []time.Duration{0, 50 * time.Millisecond} {
		w, err := New(Config{Nodes: 100, Seed: 1, Still: true})
		if err != nil {
			t.Fatal(err)
		}
		w.Fill()
		r, err := w.Broadcasts(context.Background(), BroadcastPlan{Broadcasts: 10, Apart: apart})
		if err != nil {
			t.Fatal(err)
		}
		if took[i] = r.Virtual; *r.CoverageMean != 1 || *r.Duplicates < 3 || *r.Duplicates > 7 {
			t.Errorf("apart %v: coverage %v, copies %v", apart, *r.CoverageMean, *r.Duplicates)
		}
	}
	if took[0] < 100*time.Second || took[1] > 30*time.Second {
		t.Errorf("ten took %v", took)
	}
	w, _ := New(Config{Nodes: 100})
	if _, err := w.Broadcasts(context.Background(), BroadcastPlan{Apart: -1}); err == nil {
		t.Error("a negative span is accepted")
	}
}
