package skad

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// respond sends the answer of a node that plays its own game.
func (w *world) respond(n, to *node, m Message) {
	w.flights = append(w.flights, flight{w.now + w.latency, n, to, m})
}

// corrupt gives a share of the nodes to an adversary, never the first one, from which the tests ask.
func (w *world) corrupt(share float64, seed uint64, answer func(w *world, n, from *node, m *Message) bool) map[ID]bool {
	rnd := newRand(seed)
	bad := map[ID]bool{}
	for _, k := range rnd.Perm(len(w.order) - 1)[:int(share*float64(len(w.order)))] {
		w.order[k+1].answer = answer
		bad[w.order[k+1].core.Self().ID] = true
	}
	return bad
}

// honest returns those that are not bad.
func honest(list []*Contact, bad map[ID]bool) []*Contact {
	return slices.DeleteFunc(slices.Clone(list), func(d *Contact) bool { return bad[d.ID] })
}

// misses counts how many of want are not in have.
func misses(want, have []*Contact) (n int) {
	for _, d := range want {
		if !slices.ContainsFunc(have, func(x *Contact) bool { return x.ID == d.ID }) {
			n++
		}
	}
	return n
}

// TestLookupsAmongAdversaries: with every kind of liar at a fifth of 400 nodes, lookups over eight paths find every
// honest node responsible for their keys; what lies in an answer is blamed on the liar.
func TestLookupsAmongAdversaries(t *testing.T) {
	const nodes, share, lookups = 400, .2, 60
	var bad map[ID]bool
	colluders := func(w *world, n, from *node, m *Message) bool { // the closest of themselves, and never anybody else
		if m.Op != opcode.LookupNodeRequestCode {
			return false
		}
		var list []*Contact
		for _, x := range w.nearest(m.Key, nodes, from) {
			if bad[x.ID] && x.ID != n.core.Self().ID && len(list) < int(m.Count) {
				list = append(list, x)
			}
		}
		w.respond(n, from, Message{Op: opcode.LookupNodeResponseCode, Nonce: m.Nonce, Contacts: list})
		return true
	}
	forgers := func(w *world, n, from *node, m *Message) bool { // the true closest, at false addresses
		if m.Op != opcode.LookupNodeRequestCode {
			return false
		}
		var list []*Contact
		for i, x := range w.nearest(m.Key, int(m.Count), from) {
			if !bad[x.ID] {
				x = forged(x, nodes+i)
			}
			list = append(list, x)
		}
		w.respond(n, from, Message{Op: opcode.LookupNodeResponseCode, Nonce: m.Nonce, Contacts: list})
		return true
	}
	silent := func(_ *world, _, _ *node, m *Message) bool { return m.Op == opcode.LookupNodeRequestCode }
	for _, tt := range []struct {
		name   string
		answer func(w *world, n, from *node, m *Message) bool
		reason Reason // what they are blamed for
	}{{"colluders", colluders, Late}, {"forgers", forgers, BadSignature}, {"silent", silent, Late}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nodes, 11, nil)
			w.fill(12)
			bad = w.corrupt(share, 13, tt.answer)
			rnd := newRand(14)
			n := w.order[0]
			lost, all := 0, 0
			for range lookups {
				key := randomID(rnd)
				r := w.lookup(n, key, LookupOptions{})
				want := honest(w.nearest(key, 16, n), bad)
				all += len(want)
				lost += misses(want, r.Closest)
				assertDisjoint(t, r)
			}
			verify(t, n.core)
			if float64(lost) > .005*float64(all) {
				t.Errorf("%d of %d honest siblings were not found", lost, all)
			}
			st := n.core.Stats()
			if tt.reason != Late && st.Dropped[tt.reason] == 0 {
				t.Errorf("nobody was blamed as %v: %v", tt.reason, st.Dropped)
			}
			for r, count := range st.Dropped {
				if count > 0 && Reason(r).Weight() > 0 && Reason(r) != tt.reason {
					t.Errorf("%d cases of %v, which nobody has done", count, Reason(r))
				}
			}
		})
	}
}

