package skad

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// greet lets a peer say hello to c, and answers the pings that come of it.
func greet(c *Core, now time.Duration, p Peer) {
	c.Receive(now, p, &Message{Op: opcode.PingCode, Nonce: 1})
	answerPings(c, now)
}

// TestHeardIsPingedFirst: a caller gets into the table only after it has answered a question of ours, and only if its
// address is proven.
func TestHeardIsPingedFirst(t *testing.T) {
	rnd := newRand(10)
	for _, tt := range []struct {
		name    string
		reached bool
		answers bool
		want    int
	}{{"answers", true, true, 1}, {"silent", true, false, 0}, {"address not proven", false, true, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCore(t, 1, nil)
			p := Peer{fakeContact(randomID(rnd), 1), tt.reached}
			c.Receive(0, p, &Message{Op: opcode.LookupNodeRequestCode, Nonce: 1, Count: 1})
			if c.Len() != 0 {
				t.Fatal("a caller is in the table at once")
			}
			if tt.answers {
				answerPings(c, 0)
			}
			drain(c)
			c.Expire(2 * time.Second)
			if verify(t, c); c.Len() != tt.want {
				t.Errorf("%d contacts in the table, want %d", c.Len(), tt.want)
			}
			if tt.want == 0 && c.held != 0 {
				t.Errorf("%d contacts are remembered", c.held)
			}
		})
	}
}

// TestClientsStayOut: clients are neither in tables nor in answers, whoever vouches for them; nor are nodes that cannot
// be dialled.
func TestClientsStayOut(t *testing.T) {
	c := newCore(t, 1, nil)
	id := randomID(newRand(2))
	client := fakeAt(id, netip.MustParseAddr("45.1.2.3"), 1, identity.FlagClient)
	private := fakeAt(id, netip.MustParseAddr("10.1.2.3"), 1, 0)
	for _, d := range []*Contact{client, private, c.Self()} {
		greet(c, 0, Peer{d, true})
		if c.Adopt(0, d) || c.Len() != 0 {
			t.Errorf("%v is in the table", d.Record)
		}
	}
	// A member that says it has become a client loses its place.
	d := fakeContact(id, 1)
	c.Adopt(0, d)
	greet(c, 0, Peer{resigned(d, func(r *identity.Record) { r.Seq, r.Flags = 9, identity.FlagClient }), true})
	if verify(t, c); c.Len() != 0 {
		t.Error("a member that became a client is still in the table")
	}
}

// TestFullBucketKeepsTheLiving: a full bucket turns newcomers away, however many call; the first ten wait as spares.
func TestFullBucketKeepsTheLiving(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.Siblings, cfg.Eta = 1, 1 })
	rnd := newRand(3)
	near := fakeContact(c.self.ID.randomIn(100, rnd), 999) // takes the only place in the sibling list
	c.Adopt(0, near)
	var first []*Contact
	for i := range 16 {
		d := fakeContact(c.self.ID.randomIn(0, rnd), i)
		greet(c, 0, Peer{d, true})
		first = append(first, d)
	}
	for i := range 100 {
		greet(c, time.Hour, Peer{fakeContact(c.self.ID.randomIn(0, rnd), 100+i), true})
	}
	have := c.Sharing(0, nil)
	for _, d := range first {
		if !slices.Contains(have, d) {
			t.Errorf("%v was thrown out alive", d.ID)
		}
	}
	if verify(t, c); len(have) != 16 || len(c.buckets[0].spares) != spareLimit {
		t.Errorf("%d in the bucket, %d spares, want 16 and %d", len(have), len(c.buckets[0].spares), spareLimit)
	}
}

