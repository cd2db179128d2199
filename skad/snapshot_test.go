package skad

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// realCore returns a core that believes real records, with n real contacts in its table.
func realCore(t testing.TB, n int) *Core {
	self := NewContact(realRecord(t, 255, 1, "tcp://45.200.1.1:4001"), Public)
	c, err := New(Config{Verifier: Records(identity.Puzzle{})}, self, newRand(1), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		d := NewContact(realRecord(t, byte(i), 1, "tcp://45."+string('0'+rune(i/10))+"."+string('0'+rune(i%10))+".1:4001"), Public)
		if !c.Adopt(time.Duration(i)*time.Minute, d) {
			t.Fatalf("contact %d is turned away", i)
		}
	}
	return c
}

// TestSnapshotRestores: what was saved is in the table again, in the order of acquaintance, with its age, before
// anybody else, and is pinged within seconds.
func TestSnapshotRestores(t *testing.T) {
	c := realCore(t, 30)
	b := c.Snapshot(time.Hour, []byte("in front"))
	if !bytes.HasPrefix(b, []byte("in front")) {
		t.Fatal("Snapshot does not append")
	}
	b = b[len("in front"):]
	again := realCore(t, 0)
	list, err := again.Restore(0, b, 10*time.Minute)
	if err != nil || len(list) != 30 {
		t.Fatalf("%d contacts, %v", len(list), err)
	}
	verify(t, again)
	if !sameIDs(again.Siblings(nil), c.Siblings(nil)) {
		t.Error("the table is another")
	}
	first := again.slots[again.find(&list[0].ID)]
	if age := -first.firstAt.duration(); age < 70*time.Minute-time.Second || age > 71*time.Minute {
		t.Errorf("the longest acquaintance is %v old, want 1h10m", age)
	}
	times := pinged(again, 15*time.Second, everybody)
	for _, d := range list {
		if p := times[d.ID]; len(p) != 1 || p[0] > restoredPingWithin+time.Second {
			t.Errorf("%v was pinged at %v", d.ID, p)
		}
	}
	if first := again.slots[again.find(&list[0].ID)]; first.firstAt >= 0 {
		t.Error("the first answer made an old acquaintance a new one")
	}
}

// TestRestoreIsCareful: bytes that are no snapshot are refused whole; records that are too old or not genuine are left
// out.
func TestRestoreIsCareful(t *testing.T) {
	c := realCore(t, 5)
	good := c.Snapshot(time.Hour, nil)
	resum := func(b []byte) []byte {
		return binary.LittleEndian.AppendUint32(b[:len(b)-4:len(b)-4], crc32.Checksum(b[:len(b)-4], castagnoli))
	}
	changed := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "magic": resum(changed(0, 'x')), "version": resum(changed(4, 2)), "torn": changed(40, 1),
		"count above": resum(changed(5, 6)), "count below": resum(changed(5, 4)), "count far above": resum(changed(6, 0xff)),
		"record": resum(changed(17, 9)), "length": resum(changed(15, 1)),
	} {
		again := realCore(t, 0)
		if list, err := again.Restore(0, b, 0); !errors.Is(err, ErrSnapshot) || list != nil || again.Len() != 0 {
			t.Errorf("%s: %d contacts, error %v", name, len(list), err)
		}
	}
	old := realCore(t, 0)
	if list, err := old.Restore(0, good, restoredAgeLimit); err != nil || len(list) != 0 {
		t.Errorf("after five days: %d contacts, %v", len(list), err)
	}
	forged := realCore(t, 0)
	if list, err := forged.Restore(0, resum(changed(len(good)-5, good[len(good)-5]^1)), 0); err != nil || len(list) != 4 {
		t.Errorf("with one signature spoilt: %d contacts, %v", len(list), err)
	}
}

