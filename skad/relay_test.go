package skad

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// delivered returns the routed messages that the nodes of a world have got.
func (w *world) delivered() (at []*node, list []Action) {
	for _, n := range w.order {
		for _, a := range n.actions {
			if a.Kind == ActionDeliver {
				at, list = append(at, n), append(list, a)
			}
		}
		n.actions = nil
	}
	return at, list
}

// closestNode returns the living node closest to key.
func (w *world) closestNode(key ID) *node {
	return w.nodes[w.nearest(key, 1, nil)[0].ID]
}

// TestRouteReachesTheClosest: a message arrives once, whole, at the node closest to its key, however many copies were
// sent.
func TestRouteReachesTheClosest(t *testing.T) {
	w := newWorld(t, 300, 1, nil)
	w.fill(2)
	rnd := newRand(3)
	for i := range 60 {
		n, key := w.order[rnd.IntN(300)], randomID(rnd)
		copies := 1 + i%8
		payload := fmt.Appendf(nil, "message %d", i)
		for _, x := range w.order {
			x.actions = nil
		}
		route, err := n.core.Route(w.now, key, payload, copies)
		if err != nil {
			t.Fatal(err)
		}
		w.take(n)
		w.run(2 * time.Second)
		routed := 0
		for _, a := range n.actions {
			if a.Kind == ActionRouted && a.Message.Route == route && a.To != nil {
				routed++
			}
		}
		at, list := w.delivered()
		if len(at) != 1 || at[0] != w.closestNode(key) {
			t.Fatalf("message %d: %d deliveries", i, len(at))
		}
		m := list[0].Message
		if !bytes.Equal(m.Payload, payload) || m.Origin != n.core.Self().ID || m.Key != key || m.Route != route {
			t.Errorf("message %d arrived as %+v", i, m)
		}
		if (list[0].To == nil) != (at[0] == n) {
			t.Errorf("message %d: last hop %v", i, list[0].To)
		}
		if at[0] != n && (routed == 0 || routed > copies) {
			t.Errorf("message %d: %d of %d copies were taken over", i, routed, copies)
		}
	}
	for _, n := range w.order {
		verify(t, n.core)
		if n.core.relayed != 0 {
			t.Errorf("%d messages are still under way", n.core.relayed)
		}
	}
}

// TestRouteAroundTheDead: with a third of the nodes gone from one moment to the next, and still in every table, a
// message reaches the closest that is left.
func TestRouteAroundTheDead(t *testing.T) {
	w := newWorld(t, 200, 11, nil)
	w.fill(12)
	rnd := newRand(13)
	for _, k := range rnd.Perm(199)[:66] {
		w.order[k+1].down = true
	}
	arrived := 0
	for range 30 {
		key := randomID(rnd)
		if _, err := w.order[0].core.Route(w.now, key, nil, 1); err != nil {
			t.Fatal(err)
		}
		w.take(w.order[0])
		w.run(8 * time.Second)
		if at, _ := w.delivered(); len(at) == 1 && at[0] == w.closestNode(key) {
			arrived++
		} else if len(at) > 1 {
			t.Errorf("delivered %d times", len(at))
		}
	}
	if arrived < 29 {
		t.Errorf("%d of 30 messages reached the closest living node", arrived)
	}
}

// TestCopiesAmongDroppers: nodes that take messages over and drop them. Eight copies over distinct first hops get
// through where one does not.
func TestCopiesAmongDroppers(t *testing.T) {
	statistical(t)
	drop := func(w *world, n, from *node, m *Message) bool {
		if m.Op == opcode.RouteCode {
			w.respond(n, from, Message{Op: opcode.RouteAckCode, Nonce: m.Nonce})
			return true
		}
		return false
	}
	got := map[int]int{}
	const messages = 100
	for _, copies := range []int{1, 8} {
		w := newWorld(t, 400, 21, nil)
		w.fill(22)
		bad := w.corrupt(.3, 23, drop)
		rnd := newRand(24)
		for range messages {
			key := randomID(rnd)
			for bad[w.closestNode(key).core.Self().ID] || w.closestNode(key) == w.order[0] {
				key = randomID(rnd)
			}
			if _, err := w.order[0].core.Route(w.now, key, nil, copies); err != nil {
				t.Fatal(err)
			}
			w.take(w.order[0])
			w.run(2 * time.Second)
			if at, _ := w.delivered(); len(at) == 1 {
				got[copies]++
			}
		}
	}
	t.Logf("of %d messages among 30 %% droppers %d arrived with one copy, %d with eight", messages, got[1], got[8])
	if got[8] < 97 || got[1] > 90 {
		t.Errorf("of %d messages %d arrived with one copy, %d with eight", messages, got[1], got[8])
	}
}

