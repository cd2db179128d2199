package skad

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// pinged runs a core until a time and returns when each contact was pinged. Those that alive says answer after 40 ms;
// nobody else is heard of.
func pinged(c *Core, until time.Duration, alive func(d *Contact) bool) map[ID][]time.Duration {
	times := map[ID][]time.Duration{}
	var waiting []Action
	take := func() {
		for _, a := range drain(c) {
			if a.Kind == ActionSend && a.Message.Op == opcode.PingCode {
				times[a.To.ID] = append(times[a.To.ID], c.now)
				if alive(a.To) {
					a.Result = &Result{Took: c.now + 40*time.Millisecond}
					waiting = append(waiting, a)
				}
			}
		}
	}
	take()
	for c.now < until {
		at := min(until, c.Deadline())
		if len(waiting) > 0 && waiting[0].Result.Took <= at {
			a := waiting[0]
			waiting = waiting[1:]
			c.Receive(a.Result.Took, Peer{a.To, true}, &Message{Op: opcode.PongCode, Nonce: a.Message.Nonce})
		} else {
			c.Expire(at)
		}
		take()
	}
	return times
}

func everybody(*Contact) bool { return true }

// TestPingsBecomeRare: a living contact is pinged after 30 s, then ever more rarely, at last every ten minutes, give or
// take an eighth.
func TestPingsBecomeRare(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.RefreshLeast = 300 * 24 * time.Hour }) // or its answers would be signs of life too
	d := fakeContact(randomID(newRand(2)), 1)
	c.Adopt(0, d)
	times := pinged(c, 5*time.Hour, everybody)[d.ID]
	within := func(gap, least, most time.Duration) bool {
		return gap >= least*7/8-time.Second && gap <= most*9/8+time.Second
	}
	if len(times) < 30 || !within(times[0], 30*time.Second, 30*time.Second) {
		t.Fatalf("pinged at %v", times)
	}
	for i := 1; i < len(times); i++ {
		want := min(10*time.Minute, max(30*time.Second, times[i-1])) // as long as it was known by then
		if gap := times[i] - times[i-1]; !within(gap, want, want) {
			t.Errorf("ping %d came %v after the one before, want about %v", i, gap, want)
		}
	}
}

// TestTwoMissesReplace: a contact that does not answer is pinged once more at once, then its place goes to a spare that
// does answer; the dead one is remembered as lost, and found again when it is back.
func TestTwoMissesReplace(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.K, cfg.Siblings, cfg.Eta = 4, 1, 1 })
	rnd := newRand(3)
	c.Adopt(0, fakeContact(c.self.ID.randomIn(60, rnd), 99))
	var people []*Contact
	for i := range 6 {
		d := fakeContact(c.self.ID.randomIn(0, rnd), i)
		greet(c, 0, Peer{d, true})
		people = append(people, d)
	}
	dead, spares := people[0], people[4:]
	if n := len(c.Sharing(0, nil)); n != 4 {
		t.Fatalf("%d in the bucket, want 4", n)
	}
	c.join.refreshAt = Never
	times := pinged(c, 50*time.Second, func(d *Contact) bool { return d != dead })
	verify(t, c)
	if p := times[dead.ID]; len(p) != 2 || p[1]-p[0] > time.Second {
		t.Errorf("the dead contact was pinged at %v, want twice within its time-out", p)
	}
	if len(times[spares[1].ID]) == 0 || len(times[spares[0].ID]) != 0 {
		t.Errorf("the newest spare must be asked first, and alone: %v", times)
	}
	have := c.Sharing(0, nil)
	i := c.find(&dead.ID)
	if len(have) != 4 || i == 0 || !c.slots[i].has(isLost) || c.slots[i].has(isMember) {
		t.Fatalf("%d in the bucket, the dead one known: %v", len(have), i != 0)
	}
	// It is back, in a bucket with room.
	c.drop(c.find(&people[1].ID))
	c.drop(c.find(&people[2].ID))
	drain(c)
	greet(c, c.now, Peer{dead, true})
	if verify(t, c); !c.slots[c.find(&dead.ID)].has(inBucket) {
		t.Error("a lost contact that calls again is not taken back")
	}
}