// TestFloodFromOneGroup (T5): 10,000 IDs in one /24, each of which calls and answers, take two places in a bucket, ten
// in the table, two in the sibling list.
func TestFloodFromOneGroup(t *testing.T) {
	for _, network := range []string{"45.1.2.0", "2a00:1450:1::"} {
		c := newCore(t, 1, nil)
		rnd := newRand(4)
		base := netip.MustParseAddr(network)
		for i := range 10_000 {
			b := base.AsSlice()
			b[len(b)-1] = byte(i)
			ip, _ := netip.AddrFromSlice(b)
			greet(c, time.Duration(i)*time.Millisecond, Peer{fakeAt(c.self.ID.randomIn(i%24, rnd), ip, 1, 0), true})
		}
		verify(t, c)
		if c.Len() > 10 || len(c.Siblings(nil)) > 2 {
			t.Errorf("%s: %d in the table, %d siblings", network, c.Len(), len(c.Siblings(nil)))
		}
		if c.Len() < 4 {
			t.Errorf("%s: %d in the table: the flood was turned away by something else than the limits", network, c.Len())
		}
		for prefix := range c.buckets {
			if n := len(c.Sharing(prefix, nil)); n > 2+2 { // two in the bucket, two siblings at most
				t.Errorf("%s: %d entries share %d bits", network, n, prefix)
			}
		}
		if c.held > 2*24+10 {
			t.Errorf("%s: %d contacts are remembered", network, c.held)
		}
	}
}

// TestGroupPerBucket: a bucket, its spares included, holds two contacts of a /24, and the third finds no place however
// often it calls.
func TestGroupPerBucket(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.GroupPerTable, cfg.Siblings, cfg.Eta = 1000, 1, 1 })
	rnd := newRand(4)
	c.Adopt(0, fakeContact(c.self.ID.randomIn(60, rnd), 1)) // the only sibling
	for i := range 200 {
		greet(c, 0, Peer{fakeAt(c.self.ID.randomIn(i%3, rnd), netip.AddrFrom4([4]byte{45, 1, 2, byte(i)}), 1, 0), true})
	}
	for prefix := range 3 {
		if n := len(c.Sharing(prefix, nil)) + len(c.buckets[prefix].spares); n != 2 {
			t.Errorf("bucket %d and its spares hold %d contacts of one /24, want 2", prefix, n)
		}
	}
	verify(t, c)
}

// TestLostAreKept: of the contacts that stopped answering, three are remembered in each bucket although there are
// spares enough, and no more.
func TestLostAreKept(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.Siblings, cfg.Eta = 1, 1 })
	rnd := newRand(5)
	c.Adopt(0, fakeContact(c.self.ID.randomIn(60, rnd), 999)) // the only sibling
	for i := range 16 + spareLimit {
		c.Adopt(0, fakeContact(c.self.ID.randomIn(0, rnd), i))
	}
	for dropped := range 8 {
		if n := c.lostSpares(&c.buckets[0]); n != min(dropped, lostKept) || len(c.buckets[0].spares) != spareLimit {
			t.Fatalf("after %d losses %d of %d spares are lost ones", dropped, n, len(c.buckets[0].spares))
		}
		from, _ := c.span(0)
		c.drop(c.members[from])
		verify(t, c)
	}
}

// TestPrivateScopeHasNoGroups: in a LAN everybody is in one /24, and that means nothing.
func TestPrivateScopeHasNoGroups(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.Scope = Private })
	rnd := newRand(5)
	for i := range 40 {
		d := fakeAt(randomID(rnd), netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1, 0)
		d = NewContact(d.Record, Private)
		d.ID = randomID(rnd)
		if !c.Adopt(0, d) {
			t.Fatalf("contact %d of a LAN is turned away", i)
		}
	}
	verify(t, c)
}