// TestForgedRecordDoesNotHideANode: whoever answers first with a forged record of an honest node does not keep the
// lookup from the genuine one, and is blamed for it.
func TestForgedRecordDoesNotHideANode(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.K, cfg.Siblings, cfg.Eta = 2, 2, 1 })
	rnd := newRand(2)
	key := c.self.ID.randomIn(0, rnd)
	liar, honest := fakeContact(c.self.ID.randomIn(0, rnd), 1), fakeContact(c.self.ID.randomIn(0, rnd), 2)
	victim := fakeContact(key.randomIn(60, rnd), 3)
	c.Adopt(0, liar) // they fill the bucket, so the victim is a candidate of the lookup only, and its record is not checked when it is mentioned
	c.Adopt(0, honest)
	for i := range 2 {
		c.Adopt(0, fakeContact(c.self.ID.randomIn(30, rnd), 10+i)) // the siblings
	}
	if _, err := c.Lookup(0, key, LookupOptions{Paths: 1, Alpha: 3, Width: 3}); err != nil {
		t.Fatal(err)
	}
	var questions []Action
	for _, a := range drain(c) {
		if a.Message.Op == opcode.LookupNodeRequestCode {
			questions = append(questions, a)
		}
	}
	if len(questions) != 2 {
		t.Fatalf("%d questions", len(questions))
	}
	slices.SortFunc(questions, func(a, b Action) int {
		if a.To == liar {
			return -1
		}
		return 1
	})
	asked := 0
	for i, a := range questions {
		m := Message{Op: opcode.LookupNodeResponseCode, Nonce: a.Message.Nonce, Contacts: []*Contact{victim}}
		if i == 0 {
			m.Contacts[0] = forged(victim, 9)
		}
		c.Receive(0, Peer{a.To, true}, &m)
		for _, b := range drain(c) {
			if b.Kind == ActionSend && b.To.ID == victim.ID {
				if asked++; b.To != victim {
					t.Error("the forged address was asked")
				}
			}
		}
	}
	if asked != 1 || c.Stats().Dropped[BadSignature] == 0 {
		t.Errorf("the victim was asked %d times, %d forgeries counted", asked, c.Stats().Dropped[BadSignature])
	}
	if verify(t, c); c.slots[c.find(&liar.ID)].score == 0 || c.slots[c.find(&honest.ID)].score != 0 {
		t.Error("the forgery was blamed on the wrong one")
	}
}

// TestOfferSettlesDisputes: two records of one ID in a shortlist: the genuine one stays, of two genuine ones the newer.
func TestOfferSettlesDisputes(t *testing.T) {
	c := newCore(t, 1, nil)
	key := ID{5}
	good := fakeContact(ID{7}, 1)
	bad := forged(good, 2)
	newer := fakeAt(good.ID, netip.MustParseAddr("45.1.2.3"), 2, 0)
	by := fakeContact(ID{9}, 3)
	for _, tt := range []struct {
		name          string
		first, second *Contact
		want          *Contact
		forgeries     uint64
	}{{"forged first", bad, good, good, 1}, {"forged second", good, bad, good, 1}, {"newer second", good, newer, newer, 0}, {"newer first", newer, good, newer, 0}, {"both forged", bad, forged(good, 5), bad, 1}} {
		before := c.Stats().Dropped[BadSignature]
		var l shortlist
		for _, d := range []*Contact{tt.first, tt.second} {
			c.offer(&l, &key, candidate{contact: d, source: by, word: d.ID[0] ^ key[0]}, shortlistLimit)
		}
		if len(l) != 1 || l[0].contact != tt.want || c.Stats().Dropped[BadSignature]-before != tt.forgeries {
			t.Errorf("%s: %d candidates, record %v, %d forgeries", tt.name, len(l), l[0].contact.Record.Seq, c.Stats().Dropped[BadSignature]-before)
		}
	}
}

// TestOfferToTheGone: of one that was asked in vain a newer record counts, once, if it is genuine; nothing else does, and nothing
// changes one that has answered.
func TestOfferToTheGone(t *testing.T) {
	c := newCore(t, 1, nil)
	key := ID{5}
	good := fakeContact(ID{7}, 1)
	newer := resigned(good, func(r *identity.Record) { r.Seq = 2 })
	by := fakeContact(ID{9}, 3)
	for _, tt := range []struct {
		name    string
		state   standing
		tries   uint8
		offered *Contact
		again   bool
	}{
		{"newer", dead, 1, newer, true}, {"newer, but asked twice", dead, 2, newer, false}, {"the same", dead, 1, good, false},
		{"forged", dead, 1, forged(newer, 4), false}, {"one that has answered", live, 1, newer, false}, {"one that is asked", waiting, 1, newer, false},
	} {
		l := shortlist{{contact: good, word: good.ID[0] ^ key[0], state: tt.state, tries: tt.tries, checked: true}}
		c.offer(&l, &key, candidate{contact: tt.offered, source: by, word: good.ID[0] ^ key[0]}, shortlistLimit)
		if len(l) != 1 || l[0].state != tt.state || l[0].silent != tt.again || (l[0].contact == newer) != tt.again {
			t.Errorf("%s: %+v", tt.name, l)
		}
	}
}

