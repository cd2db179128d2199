package datagram

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"
)

// knock is a Knock as a stranger writes it.
func knock(id ID) []byte {
	b := make([]byte, BaseSize)
	PutHeader(b, Knock, 0)
	binary.LittleEndian.PutUint64(b[HeaderSize:], uint64(id))
	b[HeaderSize+idSize] = version
	return b
}

// openWith is an Open as a stranger writes it.
func openWith(id ID, c cookie, payload string) []byte {
	b := make([]byte, openHead, openHead+len(payload))
	PutHeader(b, Open, 0)
	binary.LittleEndian.PutUint64(b[HeaderSize:], uint64(id))
	copy(b[HeaderSize+idSize:], c[:])
	return append(b, payload...)
}

// An address that proves nothing gets less than it sends, whatever it sends.
func TestAmplification(t *testing.T) {
	w := newTown(t)
	b := w.house(atB, Config{})
	la, lb := w.connect(w.house(atA, Config{}), b)
	for range 1000 {
		w.send(atC, atB, knock(7))
	}
	for k := range Kind(20) { // and everything else that might be answered
		for _, id := range []ID{0, lb.id, la.id} {
			for _, size := range []int{HeaderSize, probeSize, openHead + 1, BaseSize} {
				m := make([]byte, size)
				PutHeader(m, k, id)
				w.send(atC, atB, m)
			}
		}
	}
	w.pass(time.Minute)
	out, in := w.spent[atC][1], w.spent[atC][0]
	t.Logf("%d bytes out for %d in: %.3f", out, in, float64(out)/float64(in))
	if out == 0 || out > in {
		t.Errorf("%d bytes out for %d in", out, in)
	}
}

// An authentic datagram from a new address is answered with no more than a few times its own size before that address has
// answered.
func TestAmplificationByMove(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, _ := w.connect(a, b)
	a.at = atC // nobody lives there, so nothing is answered
	write(t, la, "a payload as large as the least record: 8, 16 and a header")
	w.pass(10 * time.Second)
	out, in := w.spent[atC][1], w.spent[atC][0]
	if out == 0 || out > 3*in {
		t.Errorf("%d bytes to an address that sent %d", out, in)
	}
}

// Cookies are good for one address, one id, one link and a few seconds.
func TestCookies(t *testing.T) {
	w := newTown(t)
	b := w.house(atB, Config{})
	c := cookie(b.mux.baker.bake(0, atC, 7))
	for name, m := range map[string]struct {
		at   time.Duration
		from netip.AddrPort
		b    []byte
		good bool
	}{
		"good":            {0, atC, openWith(7, c, "hello"), true},
		"another address": {0, atA, openWith(7, c, "hello"), false},
		"another port":    {0, netip.AddrPortFrom(atC.Addr(), 1), openWith(7, c, "hello"), false},
		"another id":      {0, atC, openWith(8, c, "hello"), false},
		"changed":         {0, atC, openWith(7, cookie{4: 1}, "hello"), false},
		"old":             {CookieLife + 2*time.Second, atC, openWith(7, c, "hello"), false},
		"still good":      {CookieLife, atC, openWith(7, c, "hello"), true},
		"from the future": {0, atC, openWith(7, cookie(b.mux.baker.bake(time.Hour, atC, 7)), "hello"), false},
	} {
		h := w.house(atB, Config{})
		h.mux.baker = b.mux.baker
		h.mux.Receive(m.at, 0, m.from, m.b)
		if opened := h.mux.Links() == 1; opened != m.good || opened == (h.mux.Counts.BadCookie.Load() == 1) {
			t.Errorf("%s: opened %v, want %v; bad cookies: %d", name, opened, m.good, h.mux.Counts.BadCookie.Load())
		}
	}
}

// What repeats a cookie goes to the link it has opened, and to nothing once that link has moved on or is no more.
func TestCookieReplay(t *testing.T) {
	w := newTown(t)
	b := w.house(atB, Config{})
	m := openWith(7, cookie(b.mux.baker.bake(0, atC, 7)), "hello")
	for range 3 {
		b.mux.Receive(0, 0, atC, m)
	}
	if len(b.links) != 1 || len(b.got) != 3 {
		t.Fatalf("%d links, %d payloads", len(b.links), len(b.got))
	}
	b.links[0].Close()
	w.pass(time.Second)
	for at := time.Duration(0); at < 30*time.Second; at += time.Second / 2 {
		b.mux.Receive(at, 0, atC, m)
	}
	if len(b.links) != 1 || len(b.got) != 3 || b.mux.Counts.Replayed.Load() == 0 {
		t.Errorf("a replay has opened a link: %d links, %d payloads, %d replays", len(b.links), len(b.got), b.mux.Counts.Replayed.Load())
	}
}