// TestSiblingsAreTheClosest: whatever the order in which contacts come and go, the sibling list is the closest of those
// in the table.
func TestSiblingsAreTheClosest(t *testing.T) {
	c := newCore(t, 2, func(cfg *Config) { cfg.Siblings, cfg.Eta, cfg.K = 4, 3, 4 })
	rnd := newRand(6)
	for round := range 2000 {
		if c.Len() > 30 && rnd.IntN(3) == 0 {
			c.drop(c.members[rnd.IntN(c.Len())])
		} else {
			d := fakeContact(c.self.ID.randomIn(rnd.IntN(12), rnd), round)
			c.Adopt(0, d)
		}
		drain(c)
		if err := c.check(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		have := c.Closest(c.self.ID, 12, nil)
		if !sameIDs(have, c.Siblings(nil)) { // no groups here, so nothing excuses a difference
			t.Fatalf("round %d: the siblings are not the closest members", round)
		}
	}
}

// TestSiblingListsAgree (B1): in a network of 10,000 nodes, the share of keys for which each of the 16 nodes
// responsible knows all 16 is what the list's length promises: .93 for eta 2, all for eta 3 and 5. With -short a third
// of the keys.
func TestSiblingListsAgree(t *testing.T) {
	statistical(t)
	const nodes, s = 10_000, 16
	keys := 300
	if testing.Short() {
		keys = 100
	}
	rnd := newRand(7)
	all := make([]*Contact, nodes)
	for i := range all {
		all[i] = fakeContact(randomID(rnd), i)
	}
	slices.SortFunc(all, func(a, b *Contact) int { return a.ID.Compare(b.ID) })
	// sharing returns the nodes that share so many bits with key.
	sharing := func(key ID, bits int) []*Contact {
		shift := 64 - bits
		from, _ := slices.BinarySearchFunc(all, key[0]>>shift, func(d *Contact, w uint64) int { return int(d.ID[0]>>shift) - int(w) })
		to, _ := slices.BinarySearchFunc(all, key[0]>>shift+1, func(d *Contact, w uint64) int { return int(d.ID[0]>>shift) - int(w) })
		return all[from:to]
	}
	for _, tt := range []struct {
		eta         int
		least, most float64
	}{{2, .88, .975}, {3, .998, 1}, {5, .9999, 1}} {
		lists := map[ID]map[ID]bool{}
		siblingsOf := func(d *Contact) map[ID]bool {
			if lists[d.ID] == nil {
				c, err := New(Config{Verifier: &fakes{}, Eta: tt.eta}, d, newRand(1), 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, other := range sharing(d.ID, 5) { // about 300, of which the closest 80 at most are wanted
					c.Adopt(0, other)
				}
				lists[d.ID] = map[ID]bool{d.ID: true}
				for _, sib := range c.Siblings(nil) {
					lists[d.ID][sib.ID] = true
				}
			}
			return lists[d.ID]
		}
		good := 0
		for range keys {
			key := randomID(rnd)
			near := slices.Clone(sharing(key, 5))
			slices.SortFunc(near, func(a, b *Contact) int { return a.ID.Xor(key).Compare(b.ID.Xor(key)) })
			near = near[:s]
			complete := true
			for _, d := range near {
				known := siblingsOf(d)
				complete = complete && !slices.ContainsFunc(near, func(x *Contact) bool { return !known[x.ID] })
			}
			if complete {
				good++
			}
		}
		share := float64(good) / float64(keys)
		t.Logf("eta %d: %.4f of %d keys", tt.eta, share, keys)
		if share < tt.least || share > tt.most {
			t.Errorf("eta %d: all siblings know all for %.4f of the keys, want %.4f to %.4f", tt.eta, share, tt.least, tt.most)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	_, err := New(Config{K: -1, Siblings: 50, Eta: 50, PingLeast: time.Hour, PingMost: time.Minute}, fakeContact(ID{1}, 1), newRand(1), 0)
	if err == nil {
		t.Fatal("a nonsensical configuration is accepted")
	}
	for _, want := range []string{"Verifier", "K is -1", "Eta*Siblings is 2500", "least span"} {
		if !containsText(err, want) {
			t.Errorf("the error does not mention %q: %v", want, err)
		}
	}
	cfg, err := Config{Verifier: &fakes{}}.withDefaults()
	if err != nil || cfg.K != 16 || cfg.Siblings*cfg.Eta != 48 || cfg.PingMost != 10*time.Minute {
		t.Errorf("defaults: %+v, %v", cfg, err)
	}
}
