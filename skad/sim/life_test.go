package sim

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestJoins: nodes that come through one know their neighbours a few minutes later, clients too have joined,
// and nobody knows a client.
func TestJoins(t *testing.T) {
	statistical(t)
	w := newNetwork(t, Config{Nodes: 200, Seed: 1, Clients: .1})
	r, err := w.Joins(context.Background(), JoinPlan{Over: 3 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if *r.Success != 1 || *r.SiblingsFound < .999 || r.TimeToReady.P50 <= 0 {
		t.Errorf("%v have joined, %v of the neighbours are known, after %+v", *r.Success, *r.SiblingsFound, r.TimeToReady)
	}
	clients := map[any]bool{}
	for _, n := range w.nodes {
		if n.contact.Client() {
			clients[n.ID()] = true
		}
	}
	for _, n := range w.nodes {
		for _, c := range n.core.View().Closest(n.ID(), 96, nil) {
			if clients[c.ID] {
				t.Fatalf("node %d has client %v in its table", n.index, c.ID)
			}
		}
	}
	if _, err := w.Joins(context.Background(), JoinPlan{}); !errors.Is(err, ErrConfig) {
		t.Errorf("joining twice: %v", err)
	}
}

// TestHomes: a third of the nodes cannot be dialled and call themselves servers all the same. Those that can
// be know each other, and are found from everywhere; the others are in no table for longer than they are
// connected.
func TestHomes(t *testing.T) {
	statistical(t)
	w := newNetwork(t, Config{Nodes: 300, Seed: 3, Homes: .33})
	r, err := w.Joins(context.Background(), JoinPlan{Over: 5 * time.Minute, Wait: 20 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if *r.Success != 1 || *r.SiblingsFound < .99 {
		t.Errorf("%v have joined, %v of the neighbours that can be dialled are known", *r.Success, *r.SiblingsFound)
	}
	found := lookups(t, w, LookupPlan{Lookups: 300})
	if *found.Success < .99 || *found.SiblingsFound < .99 {
		t.Errorf("lookups: success %v, siblings found %v", *found.Success, *found.SiblingsFound)
	}
}

// TestRouters: a message reaches a node behind a router only if the node has called the sender, not long ago.
func TestRouters(t *testing.T) {
	w := newNetwork(t, Config{Nodes: 3, Homes: .4})
	server, other, home := w.nodes[0], w.nodes[1], w.nodes[2]
	steps := []struct {
		after    time.Duration
		from, to *Node
		want     bool
	}{
		{0, server, home, false}, {0, home, server, true}, {sessionLife, server, home, true}, {0, other, home, false},
		{sessionLife, server, home, true}, {sessionLife + 1, server, home, false}, {-sessionLife, server, home, false}, {0, server, other, true},
	}
	for i, s := range steps {
		if w.now += s.after; w.connected(s.from, s.to) != s.want {
			t.Errorf("step %d: not %v", i, s.want)
		}
	}
}

// TestPartition: while the network is divided its halves know their own, and within two rounds of refreshes
// they know each other again.
func TestPartition(t *testing.T) {
	statistical(t)
	w := newNetwork(t, Config{Nodes: 150, Seed: 2})
	w.Fill()
	r, err := w.Partition(context.Background(), PartitionPlan{})
	if err != nil {
		t.Fatal(err)
	}
	if *r.SiblingsApart > .7 {
		t.Errorf("divided, %v of the siblings are known: it was not divided", *r.SiblingsApart)
	}
	if r.HealSeconds == nil || *r.HealSeconds > 1200 {
		t.Errorf("not healed after two refresh intervals: %v of the siblings known", *r.SiblingsFound)
	}
}

// TestPartitionWithoutEnd: what does not heal in time is not called healed.
func TestPartitionWithoutEnd(t *testing.T) {
	statistical(t)
	w := newNetwork(t, Config{Nodes: 150, Seed: 2})
	w.Fill()
	r, err := w.Partition(context.Background(), PartitionPlan{Wait: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.HealSeconds != nil || *r.SiblingsFound > healed {
		t.Errorf("healed after %v seconds, %v known", r.HealSeconds, *r.SiblingsFound)
	}
}

// TestChurn: with sessions of a quarter of an hour on average, which means most of them much shorter, 95 of
// 100 lookups find their target.
func TestChurn(t *testing.T) {
	statistical(t)
	w := newNetwork(t, Config{Nodes: 120, Seed: 3})
	w.Fill()
	r, err := w.Churn(context.Background(), ChurnPlan{Mean: 1000 * time.Second, Warm: 4 * time.Minute, For: 4 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if r.Lookups < 120*3 || *r.Success < .95 {
		t.Errorf("%v of %d lookups succeed", *r.Success, r.Lookups)
	}
	if *r.Left < 20 || *r.UpkeepBytes < 50 {
		t.Errorf("%d nodes have left, upkeep is %v bytes a second", *r.Left, *r.UpkeepBytes)
	}
	up, listed := 0, 0
	for _, n := range w.nodes {
		if !n.down {
			up++
		}
		if w.hosts.at(n.contact.Addrs[0].Addr()) == n {
			listed++
		}
	}
	if up != 120 || listed != 120 {
		t.Errorf("%d nodes are up and %d can be reached, want 120", up, listed)
	}
}

// TestLifetimes: mean and median of the Weibull distribution with shape 1/2, and the mean of what is left of
// a lifetime at a random moment, which is E(X^2)/2E(X) = three times as long.
func TestLifetimes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	const n, mean = 400_000, time.Hour
	sum, below, rest := 0., 0, 0.
	for range n {
		x := lifetime(mean, rnd)
		sum += x.Hours() / n
		if x.Hours() < math.Ln2*math.Ln2/2 {
			below++
		}
		rest += remaining(mean, rnd).Hours() / n
	}
	if math.Abs(sum-1) > .02 || math.Abs(float64(below)/n-.5) > .005 || math.Abs(rest-3) > .1 {
		t.Errorf("mean %v, want 1; below the median %v; mean of the rest %v, want 3", sum, float64(below)/n, rest)
	}
}

// TestPlansThatMakeNoSense are refused.
func TestPlansThatMakeNoSense(t *testing.T) {
	w := newNetwork(t, Config{Nodes: 4})
	ctx := context.Background()
	if _, err := w.Joins(ctx, JoinPlan{Over: -1}); !errors.Is(err, ErrConfig) {
		t.Errorf("Joins: %v", err)
	}
	for _, p := range []PartitionPlan{{For: -1}, {Part: 1}, {Part: -1}, {Part: math.NaN()}} {
		if _, err := w.Partition(ctx, p); !errors.Is(err, ErrConfig) {
			t.Errorf("Partition %+v: %v", p, err)
		}
	}
	for _, p := range []ChurnPlan{{Mean: -1}, {Mean: 1}, {Every: 1}, {Warm: 1 << 62}} {
		if _, err := w.Churn(ctx, p); !errors.Is(err, ErrConfig) {
			t.Errorf("Churn %+v: %v", p, err)
		}
	}
}

// TestFilledNetworkIsAtRest: upkeep goes on as it always has. A network whose tables were all made in one
// moment would ping in step, and far more often at first.
func TestFilledNetworkIsAtRest(t *testing.T) {
	statistical(t)
	w := newNetwork(t, Config{Nodes: 300, Seed: 1})
	w.Fill()
	var events []uint64
	for range 6 {
		before := w.Events()
		if err := w.run(context.Background(), w.now+5*time.Minute, never); err != nil {
			t.Fatal(err)
		}
		events = append(events, w.Events()-before)
	}
	if least, most := slices.Min(events), slices.Max(events); least < 10_000 || most > least*4/3 {
		t.Errorf("events in each five minutes: %d", events)
	}
}