// arriving hands c a routed message and returns the verdict and what else happened.
func arriving(t *testing.T, c *Core, from *Contact, m Message) (ack *Message, rest []Action) {
	t.Helper()
	m.Op, m.Nonce = opcode.RouteCode, 77
	c.Receive(0, Peer{from, true}, &m)
	for _, a := range drain(c) {
		if a.Kind == ActionSend && a.Message.Op == opcode.RouteAckCode {
			if a.To != from || a.Message.Nonce != 77 || ack != nil {
				t.Fatalf("acknowledged to %v: %+v", a.To, a.Message)
			}
			ack = &a.Message
		} else if a.Kind != ActionSend || a.Message.Op != opcode.PingCode {
			rest = append(rest, a)
		}
	}
	verify(t, c)
	return ack, rest
}

// TestHop: what one node does with a message of each kind.
func TestHop(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(2)
	key := randomID(rnd)
	from := fakeContact(randomID(rnd), 1)
	origin := fakeContact(randomID(rnd), 4)
	near, nearer := fakeContact(key.randomIn(20, rnd), 2), fakeContact(key.randomIn(30, rnd), 3)
	c.Adopt(0, near)
	c.Adopt(0, nearer)
	m := Message{Route: 1, Origin: origin.ID, Key: key, TTL: 3, Payload: []byte("x")}

	ack, rest := arriving(t, c, from, m)
	if ack == nil || ack.Refused || len(rest) != 1 || rest[0].To != nearer || rest[0].Message.TTL != 2 || string(rest[0].Message.Payload) != "x" {
		t.Fatalf("ack %+v, then %+v", ack, rest)
	}
	if ack, rest := arriving(t, c, from, m); ack == nil || ack.Refused || len(rest) != 0 || c.Stats().Dropped[Seen] != 1 {
		t.Errorf("the same copy again: ack %+v, then %+v", ack, rest)
	}
	m.Copy = 1
	if _, rest := arriving(t, c, from, m); len(rest) != 1 {
		t.Errorf("another copy goes its own way: %+v", rest)
	}
	// The next hop refuses: the second best gets it; that is silent: we are the closest alive.
	nonce := rest[0].Message.Nonce
	c.Receive(0, Peer{nearer, true}, &Message{Op: opcode.RouteAckCode, Nonce: nonce, Refused: true})
	again := drain(c)
	if len(again) != 1 || again[0].To != near {
		t.Fatalf("after a refusal: %+v", again)
	}
	c.SendFailed(0, near)
	delivered := 0
	for _, a := range drain(c) {
		if a.Kind == ActionDeliver && a.To == from && a.Message.Key == key {
			delivered++
		}
	}
	if delivered != 1 {
		t.Errorf("delivered %d times although nobody closer answers", delivered)
	}
	// Out of hops.
	if ack, rest := arriving(t, c, from, Message{Route: 2, Key: key, TTL: 0}); ack == nil || len(rest) != 0 || c.Stats().Dropped[Expired] != 1 {
		t.Errorf("without hops left: ack %+v, then %+v", ack, rest)
	}
	// For us, two copies.
	mine := Message{Route: 3, Key: c.self.ID, TTL: 0, Payload: []byte("y")}
	if _, rest := arriving(t, c, from, mine); len(rest) != 1 || rest[0].Kind != ActionDeliver || string(rest[0].Message.Payload) != "y" {
		t.Errorf("for ourselves: %+v", rest)
	}
	mine.Copy = 5
	if ack, rest := arriving(t, c, from, mine); ack == nil || len(rest) != 0 {
		t.Errorf("the second copy for ourselves: %+v, %+v", ack, rest)
	}
	// Too much.
	if ack, _ := arriving(t, c, from, Message{Route: 4, Key: key, TTL: 3, Payload: make([]byte, RoutePayloadLimit+1)}); ack == nil || !ack.Refused {
		t.Error("too large a payload is taken over")
	}
	for i := range relayPeerLimit + 1 {
		ack, _ = arriving(t, c, from, Message{Route: uint64(100 + i), Key: key, TTL: 3})
	}
	if ack == nil || !ack.Refused || c.relayedFor(from) != relayPeerLimit {
		t.Errorf("%d messages of one peer are kept", c.relayedFor(from))
	}
	for i := range 80 {
		other := fakeContact(randomID(rnd), 10+i)
		ack, _ = arriving(t, c, other, Message{Route: uint64(200 + i), Key: key, TTL: 3, Payload: make([]byte, RoutePayloadLimit)})
	}
	const theirs = relayBytesLimit - relayOwnBytes
	if ack == nil || !ack.Refused || c.relayBytes > theirs || c.relayBytes < theirs*9/10 {
		t.Errorf("after 80 large messages of as many peers %d bytes are kept", c.relayBytes)
	}
}