// TestSurroundedKeyIsSuspicious (A10): sixteen nodes of an attacker close around a key make the result too dense;
// lookups elsewhere, some 190, are not suspicious.
func TestSurroundedKeyIsSuspicious(t *testing.T) {
	statistical(t)
	w := newWorld(t, 500, 21, nil)
	rnd := newRand(22)
	key := randomID(rnd)
	for i := range 16 {
		w.add(fakeContact(key.randomIn(13+i%3, rnd), 1000+i), uint64(5000+i), nil) // the closest honest nodes share 9 bits with the key
	}
	w.fill(23)
	if r := w.lookup(w.order[0], key, LookupOptions{}); r.DensityOK || r.Density < 4 {
		t.Errorf("a surrounded key has density %.1f, ok %v", r.Density, r.DensityOK)
	}
	for range 200 {
		k := randomID(rnd)
		if CommonPrefix(k, key) > 3 {
			continue
		}
		if r := w.lookup(w.order[rnd.IntN(500)], k, LookupOptions{Paths: 1}); !r.DensityOK || r.Density == 0 {
			t.Errorf("key %v: density %.1f", k, r.Density)
		}
	}
}

// TestNetworkSize: the estimate of 100 cores in a network of 5000 is right on average, and each within half and twice.
func TestNetworkSize(t *testing.T) {
	statistical(t)
	const nodes = 5000
	rnd := newRand(31)
	all := make([]*Contact, nodes)
	for i := range all {
		all[i] = fakeContact(randomID(rnd), i)
	}
	sum := 0.0
	for i := range 100 {
		c := newCore(t, uint64(100+i), nil)
		for _, d := range all {
			if CommonPrefix(d.ID, c.self.ID) >= 4 {
				c.Adopt(0, d)
			}
		}
		size := c.NetworkSize()
		if size < nodes/2 || size > nodes*2 {
			t.Errorf("estimate %.0f", size)
		}
		sum += size
	}
	if mean := sum / 100; mean < nodes*.95 || mean > nodes*1.05 {
		t.Errorf("mean estimate %.0f, want %d", mean, nodes)
	}
	if newCore(t, 1, nil).NetworkSize() != 0 {
		t.Error("an empty table has an estimate")
	}
}

// TestStopAtKey: the record of the node looked for is enough, and found with fewer questions.
func TestStopAtKey(t *testing.T) {
	w := newWorld(t, 300, 41, nil)
	w.fill(42)
	rnd := newRand(43)
	short, long := 0, 0
	for range 40 {
		n, target := w.order[rnd.IntN(300)], w.order[rnd.IntN(300)].core.Self()
		if n.core.Self() == target {
			continue
		}
		a, b := w.lookup(n, target.ID, LookupOptions{StopAtKey: true}), w.lookup(n, target.ID, LookupOptions{})
		if a.Found != target || b.Found != target || b.Closest[0] != target {
			t.Fatalf("%v was not found: %v, %v", target.ID, a.Found, b.Found)
		}
		short, long = short+a.Asked, long+b.Asked
		verify(t, n.core)
	}
	if short*3 > long*2 {
		t.Errorf("%d questions with StopAtKey, %d without", short, long)
	}
}

// TestLookupEndsInTime: when everybody is gone a lookup still ends, without contacts, and counts what failed.
func TestLookupEndsInTime(t *testing.T) {
	w := newWorld(t, 100, 51, nil)
	w.fill(52)
	for _, n := range w.order[1:] {
		n.down = true
	}
	start := w.now
	r := w.lookup(w.order[0], randomID(newRand(1)), LookupOptions{})
	if len(r.Closest) != 0 || r.PathsOK != 0 || r.Failed == 0 || r.Asked < r.Failed || r.Took > w.order[0].core.cfg.LookupTimeout {
		t.Errorf("result among the dead: %+v", r)
	}
	if w.now-start > 11*time.Second {
		t.Errorf("it took %v", w.now-start)
	}
	verify(t, w.order[0].core)

	empty := newCore(t, 1, nil)
	id, err := empty.Lookup(0, ID{1}, LookupOptions{})
	list := drain(empty)
	if err != nil || len(list) != 1 || list[0].Result.Lookup != id || len(list[0].Result.Closest) != 0 {
		t.Errorf("a lookup with an empty table: %v, %+v", err, list)
	}
}

