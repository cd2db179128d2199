package skad

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// TestJoinIsTriedAgain: a node whose seeds are down tries again after one second, then two, and so on, at most a
// minute; when a seed is up it joins, and says so once.
func TestJoinIsTriedAgain(t *testing.T) {
	w := newWorld(t, 40, 1, nil)
	w.fill(2)
	seed := w.order[0]
	seed.down = true
	n := w.add(fakeContact(randomID(newRand(3)), 99), 4, nil)
	var tries []time.Duration
	n.core.Bootstrap(0, []*Contact{seed.core.Self()})
	for end := 5 * time.Minute; w.now < end; w.run(100 * time.Millisecond) {
		asked := n.core.Stats().Asked
		w.take(n)
		if asked > uint64(len(tries)) {
			tries = append(tries, w.now)
		}
	}
	if len(tries) < 8 || n.core.Joined() || n.core.Len() != 0 {
		t.Fatalf("%d tries at %v, joined %v", len(tries), tries, n.core.Joined())
	}
	for i := 2; i < len(tries); i++ {
		gap, before := tries[i]-tries[i-1], tries[i-1]-tries[i-2]
		if gap < before-200*time.Millisecond || gap > retryMost+2*time.Second {
			t.Errorf("try %d came %v after the one before, that one %v", i, gap, before)
		}
	}
	seed.down = false
	w.run(2 * time.Minute)
	ready := 0
	for _, a := range n.actions {
		if a.Kind == ActionReady {
			ready++
		}
	}
	verify(t, n.core)
	if !n.core.Joined() || ready != 1 || n.core.Len() < 40 {
		t.Errorf("joined %v, told %d times, %d contacts", n.core.Joined(), ready, n.core.Len())
	}
	if at := n.core.join.refreshAt; at == Never || at > w.now+n.core.cfg.RefreshMost {
		t.Errorf("next refresh at %v", at)
	}
}

// TestNewestSeedCounts: a node that has come back with a store full of nodes that are gone, and has then reached one that is
// there, asks that one too; and of a node that it knows as a seed already it takes the newer record.
func TestNewestSeedCounts(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(2)
	var gone []*Contact
	for i := range seedLimit + 8 {
		gone = append(gone, fakeContact(randomID(rnd), i))
	}
	c.Bootstrap(0, gone)
	if len(c.join.seeds) != seedLimit {
		t.Fatalf("%d seeds", len(c.join.seeds))
	}
	there := fakeContact(randomID(rnd), 200)
	moved := resigned(gone[3], func(r *identity.Record) { r.Seq = 9 })
	c.Bootstrap(0, []*Contact{there, moved, gone[3]})
	asked := map[*Contact]bool{}
	for end := 10 * time.Minute; c.Deadline() < end; {
		for _, a := range drain(c) {
			asked[a.To] = asked[a.To] || a.Kind == ActionSend
		}
		c.Expire(c.Deadline())
		verify(t, c)
	}
	if !asked[there] || !asked[moved] || len(c.join.seeds) != seedLimit {
		t.Errorf("the one that is there was asked: %v, the one with a newer record: %v; %d seeds", asked[there], asked[moved], len(c.join.seeds))
	}
}

// TestFirstNodeWaits: without seeds there is nobody to ask; the first caller makes it a network.
func TestFirstNodeWaits(t *testing.T) {
	c := newCore(t, 1, nil)
	c.Bootstrap(0, []*Contact{c.Self()})
	if list := drain(c); len(list) != 0 || c.Deadline() != Never || len(c.join.seeds) != 0 {
		t.Errorf("a node alone does %+v, next at %v", list, c.Deadline())
	}
	greet(c, time.Second, Peer{fakeContact(randomID(newRand(2)), 1), true})
	if verify(t, c); c.Len() != 1 {
		t.Error("the first caller is not in the table")
	}
}