// TestStrangersLeaveRoomForOwn: whoever fills the node with messages that go nowhere, large or many, does not keep it from
// sending its own.
func TestStrangersLeaveRoomForOwn(t *testing.T) {
	for _, size := range []int{0, RoutePayloadLimit} {
		rnd := newRand(2)
		c := newCore(t, 1, nil)
		key := randomID(rnd)
		for i := range 4 {
			c.Adopt(0, fakeContact(key.randomIn(30+i, rnd), i))
		}
		refused := 0
		for i := range 12 * relayPeerLimit {
			m := Message{Route: uint64(100 + i), Key: key, TTL: 3, Payload: make([]byte, size)}
			if ack, _ := arriving(t, c, fakeContact(randomID(rnd), 10+i/relayPeerLimit), m); ack == nil || ack.Refused {
				refused++
			}
		}
		if refused == 0 {
			t.Fatalf("%d bytes: everything is taken over", size)
		}
		for i := range 4 {
			if _, err := c.Route(0, key, make([]byte, RoutePayloadLimit), 4); err != nil {
				t.Errorf("%d bytes: own message %d: %v", size, i, err)
			}
		}
		drain(c)
		verify(t, c)
	}
}

// TestForgedCopySuppressesNothing: a hop that has read a copy cannot keep the others out: a message of the same origin and
// number that says something else, or goes elsewhere, is another one.
func TestForgedCopySuppressesNothing(t *testing.T) {
	c := newCore(t, 1, nil)
	from := Peer{Contact: fakeContact(randomID(newRand(2)), 1)}
	genuine := Message{Op: opcode.RouteCode, Nonce: 1, Route: 7, Origin: randomID(newRand(3)), Key: c.self.ID, Payload: []byte("genuine")}
	forged, elsewhere := genuine, genuine
	forged.Payload, forged.Nonce = []byte("forged!"), 2
	elsewhere.Key, elsewhere.Nonce = randomID(newRand(4)), 3
	for _, m := range []Message{forged, elsewhere, genuine, genuine} {
		c.Receive(0, from, &m)
	}
	got := map[string]int{}
	for _, a := range drain(c) {
		if a.Kind == ActionDeliver && a.Message.Key == c.self.ID {
			got[string(a.Message.Payload)]++
		}
	}
	if got["genuine"] != 1 || got["forged!"] != 1 {
		t.Errorf("delivered %v", got)
	}
	if n := testing.AllocsPerRun(100, func() { messageMark(&genuine) }); n != 0 && !raceEnabled {
		t.Errorf("a mark costs %v allocations", n)
	}
}

// TestSpentCopySuppressesNothing: nor can it send all copies ahead with no hops left, so that they end here, and the genuine
// ones, which come by other ways, pass for seen.
func TestSpentCopySuppressesNothing(t *testing.T) {
	rnd := newRand(2)
	for _, left := range []uint8{0, 1, 5} { // of the hops of what is sent ahead
		c := newCore(t, 1, nil)
		key := randomID(rnd)
		next := fakeContact(key.randomIn(30, rnd), 3)
		c.Adopt(0, next)
		hostile, honest := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2)
		m := Message{Route: 7, Origin: randomID(rnd), Key: key, Payload: []byte("x")}
		for range 2 {
			m.TTL = left
			if ack, _ := arriving(t, c, hostile, m); ack == nil || ack.Refused {
				t.Fatalf("ack %+v", ack)
			}
		}
		m.TTL = 12
		ack, rest := arriving(t, c, honest, m)
		if ack == nil || ack.Refused || len(rest) != 1 || rest[0].To != next || rest[0].Message.TTL != 11 {
			t.Errorf("after a copy with %d hops left: ack %+v, then %+v", left, ack, rest)
		}
		for _, ttl := range []uint8{12, 11, left} { // no more hops than one that went on: this adds nothing
			m.TTL = ttl
			if ack, rest := arriving(t, c, honest, m); ack == nil || ack.Refused || len(rest) != 0 {
				t.Errorf("again with %d hops left: ack %+v, then %+v", ttl, ack, rest)
			}
		}
	}
}