// TestLookupLimits: too many lookups are refused, and so are options that make no sense.
func TestLookupLimits(t *testing.T) {
	c := fullCore(t)
	for i := range lookupLimit {
		if _, err := c.Lookup(0, ID{uint64(i) << 40}, LookupOptions{}); err != nil {
			t.Fatalf("lookup %d: %v", i, err)
		}
	}
	if _, err := c.Lookup(0, ID{}, LookupOptions{}); err != ErrBusy {
		t.Errorf("lookup %d: %v, want ErrBusy", lookupLimit, err)
	}
	verify(t, c)
	for _, opt := range []LookupOptions{{Paths: -1}, {Paths: PathLimit + 1}, {Count: CountLimit + 1}, {Width: -1}, {Alpha: 17}} {
		if _, err := c.Lookup(0, ID{}, opt); !containsText(err, "options") {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}

// TestLookupsUnderFlood (T5): a thousand IDs in one /24 call a node and hand out each other. Its lookups still find the
// honest nodes.
func TestLookupsUnderFlood(t *testing.T) {
	w := newWorld(t, 300, 61, nil)
	w.fill(62)
	n := w.order[0]
	rnd := newRand(63)
	var flooders []*Contact
	bad := map[ID]bool{}
	answer := func(w *world, x, from *node, m *Message) bool {
		if m.Op == opcode.LookupNodeRequestCode {
			w.respond(x, from, Message{Op: opcode.LookupNodeResponseCode, Nonce: m.Nonce, Contacts: flooders[:m.Count]})
		}
		return m.Op == opcode.LookupNodeRequestCode
	}
	for i := range 1000 {
		x := w.add(fakeAt(randomID(rnd), netip.AddrFrom4([4]byte{45, 1, 2, byte(i)}), 1, 0), uint64(i), nil)
		x.answer = answer
		flooders, bad[x.core.Self().ID] = append(flooders, x.core.Self()), true
		n.core.Connected(w.now, Peer{x.core.Self(), true})
		w.take(n)
	}
	w.run(5 * time.Second)
	lost, all := 0, 0
	for range 40 {
		key := randomID(rnd)
		r := w.lookup(n, key, LookupOptions{})
		var want []*Contact
		for _, d := range w.nearest(key, len(w.order), n) {
			if !bad[d.ID] && len(want) < 14 { // two of the sixteen may be theirs
				want = append(want, d)
			}
		}
		all += len(want)
		lost += misses(want, r.Closest)
	}
	verify(t, n.core)
	if theirs := len(n.core.View().contacts) - len(honest(n.core.View().contacts, bad)); theirs > 10 {
		t.Errorf("%d of the table are theirs", theirs)
	}
	if float64(lost) > .01*float64(all) {
		t.Errorf("%d of %d honest nodes were not found", lost, all)
	}
}

// TestWhoHasMovedIsFound: who remembers a node where it was, be it our own table or a liar who is quick, does not hide it from a
// lookup in which others say where it is, whether they say so before or after it was asked in vain, on its path or on another. One
// who makes the newer record up does not get it asked anywhere.
func TestWhoHasMovedIsFound(t *testing.T) {
	for _, paths := range []int{1, 2} {
		for _, late := range []bool{false, true} {
			for _, forge := range []bool{false, true} {
				c := newCore(t, 1, nil)
				rnd := newRand(2)
				key := c.self.ID.randomIn(0, rnd)
				old := fakeContact(key, 3)
				knows := fakeContact(key.randomIn(20, rnd), 4)
				now := resigned(old, func(r *identity.Record) { r.Seq++; r.Addrs = fakeContact(key, 9).Record.Addrs })
				if forge {
					now = forged(now, 10)
				}
				c.Adopt(0, old)
				c.Adopt(0, knows)
				if _, err := c.Lookup(0, key, LookupOptions{Paths: paths, Alpha: 2, Width: 2}); err != nil {
					t.Fatal(err)
				}
				var questions []Action
				for _, a := range drain(c) {
					if a.Message.Op == opcode.LookupNodeRequestCode {
						questions = append(questions, a)
					}
				}
				fail := func() { c.SendFailed(0, old) }
				answer := func() {
					for _, a := range questions {
						if a.To == knows {
							c.Receive(0, Peer{knows, true}, &Message{Op: opcode.LookupNodeResponseCode, Nonce: a.Message.Nonce, Contacts: []*Contact{now}})
						}
					}
				}
				if late {
					fail()
				}
				answer()
				if !late {
					fail()
				}
				verify(t, c)
				var result *Result
				for _, a := range drain(c) {
					switch {
					case a.Kind == ActionSend && a.Message.Op == opcode.LookupNodeRequestCode && a.To == now:
						c.Receive(0, Peer{now, true}, &Message{Op: opcode.LookupNodeResponseCode, Nonce: a.Message.Nonce})
					case a.Kind == ActionLookup:
						result = a.Result
					}
				}
				for _, a := range drain(c) {
					if a.Kind == ActionLookup {
						result = a.Result
					}
				}
				verify(t, c)
				if result == nil || (result.Found == now) == forge {
					t.Errorf("%d paths, told after it was asked %v, forged %v: %+v", paths, late, forge, result)
				}
			}
		}
	}
}