// TestOfflineKeepsTheTable: when nobody at all answers it is we who are offline, and nobody is thrown out; when one
// does answer again, the dead go.
func TestOfflineKeepsTheTable(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(4)
	for i := range 20 {
		c.Adopt(0, fakeContact(randomID(rnd), i))
	}
	pinged(c, time.Hour, func(*Contact) bool { return false })
	if verify(t, c); c.Len() != 20 {
		t.Fatalf("after an hour offline %d of 20 contacts are left", c.Len())
	}
	friend := c.Siblings(nil)[0]
	pinged(c, 2*time.Hour, func(d *Contact) bool { return d == friend })
	if verify(t, c); c.Len() != 1 {
		t.Errorf("%d contacts are in the table although only one answers", c.Len())
	}
}

// TestRefusedBeforeTheWitness: who cannot be dialled fails faster than anybody answers. That it is not we who are offline
// shows a moment later, and then the dead one goes, not half a minute later.
func TestRefusedBeforeTheWitness(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(5)
	dead, friend := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2)
	c.Adopt(0, dead)
	c.Adopt(0, friend)
	c.Lost(time.Second, dead)
	type pong struct {
		at    time.Duration
		nonce uint64
	}
	var onTheWay []pong
	for now := time.Second; now < 4*time.Second; now += 10 * time.Millisecond {
		c.Expire(now)
		for i := 0; i < len(onTheWay); i++ {
			if onTheWay[i].at <= now {
				c.Receive(now, Peer{friend, true}, &Message{Op: opcode.PongCode, Nonce: onTheWay[i].nonce})
				onTheWay = append(onTheWay[:i], onTheWay[i+1:]...)
				i--
			}
		}
		for again := true; again; {
			again = false
			for _, a := range drain(c) {
				switch {
				case a.Kind != ActionSend || a.Message.Op != opcode.PingCode:
				case a.To.ID == dead.ID:
					c.SendFailed(now, a.To)
					again = true
				default:
					onTheWay = append(onTheWay, pong{now + 60*time.Millisecond, a.Message.Nonce})
				}
			}
		}
	}
	if verify(t, c); c.Len() != 1 {
		t.Errorf("%d contacts are in the table three seconds after one of two was lost", c.Len())
	}
}