// Whoever uses up more cookies than a loop remembers keeps nobody out: the oldest are forgotten, and what is new opens a link
// once.
func TestUsedLimit(t *testing.T) {
	w := newTown(t)
	b := w.house(atB, Config{})
	for i := range 3 * usedLimit {
		b.mux.used.add(0, cookie{byte(i), byte(i >> 8), byte(i >> 16)}, 0)
	}
	if n := len(b.mux.used.halves[0]) + len(b.mux.used.halves[1]); n > 2*usedLimit {
		t.Errorf("%d cookies are remembered", n)
	}
	m := openWith(7, cookie(b.mux.baker.bake(0, atC, 7)), "hello")
	for range 3 {
		b.mux.Receive(0, 0, atC, m)
	}
	if b.mux.Links() != 1 || len(b.got) != 3 {
		t.Errorf("%d links, %d payloads, events %v", b.mux.Links(), len(b.got), b.events)
	}
}

// Somebody who sees a Knock and answers it first, with a Cookie of its own making, holds a dial up for two seconds, and does not
// end it.
func TestForgedCookie(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	forged := false
	w.post = func(l *letter) bool {
		if Kind(l.b[0]) == Knock && !forged {
			forged = true
			m := make([]byte, HeaderSize+cookieSize)
			copy(m[1:], l.b[HeaderSize:HeaderSize+idSize])
			m[0] = byte(Cookie)
			a.mux.Receive(w.now, 0, atB, m)
		}
		return true
	}
	a.mux.Dial(context.Background(), udp(atB), nil)
	for range 20 { // as a handshake message that nobody answers
		w.pass(200 * time.Millisecond)
		if len(b.links) == 0 {
			write(t, a.links[0], "hello")
		}
	}
	if len(b.links) != 1 || b.mux.Counts.BadCookie.Load() == 0 {
		t.Fatalf("%d links, %d bad cookies", len(b.links), b.mux.Counts.BadCookie.Load())
	}
	write(t, b.links[0], "welcome")
	w.pass(time.Second)
	write(t, a.links[0], "thanks")
	w.pass(time.Second)
	if string(b.got[len(b.got)-1]) != "thanks" || a.links[0].state() != open || b.links[0].state() != open {
		t.Errorf("%q, states %d and %d", b.got, a.links[0].state(), b.links[0].state())
	}
}

// An Answer that somebody has made up, or a copy with another id in it, leads the dialling end nowhere: it goes on asking until
// something authentic comes, and an id in front of that which is wrong is corrected by the next one.
func TestForgedAnswer(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	a.judge = func(l *Link, b []byte) {
		if string(b) == "welcome" {
			l.Authentic(true)
		}
	}
	forge := func(l *letter, payload []byte) {
		m := slices.Clone(l.b[:answerHead])
		m[HeaderSize] ^= 1 // another loop's
		a.mux.Receive(w.now, 0, atB, append(m, payload...))
	}
	w.post = func(l *letter) bool {
		if Kind(l.b[0]) == Answer {
			forge(l, []byte("made up"))
		}
		return true
	}
	la, lb := w.connect(a, b)
	if got := la.remoteID(); got != lb.id {
		t.Errorf("writes to %x, not %x", got, lb.id)
	}
	// A copy that comes before what it is a copy of.
	copies := 0
	w.post = func(l *letter) bool {
		if Kind(l.b[0]) == Answer {
			copies++
			forge(l, l.b[answerHead:])
			return copies > 1 // and the first one for good
		}
		return true
	}
	a.mux.Dial(context.Background(), udp(atB), nil)
	w.pass(time.Second)
	la = a.links[1]
	write(t, la, "hello")
	w.pass(time.Second)
	lb = b.links[1]
	write(t, lb, "welcome")
	w.pass(time.Second)
	write(t, la, "lost")
	w.pass(time.Second)
	if la.state() != open || lb.state() != telling {
		t.Fatalf("states %d and %d, want that of a dial that was led astray", la.state(), lb.state())
	}
	w.post = nil
	write(t, lb, "welcome") // such as the responder's next keepalive
	w.pass(time.Second)
	write(t, la, "thanks")
	w.pass(time.Second)
	if la.remoteID() != lb.id || lb.state() != open {
		t.Errorf("writes to %x, not %x", la.remoteID(), lb.id)
	}
}