// TestClientsTakePart: clients join and look up like everybody, and nobody ever has one in a table or an answer.
func TestClientsTakePart(t *testing.T) {
	w := &world{t: t, latency: 50 * time.Millisecond, nodes: map[ID]*node{}}
	rnd := newRand(5)
	for i := range 60 {
		flags := identity.Flags(0)
		if i%4 == 3 {
			flags = identity.FlagClient
		}
		d := fakeContact(randomID(rnd), i)
		n := w.add(fakeAt(d.ID, d.Addrs[0].Addr(), 1, flags), uint64(i), nil)
		n.core.Bootstrap(w.now, []*Contact{w.order[0].core.Self()})
		w.take(n)
		w.run(2 * time.Second)
	}
	w.run(time.Minute)
	client := w.order[59]
	if !client.core.Self().Client() || !client.core.Joined() {
		t.Fatal("the last node is no client, or has not joined")
	}
	var servers []*Contact
	for _, n := range w.order {
		verify(t, n.core)
		if d := n.core.Self(); !d.Client() {
			servers = append(servers, d)
		}
		for _, d := range n.core.View().contacts {
			if d.Client() {
				t.Fatal("a client is in a table")
			}
		}
	}
	key := randomID(rnd)
	r := w.lookup(client, key, LookupOptions{})
	c := newCore(t, 9, nil)
	for _, d := range servers {
		c.Adopt(0, d)
	}
	if want := c.Closest(key, 16, nil); !sameIDs(r.Closest, want) {
		t.Error("a client does not find the servers closest to a key")
	}
}

// TestPartitionHeals (C4): 150 nodes fall into two halves for ten minutes, each of which forgets the other; within two
// refresh intervals after they can hear each other again everybody has the closest of both as siblings.
func TestPartitionHeals(t *testing.T) {
	statistical(t)
	w := newWorld(t, 150, 6, nil)
	w.fill(7)
	for i, n := range w.order {
		n.core.Bootstrap(0, nil)
		w.take(n)
		n.side = i % 2
	}
	w.run(10 * time.Minute)
	strangers := 0
	for _, n := range w.order {
		for _, d := range n.core.Siblings(nil) {
			if w.nodes[d.ID].side != n.side {
				strangers++
			}
		}
	}
	if share := float64(strangers) / (150 * 48); share > .2 {
		t.Fatalf("after ten minutes %.2f of the sibling entries are still from the other half: the test shows nothing", share)
	}
	for _, n := range w.order {
		n.side = 0
	}
	w.run(20 * time.Minute)
	missing := 0
	for _, n := range w.order {
		verify(t, n.core)
		missing += misses(w.nearest(n.core.Self().ID, 16, n), n.core.Siblings(nil))
	}
	if missing > 150*16/100 {
		t.Errorf("%d of %d closest neighbours are missing", missing, 150*16)
	}
}

// TestMentionedInAnswers: what happens to the contacts of an answer, by what we know of them.
func TestMentionedInAnswers(t *testing.T) {
	rnd := newRand(8)
	by, member, stranger := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2), fakeContact(randomID(rnd), 3)
	newer := resigned(member, func(r *identity.Record) { r.Seq = 2 })
	elsewhere := resigned(member, func(r *identity.Record) { r.Addrs = stranger.Record.Addrs })
	for _, tt := range []struct {
		name    string
		d       *Contact
		use     *Contact
		checked bool
		dropped int // how many cases are counted, whatever the reason
	}{
		{"nobody", nil, nil, false, 0},
		{"ourselves", nil, nil, false, 0},
		{"a stranger", stranger, stranger, true, 0},
		{"a member, the same record", resigned(member, func(*identity.Record) {}), member, true, 0},
		{"a member, a newer record", newer, newer, true, 0},
		{"a member, another record of the same age, signed", elsewhere, member, true, 0},
		{"a member, forged", forged(member, 9), member, true, 1},
	} {
		c := newCore(t, 98, nil)
		c.Adopt(0, member)
		if tt.name == "ourselves" {
			tt.d = c.Self()
		}
		use, checked := c.mentioned(tt.d, by)
		dropped := 0
		for _, n := range c.Stats().Dropped {
			dropped += int(n)
		}
		if use != tt.use || checked != tt.checked && use != nil || dropped != tt.dropped {
			t.Errorf("%s: use %v, checked %v, %d dropped", tt.name, use, checked, dropped)
		}
		pings := 0
		for _, a := range drain(c) {
			if a.Kind == ActionSend && a.Message.Op == opcode.PingCode {
				pings++
			}
		}
		if want := map[bool]int{true: 1}[tt.d == stranger]; pings != want {
			t.Errorf("%s: %d pings, want %d", tt.name, pings, want)
		}
		verify(t, c)
	}
}