// TestLostTogetherIsOneMiss: several questions that go unanswered at the same time are one miss, not as many.
func TestLostTogetherIsOneMiss(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(5)
	d, other := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2)
	c.Adopt(0, d)
	c.Adopt(0, other)
	for range 3 {
		if _, err := c.Lookup(0, d.ID, LookupOptions{Paths: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range drain(c) {
		if a.To == other {
			c.Receive(time.Millisecond, Peer{other, true}, &Message{Op: opcode.LookupNodeResponseCode, Nonce: a.Message.Nonce})
		}
	}
	c.SendFailed(2*time.Millisecond, d)
	if verify(t, c); c.Len() != 2 {
		t.Fatal("three questions lost at once have cost a contact its place")
	}
	pings := 0
	drain(c)
	c.Expire(1100 * time.Millisecond)
	for _, a := range drain(c) {
		if a.Kind == ActionSend && a.To == d && a.Message.Op == opcode.PingCode {
			pings++
		}
	}
	if pings != 1 {
		t.Errorf("%d pings after the miss, want one within about a second", pings)
	}
	c.SendFailed(1200*time.Millisecond, d)
	if verify(t, c); c.Len() != 2 {
		t.Error("the ping failed too, but nobody has answered since it was sent: it may be us")
	}
}

// TestDialsHaveTime: a question that waits for a connection has the time of a dial; when the connection stands its
// clock begins anew and what passed is no round trip.
func TestDialsHaveTime(t *testing.T) {
	c := newCore(t, 1, nil)
	d := fakeContact(randomID(newRand(6)), 1)
	if err := c.AskRecord(0, d); err != nil {
		t.Fatal(err)
	}
	if at := c.Deadline(); at != callTimeoutMost {
		t.Fatalf("time-out at %v without a dial", at)
	}
	c.Dialing(0, d)
	if at := c.Deadline(); at != dialTimeout {
		t.Fatalf("time-out at %v during a dial", at)
	}
	c.Connected(2*time.Second, Peer{d, true})
	if at := c.Deadline(); at != 3*time.Second {
		t.Fatalf("time-out at %v after the dial", at)
	}
	a := drain(c)[0]
	c.Receive(2100*time.Millisecond, Peer{d, true}, &Message{Op: opcode.RecordCode, Nonce: a.Message.Nonce, Contacts: []*Contact{d}})
	for i := range c.slots {
		if s := &c.slots[i]; s.contact == d {
			if got := time.Duration(s.srtt) * rttUnit; got != 100*time.Millisecond {
				t.Errorf("measured %v, want 100ms", got)
			}
			return
		}
	}
	t.Error("the contact is gone")
}

// TestRoundTrips: the time-out follows RFC 6298 within its clamps.
func TestRoundTrips(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name string
		took []time.Duration
		want time.Duration
	}{
		{"nothing measured", nil, time.Second},
		{"first: R + 4 R/2", []time.Duration{100 * ms}, 300 * ms},
		{"near: not below the clamp", []time.Duration{ms, ms, ms}, 150 * ms},
		{"far: not above the clamp", []time.Duration{900 * ms}, time.Second},
		{"beyond what is kept", []time.Duration{time.Hour}, time.Second},
		{"second: srtt 112.5, rttvar 62.5", []time.Duration{100 * ms, 200 * ms}, 362500 * time.Microsecond},
	} {
		var r roundTrip
		for _, d := range tt.took {
			r = r.add(d)
		}
		if got := r.timeout(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	var steady roundTrip
	for range 100 {
		steady = steady.add(80 * ms)
	}
	if got := steady.timeout(); got != 150*ms {
		t.Errorf("a hundred round trips of 80ms: time-out %v, want the clamp", got)
	}
}

// TestStrangersGetTheMostTime: what others' round trips are says nothing about a contact that was never measured.
func TestStrangersGetTheMostTime(t *testing.T) {
	c := newCore(t, 1, nil)
	a, b := c.acquire(fakeContact(ID{1}, 1)), c.acquire(fakeContact(ID{2}, 2))
	c.measure(a, 100*time.Millisecond)
	if got := c.timeout(b); got != callTimeoutMost {
		t.Errorf("time-out %v", got)
	}
}

// TestSteadyPathsGetAMargin: however steady a path has been, an answer may take half as long again.
func TestSteadyPathsGetAMargin(t *testing.T) {
	c := newCore(t, 1, nil)
	a := c.acquire(fakeContact(ID{1}, 1))
	for range 100 {
		c.measure(a, 200*time.Millisecond)
	}
	if got := c.timeout(a); got < 290*time.Millisecond || got > 310*time.Millisecond {
		t.Errorf("time-out %v after a hundred round trips of 200 ms", got)
	}
}

// TestNewRecordOfAMember: a record with new addresses costs a contact its place until it has answered; one with the
// same addresses does not.
func TestNewRecordOfAMember(t *testing.T) {
	c := newCore(t, 1, nil)
	d := fakeContact(randomID(newRand(7)), 1)
	c.Adopt(0, d)
	v := c.View()
	same := resigned(d, func(r *identity.Record) { r.Seq = 2 })
	c.Receive(0, Peer{same, true}, &Message{Op: opcode.PingCode, Nonce: 1})
	if drain(c); c.Len() != 1 || c.Siblings(nil)[0] != same || c.View() == v {
		t.Fatal("the newer record has not replaced the older")
	}
	moved := resigned(d, func(r *identity.Record) { r.Seq, r.Addrs = 3, fakeContact(d.ID, 2).Record.Addrs })
	c.Receive(0, Peer{moved, true}, &Message{Op: opcode.RecordCode, Contacts: []*Contact{moved}})
	if verify(t, c); c.Len() != 0 {
		t.Fatal("a contact keeps its place although its addresses have changed")
	}
	answerPings(c, 0)
	if verify(t, c); c.Len() != 1 || c.Siblings(nil)[0] != moved {
		t.Error("the contact did not earn its place again")
	}
	c.Receive(0, Peer{d, true}, &Message{Op: opcode.PingCode, Nonce: 1})
	if c.Siblings(nil)[0] != moved {
		t.Error("an older record has replaced a newer")
	}
}

// TestRecordExchange: asked, answered, pushed; and only about oneself.
func TestRecordExchange(t *testing.T) {
	w := newWorld(t, 2, 8, nil)
	a, b := w.order[0], w.order[1]
	a.core.Adopt(0, b.core.Self())
	b.core.Adopt(0, a.core.Self())
	next := resigned(b.core.Self(), func(r *identity.Record) { r.Seq = 5 })
	b.core.self = next // without telling anybody
	if err := a.core.AskRecord(0, next); err != nil {
		t.Fatal(err)
	}
	w.take(a)
	w.run(time.Second)
	if a.core.Siblings(nil)[0] != next {
		t.Error("the answer to a question for a record was not taken")
	}
	pushed := resigned(next, func(r *identity.Record) { r.Seq = 6 })
	b.core.SetSelf(w.now, pushed)
	w.take(b)
	w.run(time.Second)
	if a.core.Siblings(nil)[0] != pushed {
		t.Error("the pushed record was not taken")
	}
}

// TestIdleBucketsAreRefreshed: a bucket that no lookup went through for BucketIdle gets one, of a key in it; one that
// was used does not. The own neighbourhood is asked every five to ten minutes.
func TestIdleBucketsAreRefreshed(t *testing.T) {
	c := fullCore(t)
	depth := c.depth()
	if depth < 5 {
		t.Fatalf("only %d buckets are not covered by the sibling list", depth)
	}
	lookups := map[int][]time.Duration{}
	for c.now < 55*time.Minute {
		if c.now > 30*time.Minute && len(lookups[0]) == 0 {
			if _, err := c.Lookup(c.now, c.self.ID.randomIn(0, c.rnd), LookupOptions{Paths: 1}); err != nil {
				t.Fatal(err)
			}
		}
		c.Expire(c.Deadline())
		seen := map[ID]bool{}
		for a, ok := c.Next(); ok; a, ok = c.Next() {
			if a.Kind != ActionSend {
				continue
			}
			m := Message{Op: a.Message.Op + 1, Nonce: a.Message.Nonce}
			if a.Message.Op == opcode.LookupNodeRequestCode && !seen[a.Message.Key] {
				seen[a.Message.Key] = true
				prefix := CommonPrefix(a.Message.Key, c.self.ID)
				lookups[prefix] = append(lookups[prefix], c.now)
			}
			c.Receive(c.now, Peer{a.To, true}, &m)
		}
	}
	verify(t, c)
	for prefix := range depth {
		first := lookups[prefix][0]
		if prefix > 0 && (first < c.cfg.BucketIdle || first > c.cfg.BucketIdle+c.cfg.RefreshMost+time.Minute) {
			t.Errorf("bucket %d was refreshed after %v", prefix, first)
		}
		if last := lookups[prefix][len(lookups[prefix])-1]; prefix == 0 && last > 35*time.Minute {
			t.Errorf("bucket 0 was refreshed at %v although a lookup had gone through it", last)
		}
	}
	if own := lookups[IDBits]; len(own) < 5 || own[0] < c.cfg.RefreshLeast || own[0] > c.cfg.RefreshMost+time.Minute {
		t.Errorf("the own neighbourhood was asked at %v", own)
	}
}

// TestConnectingIsASignOfLife: a member that has just proven its key from where it can be reached need not be pinged as soon;
// one that calls from elsewhere, or owes an answer, is.
func TestConnectingIsASignOfLife(t *testing.T) {
	for _, x := range []struct {
		name    string
		reached bool
		owes    bool
		later   bool
	}{{"reached", true, false, true}, {"from elsewhere", false, false, false}, {"owes an answer", true, true, false}} {
		t.Run(x.name, func(t *testing.T) {
			c := newCore(t, 1, nil)
			d := fakeContact(randomID(newRand(2)), 1)
			c.Adopt(0, d)
			if x.owes {
				c.slots[c.find(&d.ID)].misses = 1
			}
			before := c.Deadline()
			c.Connected(20*time.Second, Peer{d, x.reached})
			if later := c.Deadline() > before+10*time.Second; later != x.later {
				t.Errorf("the ping was due at %v and is at %v", before, c.Deadline())
			}
			verify(t, c)
		})
	}
}

// TestSpeakingIsASignOfLife: a member that asks us something needs no ping before it has been silent for as
// long as it may be; one that speaks from elsewhere, owes an answer, or whose session broke, is pinged when
// planned.
func TestSpeakingIsASignOfLife(t *testing.T) {
	for _, x := range []struct {
		name        string
		reached     bool
		prepare     func(c *Core, d *Contact)
		least, most time.Duration // when it is pinged; it speaks until 100 s
	}{
		{"reached", true, func(*Core, *Contact) {}, 100*time.Second + 80*time.Second*7/8, 100*time.Second + 100*time.Second*9/8 + tickLength},
		{"from elsewhere", false, func(*Core, *Contact) {}, 26 * time.Second, 34 * time.Second},
		{"owes an answer", true, func(c *Core, d *Contact) { c.slots[c.find(&d.ID)].misses = 1 }, 26 * time.Second, 34 * time.Second},
		{"its session broke", true, func(c *Core, d *Contact) { c.Lost(0, d) }, 0, lostPingWithin + tickLength},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newCore(t, 1, nil)
			d := fakeContact(randomID(newRand(2)), 1)
			c.Adopt(0, d)
			x.prepare(c, d)
			pingedAt := time.Duration(-1)
			take := func() {
				for a, ok := c.Next(); ok; a, ok = c.Next() {
					if a.Message.Op == opcode.PingCode && pingedAt < 0 {
						pingedAt = c.now
					}
				}
			}
			for at := time.Duration(0); at <= 100*time.Second; at += 20 * time.Second {
				for ; c.Deadline() <= at && pingedAt < 0; take() {
					c.Expire(c.Deadline())
				}
				c.Receive(at, Peer{d, x.reached}, &Message{Op: opcode.PingCode, Nonce: 1})
				take()
			}
			for ; pingedAt < 0 && c.Deadline() < time.Hour; take() {
				c.Expire(c.Deadline())
			}
			if pingedAt < x.least || pingedAt > x.most {
				t.Errorf("pinged at %v, want %v to %v", pingedAt, x.least, x.most)
			}
			verify(t, c)
		})
	}
}

// TestSeason: in a seasoned table everybody is pinged once within the span between two pings of an old
// acquaintance, at any moment of it, and from then on once in each.
func TestSeason(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.RefreshLeast = 300 * 24 * time.Hour })
	rnd := newRand(2)
	for i := range 100 {
		c.Adopt(0, fakeContact(randomID(rnd), i))
	}
	c.Season(0)
	verify(t, c)
	const quarter = 10 * time.Minute / 4
	var first [4]int
	times := pinged(c, 29*time.Minute, everybody)
	for id, p := range times {
		if len(p) < 2 || p[0] > 4*quarter+time.Second {
			t.Fatalf("%v was pinged at %v", id, p)
		}
		first[min(3, p[0]/quarter)]++
		for i := 1; i < len(p); i++ {
			if gap := p[i] - p[i-1]; gap < 10*time.Minute*7/8-time.Second || gap > 10*time.Minute*9/8+time.Second {
				t.Errorf("pings %v after one another, of an old acquaintance", gap)
			}
		}
	}
	for _, n := range first {
		if mean := len(times) / 4; len(times) < 40 || n < mean/3 || n > 2*mean {
			t.Fatalf("the first pings of %d members, by quarters of the span: %v", len(times), first)
		}
	}
	nobody := newCore(t, 1, nil)
	if nobody.Season(0); nobody.Deadline() != Never {
		t.Errorf("an empty table waits for %v", nobody.Deadline())
	}
}