// A million Knocks, and as many Opens with made-up cookies of which half might be right, from addresses
// anybody can write, 100,000 of each a second, leave nothing behind and allocate nothing; a loop answers no
// more of them than it may.
func TestFlood(t *testing.T) {
	const every = 10 * time.Microsecond
	count := 1_000_000
	if testing.Short() || raceBuild {
		count = 50_000
	}
	w := newTown(t)
	b := w.house(atB, Config{})
	void := &void{house: b}
	b.mux.carrier = void
	dice := rand.New(rand.NewPCG(1, 1))
	k, o := knock(0), openWith(0, cookie{}, "hello")
	before, allocated := heapBytes(), mallocs()
	for i := range count {
		now := 20*time.Second + time.Duration(i)*every
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(dice.Uint32()), byte(dice.Uint32()), 1}), 5)
		binary.LittleEndian.PutUint64(k[HeaderSize:], dice.Uint64())
		binary.LittleEndian.PutUint64(o[HeaderSize:], dice.Uint64())
		binary.LittleEndian.PutUint32(o[HeaderSize+idSize:], uint32(now/time.Second)-uint32(i)%32) // every third is of an age that a cookie may have
		binary.LittleEndian.PutUint64(o[HeaderSize+idSize+4:], dice.Uint64())
		b.mux.Receive(now, 0, from, k)
		b.mux.Receive(now, 0, from, o)
	}
	allocated = mallocs() - allocated
	grown := heapBytes() - before
	t.Logf("%d initiations: %d bytes of heap, %d allocations", 2*count, grown, allocated)
	if grown > 64<<10 || allocated > 100 && !raceBuild || b.mux.Links() != 0 || len(b.events) != 0 {
		t.Errorf("%d bytes, %d allocations, %d links, events %v", grown, allocated, b.mux.Links(), b.events)
	}
	c := b.mux.Counts
	if bad := c.BadCookie.Load(); bad != int64(count) {
		t.Errorf("%d cookies were bad, want %d", bad, count)
	}
	most := int64(cookieBurst + count*int(every)/int(cookieEvery)) // on average
	if got := c.Cookies.Load(); got < most*9/10 || got > most*11/10 || got != void.sent || got+c.Overrun.Load() != int64(count) {
		t.Errorf("%d cookies, %d datagrams sent, %d not answered; want about %d cookies", got, void.sent, c.Overrun.Load(), most)
	}
}

// A void is a carrier that counts and sends nothing.
type void struct {
	*house
	sent int64
}

func (v *void) Send(int, netip.AddrPort, Kind, ID, []byte) bool {
	v.sent++
	return true
}

// A crowd that knocks all at once gets its cookies: as many as a burst at once, the others when they knock again.
func TestCrowdGetsCookies(t *testing.T) {
	const crowd = 5000
	w := newTown(t)
	b := w.house(atB, Config{})
	waits := map[uint16]bool{}
	for i := range uint16(crowd) {
		waits[1000+i] = true
	}
	w.post = func(l *letter) bool {
		delete(waits, l.to.Port())
		return false
	}
	tries := 0
	for now := time.Duration(0); len(waits) > 0; now += knockEvery {
		if tries++; tries > 2+crowd*int(cookieEvery)/int(knockEvery) {
			t.Fatalf("after %d tries %d have no cookie", tries, len(waits))
		}
		for number := range waits {
			b.mux.Receive(now, 0, netip.AddrPortFrom(atC.Addr(), number), knock(7))
		}
	}
}

// While 100,000 knock each second honest newcomers get their cookies all the same: half of them soon, nearly
// all before a dial's 10 s are over.
func TestNewcomersInFlood(t *testing.T) {
	const newcomers, dialTimeout = 300, 10 * time.Second
	w := newTown(t)
	b := w.house(atB, Config{})
	dice := rand.New(rand.NewPCG(5, 5))
	var began [newcomers]time.Duration // the number of a port below 1000 + newcomers
	for i := range began {
		began[i] = time.Second + time.Duration(dice.Int64N(int64(knockEvery)))
	}
	slices.Sort(began[:]) // as they knock, again and again
	now, served := time.Duration(0), map[int]bool{}
	var took []time.Duration
	w.post = func(l *letter) bool {
		if i := int(l.to.Port()) - 1000; l.to.Addr() == atC.Addr() {
			took = append(took, now-began[i])
			served[i] = true
		}
		return false
	}
	stranger, honest := knock(0), knock(7)
	turn, at := 0, began[0]
	for next := time.Duration(0); now < time.Second+dialTimeout; {
		if next < at {
			now = next
			b.mux.Receive(now, 0, atA, stranger)
			next += time.Duration(dice.ExpFloat64() * float64(10*time.Microsecond))
			continue
		}
		now = at
		if i := turn % newcomers; !served[i] {
			b.mux.Receive(now, 0, netip.AddrPortFrom(atC.Addr(), uint16(1000+i)), honest)
		}
		turn++
		at = began[turn%newcomers] + time.Duration(turn/newcomers)*knockEvery
	}
	slices.Sort(took)
	if n := len(took); n < newcomers*95/100 || took[newcomers/2] > 1600*time.Millisecond {
		t.Fatalf("%d of %d newcomers have a cookie after %v: %v", n, newcomers, dialTimeout, took)
	}
	t.Logf("%d of %d newcomers have a cookie after %v, half of them after %v", len(took), newcomers, dialTimeout, took[newcomers/2])
}