// TestRestartUnderFlood (A11): a node restarts while 2000 strangers of as many /24 call it at once. Its table keeps at
// least half of the contacts it had saved, and its lookups work.
func TestRestartUnderFlood(t *testing.T) {
	w := newWorld(t, 300, 1, nil)
	w.fill(2)
	n := w.order[0]
	before := n.core.View()
	var entries []saved // what parseSnapshot would make of a snapshot; the keys of fakes have no points
	for _, d := range before.contacts {
		entries = append(entries, saved{contact: d, known: time.Hour, silent: time.Minute})
	}
	c, err := New(Config{Verifier: &fakes{}}, n.core.Self(), newRand(3), w.now)
	if err != nil {
		t.Fatal(err)
	}
	c.restore(entries, time.Minute)
	n.core = c
	rnd := newRand(4)
	for i := range 2000 {
		stranger := w.add(fakeContact(randomID(rnd), 10_000+i), uint64(9000+i), nil)
		stranger.answer = func(_ *world, _, _ *node, m *Message) bool { return m.Op == opcode.LookupNodeRequestCode } // they answer pings and nothing else
		c.Connected(w.now, Peer{stranger.core.Self(), true})
		w.take(n)
	}
	w.run(30 * time.Second)
	kept := 0
	for _, d := range before.contacts {
		if i := c.find(&d.ID); i != 0 && c.slots[i].has(isMember) {
			kept++
		}
	}
	if share := float64(kept) / float64(c.Len()); share < .5 {
		t.Errorf("%d of %d entries are from before the restart", kept, c.Len())
	}
	lost, all := 0, 0
	for range 50 {
		key := randomID(rnd)
		r := w.lookup(n, key, LookupOptions{})
		for _, d := range w.nearest(key, 8, n) {
			if w.nodes[d.ID].answer == nil {
				all++
				lost += misses([]*Contact{d}, r.Closest)
			}
		}
	}
	if float64(lost) > .01*float64(all) {
		t.Errorf("%d of %d honest siblings were not found", lost, all)
	}
	verify(t, c)
}

// FuzzRestore. Law: no panic, whatever the bytes; on an error nothing is in the table; what is restored can be saved
// and restored again, the same.
func FuzzRestore(f *testing.F) {
	f.Add(realCore(f, 3).Snapshot(time.Hour, nil))
	f.Add(realCore(f, 0).Snapshot(0, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4 { // or the fuzzer would spend its time on checksums
			b = binary.LittleEndian.AppendUint32(b[:len(b)-4:len(b)-4], crc32.Checksum(b[:len(b)-4], castagnoli))
		}
		c := realCore(t, 0)
		list, err := c.Restore(0, b, 0)
		verify(t, c)
		if err != nil {
			if c.Len() != 0 || list != nil {
				t.Fatalf("%d contacts in spite of %v", c.Len(), err)
			}
			return
		}
		again := realCore(t, 0)
		if more, err := again.Restore(0, c.Snapshot(0, nil), 0); err != nil || len(more) != c.Len() || !sameIDs(again.Siblings(nil), c.Siblings(nil)) {
			t.Fatalf("saved again: %d of %d, %v", len(more), c.Len(), err)
		}
	})
}

// What Members returns and RestoreMembers takes is what a snapshot does, and is checked as strictly.
func TestMembersComeBack(t *testing.T) {
	old := newCore(t, 1, nil)
	rnd := newRand(5)
	for i := range 40 {
		old.Adopt(0, fakeContact(randomID(rnd), i))
	}
	list := old.Members(time.Hour, nil)
	if len(list) != old.Len() || list[0].Silent != time.Hour || list[0].Known != time.Hour {
		t.Fatalf("%d members, the first %+v", len(list), list[0])
	}
	list[0].Silent = 6 * 24 * time.Hour
	list[1].Contact = forged(list[1].Contact, 77)
	list[2].Silent, list[2].Known = -time.Hour, -time.Hour // a clock that has jumped
	fresh := newCore(t, 1, nil)
	if back := fresh.RestoreMembers(0, list); len(back) != len(list)-2 || fresh.Len() != len(list)-2 {
		t.Errorf("%d of %d came back, want all but the silent and the forged one", len(back), len(list))
	}
	verify(t, fresh)
}
