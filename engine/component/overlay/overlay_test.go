package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// Whatever the key, the message arrives once, at the node closest to it, signed by its origin.
func TestRoute(t *testing.T) {
	worlds(t, func(w *world, count int) {
		w.swarm(count, 0)
		want := map[*node][]string{}
		for i, from := range w.nodes {
			k := overlay.KeyOf(fmt.Sprint("key ", i))
			if i == 3 {
				k = from.name() // its own closest
			}
			text := fmt.Sprint("message ", i)
			if err := w.route(from, k, text); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			to := w.closest(k)
			want[to] = append(want[to], text)
		}
		w.Until("everything to be delivered", func() bool {
			n := 0
			for _, x := range w.nodes {
				n += len(x.messages())
			}
			return n == count
		})
		w.Pass(5 * time.Second)
		for i, n := range w.nodes {
			got := n.messages()
			if len(got) != len(want[n]) {
				t.Errorf("node %d has %d messages, want %q", i, len(got), want[n])
			}
			for _, m := range got {
				var from int
				if _, err := fmt.Sscanf(string(m.Payload), "message %d", &from); err != nil || m.Origin != w.nodes[from].ID() || m.Direct || m.Number == 0 {
					t.Errorf("node %d was given %q as from %v", i, m.Payload, m.Origin.Short())
				}
			}
		}
	})
}

// A message for a node arrives there, once, and its sender is told; so do messages to and from nodes that nobody can dial,
// which are in no table.
func TestSendTo(t *testing.T) {
	worlds(t, func(w *world, count int) {
		w.swarm(count, 3)
		n := len(w.nodes)
		for i, pair := range [][2]int{{0, 5}, {7, n - 1}, {n - 1, 4}, {n - 1, n - 2}, {n - 2, n - 3}} {
			from, to := w.nodes[pair[0]], w.nodes[pair[1]]
			text := fmt.Sprint("to you ", i)
			if err := w.send(from, to, text); err != nil {
				t.Errorf("from %d to %d: %v; %+v", pair[0], pair[1], err, from.over.Stats())
				continue
			}
			got := to.messages()
			if len(got) == 0 || string(got[len(got)-1].Payload) != text || got[len(got)-1].Origin != from.ID() || !got[len(got)-1].Direct {
				t.Errorf("from %d to %d: acknowledged, and delivered is %+v", pair[0], pair[1], got)
			}
		}
		w.Pass(20 * time.Second)
		total := 0
		for _, x := range w.nodes {
			total += len(x.messages())
		}
		if total != 5 {
			t.Errorf("%d deliveries of 5 messages", total)
		}
		handed := uint64(0)
		for _, x := range w.nodes {
			handed += x.over.Stats().Handed
		}
		if handed == 0 {
			t.Error("nothing was handed to a hidden node by its neighbours")
		}
	})
}