// mallocs is how many objects have been allocated so far.
func mallocs() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Mallocs)
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A peer whose address changes is followed, once the new address has answered and the old has not.
func TestMove(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, lb := w.connect(a, b)
	delete(w.houses, atA)
	a.at, w.houses[atC] = atC, a
	write(t, la, "I am elsewhere")
	w.pass(100 * time.Millisecond)
	if lb.Path() != udp(atA) {
		t.Errorf("one datagram has moved the link to %v", lb.Path())
	}
	w.pass(2 * time.Second)
	if lb.Path() != udp(atC) || lb.Remote() != udp(atA) || b.mux.Counts.Moved.Load() != 1 {
		t.Errorf("path %v, remote %v, %d moves", lb.Path(), lb.Remote(), b.mux.Counts.Moved.Load())
	}
	a.got = nil
	write(t, lb, "found you")
	w.pass(time.Second)
	if len(a.got) != 1 || lb.busy != nil {
		t.Errorf("%d payloads arrived at the new address", len(a.got))
	}
}

// Who copies a peer's datagrams and sends them from elsewhere, faster, and answers what is asked there, does not get the
// link: the peer still answers at its own address.
func TestHijack(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, lb := w.connect(a, b)
	w.post = func(l *letter) bool {
		switch {
		case l.from == atA: // seen on the way, and overtaken
			w.mail = append(w.mail, letter{atC, l.to, l.b, l.at - 5*time.Millisecond})
		case l.to == atC && Kind(l.b[0]) == Probe: // answered by the thief
			answer := append([]byte(nil), l.b...)
			PutHeader(answer, Probed, lb.id)
			w.mail = append(w.mail, letter{atC, atB, answer, l.at + 5*time.Millisecond})
		}
		return true
	}
	seen := false
	b.judge = func(l *Link, _ []byte) { l.Authentic(!seen); seen = true } // a copy is not newest
	for range 20 {
		seen = false
		write(t, la, "mine")
		w.pass(time.Second)
	}
	if lb.Path() != udp(atA) || b.mux.Counts.Moved.Load() != 0 || b.mux.Counts.Stayed.Load() == 0 {
		t.Errorf("path %v after %d moves; %d times stayed", lb.Path(), b.mux.Counts.Moved.Load(), b.mux.Counts.Stayed.Load())
	}
	if len(b.got) == 0 || lb.busy != nil {
		t.Errorf("%d payloads; business left: %v", len(b.got), lb.busy != nil)
	}
}

// Before anything authentic has come, a link hears only the address that opened it.
func TestStrangersBeforeProof(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	b.judge = func(*Link, []byte) {} // nothing is authentic yet
	a.mux.Dial(context.Background(), udp(atB), nil)
	w.pass(time.Second)
	write(t, a.links[0], "hello")
	w.pass(time.Second)
	before := len(b.got)
	m := append(make([]byte, HeaderSize), "from nowhere"...)
	PutHeader(m, Data, b.links[0].id)
	w.send(atC, atB, m)
	w.pass(time.Second)
	if len(b.got) != before || b.mux.Counts.Strangers.Load() != 1 || b.links[0].state() != telling {
		t.Errorf("%d payloads, %d strangers, state %d", len(b.got)-before, b.mux.Counts.Strangers.Load(), b.links[0].state())
	}
	// The same for the dialling end: a Cookie and an Answer from elsewhere.
	a.mux.Dial(context.Background(), udp(netip.MustParseAddrPort("192.0.2.9:9")), nil)
	w.pass(time.Millisecond)
	var knocking *Link
	for _, l := range a.mux.slots {
		if l != nil && l != a.links[0] {
			knocking = l
		}
	}
	c := make([]byte, HeaderSize+cookieSize)
	PutHeader(c, Cookie, knocking.id)
	w.send(atC, atA, c)
	answer := make([]byte, answerHead+4)
	PutHeader(answer, Answer, knocking.id)
	w.send(knocking.remote, atA, answer)
	data := make([]byte, HeaderSize+4)
	PutHeader(data, Data, knocking.id)
	w.send(knocking.remote, atA, data)
	w.pass(time.Second)
	if len(a.links) != 1 {
		t.Error("a stranger's cookie has opened a link")
	}
}