// TestRouteArguments: limits are errors, and a message for ourselves stays at home.
func TestRouteArguments(t *testing.T) {
	c := newCore(t, 1, nil)
	for _, tt := range []struct{ size, copies int }{{RoutePayloadLimit + 1, 1}, {0, RouteCopyLimit + 1}} {
		if _, err := c.Route(0, ID{}, make([]byte, tt.size), tt.copies); !containsText(err, "options") {
			t.Errorf("%d bytes, %d copies: %v", tt.size, tt.copies, err)
		}
	}
	c.Adopt(0, fakeContact(randomID(newRand(2)), 1))
	payload := []byte("home")
	route, err := c.Route(0, c.self.ID, payload, 3)
	payload[0] = 'X'
	list := drain(c)
	if err != nil || len(list) != 1 || list[0].Kind != ActionDeliver || list[0].To != nil || string(list[0].Message.Payload) != "home" || list[0].Message.Route != route {
		t.Errorf("a message for ourselves: %v, %+v", err, list)
	}
	verify(t, c)
}

// TestCopiesTakeDistinctFirstHops: and there are no more copies than first hops.
func TestCopiesTakeDistinctFirstHops(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(2)
	key := randomID(rnd)
	for i := range 5 {
		c.Adopt(0, fakeContact(key.randomIn(20+i, rnd), i))
	}
	if _, err := c.Route(0, key, nil, 8); err != nil {
		t.Fatal(err)
	}
	hops, unsent := map[ID]bool{}, 0
	for _, a := range drain(c) {
		switch {
		case a.Kind == ActionSend:
			hops[a.To.ID] = true
		case a.Kind == ActionRouted && a.To == nil:
			unsent++
		}
	}
	if len(hops) != 5 || unsent != 1 {
		t.Errorf("%d first hops, %d copies without one", len(hops), unsent)
	}
	verify(t, c)
}

// TestNextHopByRoundTrip: among contacts about as close to the key as the closest the one with the shortest
// round trip is the next hop; who is more than twice as far, not measured, or not closer than we are never is
// on account of it, and nobody comes before the node that is the key.
func TestNextHopByRoundTrip(t *testing.T) {
	type peer struct {
		distance uint64 // first word, in 2^-16 of the space
		srtt     uint16
	}
	for _, x := range []struct {
		name  string
		peers []peer
		want  int
	}{
		{"the nearer", []peer{{0x100, 900}, {0x200, 100}}, 1},
		{"twice as far is about as close", []peer{{0x100, 900}, {0x180, 500}, {0x1ff, 100}}, 2},
		{"too far", []peer{{0x100, 900}, {0x202, 100}}, 0},
		{"as far away as the closest", []peer{{0x100, 100}, {0x180, 100}}, 0},
		{"not measured", []peer{{0x100, 900}, {0x180, 0}}, 0},
		{"the closest is not measured", []peer{{0x100, 0}, {0x180, 100}}, 0},
		{"the key itself", []peer{{0, 900}, {0, 100}}, 0},
		{"the farther one is no better", []peer{{0x100, 100}, {0x180, 900}}, 0},
	} {
		c := newCore(t, 1, nil)
		key := c.self.ID
		key[0] ^= 0xffff << 48 // as far away as can be
		list := make([]*Contact, len(x.peers))
		for i, p := range x.peers {
			id := key
			id[0] ^= p.distance << 48
			id[3] ^= uint64(i) // the first of two that share the word is the closer one
			list[i] = fakeContact(id, i+1)
			c.Adopt(0, list[i])
			c.slots[c.find(&id)].srtt = p.srtt
		}
		if _, err := c.Route(0, key, nil, 1); err != nil {
			t.Fatal(err)
		}
		if sent := drain(c); len(sent) != 1 || sent[0].To != list[x.want] {
			t.Errorf("%s: %+v, want one message to peer %d", x.name, sent, x.want)
		}
	}
	// The only two are near each other, but the second is farther from the key than we are.
	c := newCore(t, 1, nil)
	key := c.self.ID
	key[0] ^= 0x100 << 48
	nearer, beyond := key, key
	nearer[0] ^= 0xff << 48
	beyond[0] ^= 0x180 << 48
	for i, id := range []ID{nearer, beyond} {
		c.Adopt(0, fakeContact(id, i+1))
		c.slots[c.find(&id)].srtt = uint16(900 - 800*i)
	}
	if _, err := c.Route(0, key, nil, 1); err != nil {
		t.Fatal(err)
	}
	if sent := drain(c); len(sent) != 1 || sent[0].To.ID != nearer {
		t.Errorf("beside a near one beyond ourselves: %+v", sent)
	}
}