// TestProbesAreBounded: an answer full of strangers, and a crowd of callers, make us ping eight at a time; callers take
// at most half of the queue.
func TestProbesAreBounded(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(9)
	for i := range 200 {
		c.Connected(0, Peer{fakeContact(randomID(rnd), i), true})
	}
	if n := len(drain(c)); n != probeLimit || len(c.queue) != probeQueueLimit/2 {
		t.Errorf("%d pings, %d callers wait; want %d and %d", n, len(c.queue), probeLimit, probeQueueLimit/2)
	}
	by := fakeContact(randomID(rnd), 500)
	for i := range 200 {
		c.mentioned(fakeContact(randomID(rnd), 1000+i), by)
	}
	if len(c.queue) != probeQueueLimit {
		t.Errorf("%d wait, want %d", len(c.queue), probeQueueLimit)
	}
	verify(t, c)
	c.Expire(2 * time.Second) // the silent make room for those that wait
	if n := len(drain(c)); n != probeLimit {
		t.Errorf("%d pings when the first had timed out, want %d", n, probeLimit)
	}
	verify(t, c)
}

// TestDisconnectedFailsQuestions: the end of a session is a time-out at once, and costs nobody a place by itself.
func TestDisconnectedFailsQuestions(t *testing.T) {
	c := newCore(t, 1, nil)
	d := fakeContact(randomID(newRand(10)), 1)
	c.Adopt(0, d)
	id, err := c.Lookup(0, d.ID, LookupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	drain(c)
	c.Disconnected(time.Millisecond, d)
	ended := false
	for _, a := range drain(c) {
		ended = ended || a.Kind == ActionLookup && a.Result.Lookup == id && a.Result.Failed == 1
	}
	if verify(t, c); !ended || c.Len() != 1 {
		t.Errorf("lookup ended %v, %d in the table", ended, c.Len())
	}
}

// TestShortlistIsBounded: the farthest fresh candidate leaves, never one that an answer is awaited from.
func TestShortlistIsBounded(t *testing.T) {
	c := newCore(t, 1, nil)
	key := ID{}
	var l shortlist
	for i := range 10 {
		d := fakeContact(ID{uint64(100 - i)}, i)
		state := fresh
		if i == 0 {
			state = waiting
		}
		c.offer(&l, &key, candidate{contact: d, word: d.ID[0], state: state}, 4)
	}
	var words []uint64
	for _, cand := range l {
		words = append(words, cand.word)
	}
	if len(l) != 4 || words[0] != 91 || words[1] != 92 || words[2] != 93 || words[3] != 100 {
		t.Errorf("kept %v", words)
	}
	if err := l.check(&key); err != nil {
		t.Error(err)
	}
}

// TestLookingAroundIsCheapWithoutNews: all siblings are asked while there is news in the neighbourhood or somebody has not
// answered, else a few of them.
func TestLookingAroundIsCheapWithoutNews(t *testing.T) {
	w := newWorld(t, 200, 1, func(cfg *Config) { cfg.PingLeast, cfg.PingMost = 24*time.Hour, 24*time.Hour })
	w.fill(2)
	n := w.order[0]
	look := func() uint64 {
		t.Helper()
		before := n.core.Stats().Asked
		if err := n.core.LookAround(w.now); err != nil {
			t.Fatal(err)
		}
		w.take(n)
		w.run(10 * time.Second)
		return n.core.Stats().Asked - before
	}
	const all, few = 16, 4
	if asked := look(); asked < all {
		t.Errorf("after joining %d are asked, want %d", asked, all)
	}
	if asked := look(); asked > few {
		t.Errorf("without news %d are asked, want %d", asked, few)
	}
	newcomer := fakeContact(n.core.self.ID.randomIn(20, newRand(3)), 999)
	n.core.Adopt(w.now, newcomer) // nobody answers there
	if asked := look(); asked < all {
		t.Errorf("with news %d are asked, want %d", asked, all)
	}
	if !n.core.join.unsure {
		t.Error("somebody has not answered, and that is not noted")
	}
	look() // the newcomer's place has gone to somebody else, which is news
	if asked := look(); asked > few {
		t.Errorf("when all is well again %d are asked, want %d", asked, few)
	}
	n.core.join.news, n.core.join.unsure = false, true
	if asked := look(); asked < all {
		t.Errorf("as somebody had not answered %d are asked, want %d", asked, all)
	}
	if n.core.join.unsure {
		t.Error("all have answered, and that is not noted")
	}
}