// Truncated, empty, unknown, and for nobody: each is counted and dropped.
func TestMalformed(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, lb := w.connect(a, b)
	got := len(b.got)
	b.mux.Receive(w.now, 0, atA, nil)
	for k := range Kind(10) {
		for size := range probeSize {
			m := make([]byte, size)
			if size >= HeaderSize {
				PutHeader(m, k, lb.id)
			}
			if k == Data && size > HeaderSize {
				continue // a payload
			}
			b.mux.Receive(w.now, 0, atA, m)
		}
	}
	if len(b.got) != got {
		t.Errorf("%d payloads out of nothing", len(b.got)-got)
	}
	if b.mux.Counts.Malformed.Load() < 100 {
		t.Errorf("%d malformed", b.mux.Counts.Malformed.Load())
	}
	other := make([]byte, HeaderSize+1)
	PutHeader(other, Data, lb.id+3)
	if at := b.mux.Receive(w.now, 0, atA, other); at != 3 {
		t.Errorf("a datagram for loop 3 is said to be for %d", at)
	}
	other[1+4] ^= 1
	PutHeader(other, Data, lb.id^1<<32)
	b.mux.Receive(w.now, 0, atA, other)
	if b.mux.Counts.Unknown.Load() != 1 {
		t.Errorf("a wrong number in the right place: %d", b.mux.Counts.Unknown.Load())
	}
	_ = la
}

// Law: no bytes from anywhere make the Mux panic, open a link without a cookie of its own, or send more than three times
// what came from an address that has proven nothing.
func FuzzReceive(f *testing.F) {
	f.Add(knock(1), false)
	f.Add(openWith(7, cookie{}, "hello"), false)
	for k := range Kind(9) {
		b := make([]byte, probeSize+1)
		PutHeader(b, k, makeID(0, 0, 0))
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, known bool) {
		w := newTown(t)
		h, far := w.house(atB, Config{}), w.house(atA, Config{})
		_, l := w.connect(far, h)
		if known && len(b) >= HeaderSize {
			PutHeader(b, Kind(b[0]), l.id)
		}
		w.spent = map[netip.AddrPort]*[2]int{}
		w.send(atC, atB, b)
		h.judge = func(*Link, []byte) {}
		w.pass(10 * time.Second)
		if h.mux.Links() != 1 {
			t.Errorf("%x has opened a link", b)
		}
		if s := w.spent[atC]; s[1] > 3*s[0] {
			t.Errorf("%d bytes for %d: %x", s[1], s[0], b)
		}
	})
}

// A link stays in the family of addresses that it was opened in, whoever sends what from the other one: its socket cannot
// send there.
func TestOtherFamily(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, lb := w.connect(a, b)
	at6 := netip.MustParseAddrPort("[2001:db8::1]:1000")
	got := len(b.got)
	a.at = at6 // the other socket of the same node
	write(t, la, "authentic, and the newest")
	m := make([]byte, probeSize)
	PutHeader(m, Probe, lb.id)
	w.send(at6, atB, m)
	w.pass(time.Second)
	if len(b.got) != got+1 {
		t.Errorf("%d payloads", len(b.got)-got)
	}
	if w.spent[at6][1] != 0 || lb.busy != nil || lb.Path() != udp(atA) {
		t.Errorf("%d bytes went there; path %v", w.spent[at6][1], lb.Path())
	}
}

// While a loop is behind nobody who knocks is answered, and those who are known are served; afterwards a knock counts again.
func TestOverrun(t *testing.T) {
	w := newTown(t)
	b := w.house(atB, Config{})
	la, _ := w.connect(w.house(atA, Config{}), b)
	b.mux.Overrun(true)
	for range 10 {
		w.send(atC, atB, knock(7))
	}
	if _, err := la.Write([]byte("known")); err != nil {
		t.Fatal(err)
	}
	heard := len(b.got)
	w.pass(time.Second)
	if got := w.spent[atC][1]; got != 0 || b.mux.Counts.Overrun.Load() != 10 || len(b.got) != heard+1 {
		t.Errorf("%d bytes for a stranger, %d counted, %d datagrams of a peer", got, b.mux.Counts.Overrun.Load(), len(b.got)-heard)
	}
	b.mux.Overrun(false)
	w.send(atC, atB, knock(7))
	w.pass(time.Second)
	if w.spent[atC][1] == 0 {
		t.Error("a loop that has caught up does not answer")
	}
}