// TestHand: a message goes to the node that is its key and to nobody else, whole, whether it is on its way or an own one;
// what that node does not take over is gone.
func TestHand(t *testing.T) {
	rnd := newRand(8)
	c := newCore(t, 1, nil)
	client := fakeAt(randomID(rnd), netip.MustParseAddr("45.9.9.9"), 1, identity.FlagClient)
	other := fakeContact(client.ID.randomIn(200, rnd), 3) // closer to the key than we are: the next hop of a forwarded message
	c.Adopt(0, other)
	theirs := Message{Op: opcode.RouteCode, Route: 77, Origin: randomID(rnd), Key: client.ID, Copy: 2, Payload: []byte("for you")}
	own := Message{Key: client.ID, Payload: []byte("mine")}
	for _, m := range []Message{theirs, own} {
		for _, taken := range []bool{true, false} {
			drain(c)
			if err := c.Hand(0, &m, client); err != nil {
				t.Fatal(err)
			}
			list := drain(c)
			if len(list) != 1 || list[0].To != client || list[0].Message.Op != opcode.RouteCode {
				t.Fatalf("%+v", list)
			}
			got := list[0].Message
			if got.Key != client.ID || got.Copy != m.Copy || got.TTL != 0 || !bytes.Equal(got.Payload, m.Payload) || got.Route == 0 ||
				m.Route != 0 && (got.Route != m.Route || got.Origin != m.Origin) || m.Route == 0 && got.Origin != c.self.ID {
				t.Errorf("sent %+v", got)
			}
			c.Receive(0, Peer{client, false}, &Message{Op: opcode.RouteAckCode, Nonce: got.Nonce, Refused: !taken})
			verify(t, c)
			for _, a := range drain(c) {
				t.Errorf("taken %t: then %+v", taken, a)
			}
			if c.relayed != 0 {
				t.Errorf("%d are still under way", c.relayed)
			}
		}
	}
	if err := c.Hand(0, &own, other); !errors.Is(err, ErrOptions) {
		t.Errorf("to another node: %v", err)
	}
	for range relayLimit {
		if err := c.Hand(0, &own, client); err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
	}
	if err := c.Hand(0, &own, client); !errors.Is(err, ErrBusy) {
		t.Errorf("too many: %v", err)
	}
}

// TestActionRecord: who was asked for its record and answers is told of, with the newest that is known.
func TestActionRecord(t *testing.T) {
	c := newCore(t, 1, nil)
	d := fakeContact(randomID(newRand(5)), 1)
	newer := resigned(d, func(r *identity.Record) { r.Seq = 7 })
	c.Adopt(0, d)
	for _, x := range []struct{ says, want *Contact }{{d, d}, {newer, newer}, {d, newer}, {forged(resigned(d, func(r *identity.Record) { r.Seq = 9 }), 3), newer}} {
		drain(c)
		if err := c.AskRecord(0, d); err != nil {
			t.Fatal(err)
		}
		list := drain(c)
		c.Receive(0, Peer{d, true}, &Message{Op: opcode.RecordCode, Nonce: list[0].Message.Nonce, Contacts: []*Contact{x.says}})
		told := 0
		for _, a := range drain(c) {
			if a.Kind == ActionRecord {
				told++
				if a.To != x.want {
					t.Errorf("sequence number %d, want %d", a.To.Record.Seq, x.want.Record.Seq)
				}
			}
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	}
}