// A receiver that has no room gets the message when it has; one that is gone is reported as not reached.
func TestReceiverAway(t *testing.T) {
	w := simWorld(t, 2)
	w.swarm(20, 0)
	a, b, c := w.nodes[1], w.nodes[2], w.nodes[3]
	b.full = true
	done := make(chan error, 1)
	if err := a.over.SendToAsync(b.ID(), []byte("later"), func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	w.Pass(5 * time.Second)
	if len(done) != 0 || len(b.messages()) != 0 {
		t.Fatal("acknowledged without being delivered")
	}
	b.full = false
	w.Until("the message to be received", func() bool { return len(done) == 1 })
	if err := <-done; err != nil || len(b.messages()) != 1 {
		t.Errorf("%v, %d messages", err, len(b.messages()))
	}
	w.Vanish(c.Network)
	if err := w.send(a, c, "anybody there?"); !errors.Is(err, overlay.ErrUnreachable) {
		t.Errorf("to a node that is gone: %v", err)
	}
	if s := a.over.Stats(); s.Sent != 2 || s.Resent == 0 || s.Receipts != 1 {
		t.Errorf("counted %+v", s)
	}
}

// A fifth of the nodes vanish at once: messages still arrive, at those that are left, and every node has living
// neighbours again.
func TestKilledAtOnce(t *testing.T) {
	w := simWorld(t, 3)
	w.swarm(40, 2)
	for _, n := range w.nodes[30:38] {
		w.Vanish(n.Network)
	}
	arrived := 0
	for i := range 20 {
		from, k := w.nodes[i], overlay.KeyOf(fmt.Sprint("after ", i))
		if err := w.route(from, k, "after"); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
		w.Pass(10 * time.Second)
		for _, m := range w.closest(k).messages() {
			if m.To == k {
				arrived++
			}
		}
	}
	if arrived < 19 {
		t.Errorf("%d of 20 arrived at the closest node that lives", arrived)
	}
	w.Pass(2 * time.Minute)
	hidden := w.nodes[40]
	if err := w.send(w.nodes[0], hidden, "still there?"); err != nil {
		t.Errorf("to a hidden node: %v", err)
	}
	for i, n := range w.nodes {
		if !w.Alive(n.Network) {
			continue
		}
		living := 0
		for _, d := range n.disc.View().Siblings()[:overlay.NeighboursDefault] {
			if p, ok := n.ConnMgr().Peer(d.ID.Identity()); ok && p.Connected() {
				living++
			}
		}
		if living < overlay.NeighboursDefault-1 {
			t.Errorf("node %d is connected with %d of its neighbours", i, living)
		}
	}
}

// A node that loses all connections has those with its neighbours again within seconds, protected from being evicted, and
// those alone: the others wait until they are needed.
func TestNeighbours(t *testing.T) {
	w := simWorld(t, 9)
	w.swarm(30, 0)
	n := w.nodes[7]
	for p := range n.ConnMgr().Peers() {
		p.Disconnect(engine.CodeNone, "")
	}
	w.Until("all to have gone", func() bool { all, _ := n.ConnMgr().Count(); return all == 0 })
	w.Pass(5 * time.Second)
	neighbours := n.disc.View().Siblings()[:overlay.NeighboursDefault]
	for k, d := range neighbours {
		id := d.ID.Identity()
		if p, ok := n.ConnMgr().Peer(id); !ok || !p.Connected() || !n.ConnMgr().Protected(id) {
			t.Errorf("neighbour %d: connected %t, protected %t", k, ok, n.ConnMgr().Protected(id))
		}
	}
	if s := n.over.Stats(); s.Neighbours != len(neighbours) {
		t.Errorf("counted %+v", s)
	}
	w.Do(func() {
		if err := n.RemoveComponent(n.over); err != nil {
			t.Error(err)
		}
		if err := n.RemoveComponent(n.disc); err != nil {
			t.Error(err)
		}
	})
	for _, other := range w.nodes {
		if n.ConnMgr().Protected(other.ID()) {
			t.Errorf("%v is protected by components that have gone", other.ID())
		}
	}
}

// Whoever has broken the rules of the broadcast often enough has no place in the overlay, and no connection.
func TestBanned(t *testing.T) {
	w := simWorld(t, 10)
	w.swarm(10, 0)
	n, liar := w.nodes[3], w.nodes[6]
	blame := func(d *skad.Contact) func(time.Duration, *skad.Core) {
		return func(now time.Duration, core *skad.Core) { core.Blame(now, d, skad.BadSignature) }
	}
	for i := range 2 {
		if _, connected := n.ConnMgr().Peer(liar.ID()); !connected {
			t.Fatalf("not connected after %d cases", i)
		}
		if err := n.disc.Do(blame(skad.NewContact(*liar.Record(), skad.Private))); err != nil {
			t.Fatal(err)
		}
		w.Pass(10 * time.Millisecond)
	}
	w.Pass(time.Second)
	if _, connected := n.ConnMgr().Peer(liar.ID()); connected || n.disc.Stats().Core.Bans != 1 {
		t.Errorf("connected %t, %d bans", connected, n.disc.Stats().Core.Bans)
	}
	for _, d := range n.disc.View().Siblings() {
		if d.ID == liar.name() {
			t.Error("still a neighbour")
		}
	}
}

// The record of a node comes from the node itself, also after it has changed; of one that is gone what others know.
func TestRecord(t *testing.T) {
	w := simWorld(t, 4)
	w.swarm(20, 0)
	a, b := w.nodes[3], w.nodes[11]
	ask := func(timeout time.Duration) (rec *identity.Record, err error) {
		ctx, cancel := context.WithCancel(t.Context())
		a.HomeLoop().After(timeout, cancel)
		w.Do(func() { rec, err = a.over.Record(ctx, b.ID()) })
		return rec, err
	}
	rec, err := ask(time.Minute)
	if err != nil || rec.Seq != b.Record().Seq || rec.PublicKey != b.Record().PublicKey {
		t.Fatalf("%+v, %v", rec, err)
	}
	if err := b.Advertise(b.Addrs(), 0); err != nil {
		t.Fatal(err)
	}
	if rec, err = ask(time.Minute); err != nil || rec.Seq != b.Record().Seq {
		t.Errorf("after a change: number %d, want %d: %v", rec.Seq, b.Record().Seq, err)
	}
	if _, err := a.over.Record(cancelled(), w.Key(999).ID()); err == nil {
		t.Error("the record of nobody")
	}
}

// A caller who has left before the lookup ended leaves nothing behind, although the node that is found never answers.
func TestRecordOfTheDead(t *testing.T) {
	w := simWorld(t, 4)
	w.swarm(20, 0)
	a, b := w.nodes[3], w.nodes[11]
	w.Vanish(b.Network)
	var err error
	w.Do(func() { _, err = a.over.Record(cancelled(), b.ID()) })
	if err == nil {
		t.Error("the record of a dead node")
	}
	w.Pass(10 * time.Second)
	if n := a.over.Asked(); n != 0 {
		t.Errorf("%d nodes are still asked", n)
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// A Deliver that panics loses the message that it panicked at, and no other; its sender is told of none that was not
// delivered.
func TestDeliverPanics(t *testing.T) {
	w := simWorld(t, 8)
	w.swarm(8, 0)
	from, to := w.nodes[1], w.nodes[2]
	to.poison = "poison"
	if err := from.over.SendToAsync(to.ID(), []byte("poison"), func(err error) {
		if err == nil {
			t.Error("acknowledged")
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.send(from, to, "food"); err != nil {
		t.Error(err)
	}
	if got := to.messages(); len(got) != 1 || string(got[0].Payload) != "food" || to.Network.Stats().Panics == 0 {
		t.Errorf("delivered %+v, %d panics", got, to.Network.Stats().Panics)
	}
}

// When the network stops, those who wait are told.
func TestStops(t *testing.T) {
	w := liveWorld(t)
	w.swarm(2, 0)
	a, b := w.nodes[0], w.nodes[1]
	b.full = true // it never acknowledges
	waiting := make(chan error, 2)
	go func() { waiting <- a.over.SendTo(t.Context(), b.ID(), []byte("for ever")) }()
	w.Until("it to be sent", func() bool { return a.over.Stats().Sent == 1 })
	w.Stop(a.Network)
	if err := <-waiting; !errors.Is(err, engine.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := a.over.Route(t.Context(), skad.ID{1}, nil); err == nil {
		t.Error("a stopped network routes")
	}
}

// What cannot be is said at once.
func TestRefusals(t *testing.T) {
	if _, err := overlay.New(overlay.Config{Copies: 99}); !errors.Is(err, overlay.ErrConfig) {
		t.Errorf("a config with two problems: %v", err)
	}
	d, err := discovery.New(discovery.Config{})
	if err != nil {
		t.Fatal(err)
	}
	idle, err := overlay.New(overlay.Config{Discovery: d})
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Route(t.Context(), skad.ID{1}, nil); !errors.Is(err, engine.ErrNotStarted) {
		t.Errorf("before the start: %v", err)
	}
	w := liveWorld(t)
	w.swarm(2, 0)
	a := w.nodes[0]
	ctx := t.Context()
	if err := a.over.Route(ctx, skad.ID{1}, make([]byte, overlay.PayloadLimit+1)); !errors.Is(err, overlay.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if err := a.over.SendTo(cancelled(), w.nodes[1].ID(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after ctx: %v", err)
	}
	onLoop := make(chan error, 3)
	a.HomeLoop().Post(func() {
		onLoop <- a.over.Route(ctx, skad.ID{1}, nil)
		onLoop <- a.over.SendTo(ctx, w.nodes[1].ID(), nil)
		_, err := a.over.Record(ctx, w.nodes[1].ID())
		onLoop <- err
	})
	for range 3 {
		if err := <-onLoop; !errors.Is(err, engine.ErrOnLoop) {
			t.Errorf("on a loop: %v", err)
		}
	}
	if err := a.over.SendTo(ctx, w.nodes[1].ID(), make([]byte, overlay.PayloadLimit)); err != nil {
		t.Errorf("the largest: %v", err)
	}
}
