package datagram

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A town is Muxes at addresses, in virtual time, and everything they send, which a test may look at, hold up or change.
type town struct {
	testing.TB
	now    time.Duration
	houses map[netip.AddrPort]*house
	mail   []letter
	late   time.Duration                  // what a letter takes
	post   func(l *letter) (deliver bool) // nil: every letter arrives
	spent  map[netip.AddrPort]*[2]int     // bytes from and to each address
}

type letter struct {
	from, to netip.AddrPort
	b        []byte
	at       time.Duration
}

// A house is one Mux: its loop, its carrier and its sink.
type house struct {
	*town
	at     netip.AddrPort
	index  int
	mux    *Mux
	mtu    int
	full   bool // Send has no room
	awake  bool
	events []string
	links  []*Link
	tags   []any
	failed []error
	got    [][]byte
	judge  func(l *Link, b []byte) // called for each payload; nil: all of it is authentic and new
}

func newTown(t testing.TB) *town {
	return &town{TB: t, houses: map[netip.AddrPort]*house{}, late: 10 * time.Millisecond, spent: map[netip.AddrPort]*[2]int{}}
}

var (
	atA = netip.MustParseAddrPort("192.0.2.1:1000")
	atB = netip.MustParseAddrPort("192.0.2.2:2000")
	atC = netip.MustParseAddrPort("192.0.2.3:3000")
)

func (w *town) house(at netip.AddrPort, cfg Config) *house {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		w.Fatal(err)
	}
	h := &house{town: w, at: at, mtu: SizeLimit}
	secret := Secret{1, 2, byte(at.Port())}
	h.mux = New(h, h, h, cfg, &secret, &Counts{}, rand.NewChaCha8([32]byte{byte(at.Port())}))
	w.houses[at] = h
	return h
}

// The loop.
func (h *house) Index() int           { return h.index }
func (h *house) Now() time.Duration   { return h.now }
func (h *house) WakeAt(time.Duration) {}

// Wake is the loop's and the carrier's.
func (h *house) Wake() { h.awake = true }

// The carrier.
func (h *house) Send(_ int, to netip.AddrPort, k Kind, id ID, body []byte) bool {
	if h.full {
		return false
	}
	b := make([]byte, HeaderSize+len(body))
	PutHeader(b, k, id)
	copy(b[HeaderSize:], body)
	if len(b) > h.mtu {
		return true
	}
	h.send(h.at, to, b)
	return true
}

func (w *town) send(from, to netip.AddrPort, b []byte) {
	for i, a := range []netip.AddrPort{from, to} {
		if w.spent[a] == nil {
			w.spent[a] = &[2]int{}
		}
		w.spent[a][i] += len(b)
	}
	l := letter{from, to, b, w.now + w.late}
	if w.post != nil && !w.post(&l) {
		return
	}
	w.mail = append(w.mail, l)
}

func (h *house) Socket(netip.AddrPort) (int, error) { return 0, nil }
func (h *house) Local(int) netip.AddrPort           { return h.at }

// The sink.
func (h *house) Opened(l transport.Link, tag any) {
	h.events = append(h.events, "opened")
	h.links, h.tags = append(h.links, l.(*Link)), append(h.tags, tag)
}

func (h *house) DialFailed(tag any, err error) {
	h.events = append(h.events, "failed")
	h.tags, h.failed = append(h.tags, tag), append(h.failed, err)
}

func (h *house) Bytes(l transport.Link, b []byte) {
	h.got = append(h.got, append([]byte(nil), b...))
	if h.judge != nil {
		h.judge(l.(*Link), b)
		return
	}
	l.(*Link).Authentic(true)
}

func (h *house) Writable(transport.Link) { h.events = append(h.events, "writable") }

func (h *house) Closed(_ transport.Link, err error) {
	h.events = append(h.events, fmt.Sprintf("closed %v", err))
}

func (h *house) Turn(transport.Loop)           {}
func (h *house) Refused(transport.Addr, error) { h.events = append(h.events, "refused") }
func (h *house) Failed(error)                  {}

// pass lets d go by: letters arrive and alarms ring, each at its time.
func (w *town) pass(d time.Duration) {
	end := w.now + d
	for {
		for _, h := range w.houses {
			for h.awake || h.mux.Next() <= w.now {
				h.awake = false
				h.mux.Advance(w.now)
			}
		}
		next := end + 1
		first := -1
		for i, l := range w.mail {
			if l.at < next {
				next, first = l.at, i
			}
		}
		for _, h := range w.houses {
			if at := h.mux.Next(); at < next {
				next, first = at, -1
			}
		}
		if next > end {
			w.now = end
			return
		}
		w.now = max(w.now, next)
		if first < 0 {
			continue
		}
		l := w.mail[first]
		w.mail = append(w.mail[:first], w.mail[first+1:]...)
		if h := w.houses[l.to]; h != nil && len(l.b) <= h.mtu {
			h.mux.Receive(w.now, 0, l.from, l.b)
		}
	}
}

func udp(at netip.AddrPort) transport.Addr { return transport.Addr{Proto: transport.UDP, AddrPort: at} }

// connect opens a link from a to b and exchanges a word each way.
func (w *town) connect(a, b *house) (la, lb *Link) {
	w.Helper()
	a.mux.Dial(context.Background(), udp(b.at), "tag")
	before := len(b.links)
	w.pass(time.Second)
	if len(a.links) == 0 {
		w.Fatalf("no link: %v, %v", a.events, a.failed)
	}
	la = a.links[len(a.links)-1]
	write(w, la, "hello")
	w.pass(time.Second)
	if len(b.links) == before {
		w.Fatalf("nothing opened there: %v", b.events)
	}
	lb = b.links[before]
	write(w, lb, "welcome")
	w.pass(time.Second)
	write(w, la, "thanks")
	w.pass(time.Second)
	if la.state() != open || lb.state() != open {
		w.Fatalf("states %d and %d", la.state(), lb.state())
	}
	return la, lb
}

func write(t testing.TB, l *Link, text string) {
	t.Helper()
	if n, err := l.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(text), err)
	}
}

// A link opens with three words, carries payloads as they are, and each end is told once of its own close.
func TestLife(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, lb := w.connect(a, b)
	if a.tags[0] != "tag" || b.tags[0] != nil {
		t.Errorf("tags %v and %v", a.tags, b.tags)
	}
	if la.Remote() != udp(atB) || lb.Remote() != udp(atA) || la.Local() != udp(atA) || lb.Path() != udp(atA) {
		t.Errorf("addresses %v %v %v %v", la.Remote(), lb.Remote(), la.Local(), lb.Path())
	}
	la.Close()
	la.Close()
	w.pass(time.Second)
	if fmt.Sprint(a.events) != "[opened closed <nil>]" || fmt.Sprint(b.events) != "[opened]" {
		t.Errorf("events %v and %v", a.events, b.events)
	}
	if _, err := la.Write([]byte("x")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("a write after Close: %v", err)
	}
	write(t, lb, "anybody there?")
	w.pass(time.Second)
	if a.mux.Counts.Unknown.Load() != 1 || a.mux.Links() != 0 {
		t.Errorf("a datagram for a link that is no more: %d, %d links", a.mux.Counts.Unknown.Load(), a.mux.Links())
	}
	lc, _ := w.connect(a, b)
	if lc.id == la.id || lc.id.slot() != la.id.slot() {
		t.Errorf("the next link has id %x after %x: want the same place and another number", lc.id, la.id)
	}
}

// Whatever is lost on the way, the first words come through, and the link is one.
func TestOpenThroughLoss(t *testing.T) {
	for seed := range uint64(200) {
		w := newTown(t)
		dice := rand.New(rand.NewPCG(seed, 7))
		w.post = func(l *letter) bool {
			l.at += time.Duration(dice.IntN(30)) * time.Millisecond
			if dice.IntN(5) == 0 {
				w.mail = append(w.mail, *l)
			}
			return dice.IntN(10) >= 3
		}
		a, b := w.house(atA, Config{}), w.house(atB, Config{})
		b.judge = func(l *Link, payload []byte) {
			if string(payload) == "hello" {
				_, _ = l.Write([]byte("welcome"))
			}
		}
		a.mux.Dial(context.Background(), udp(atB), nil)
		for i := 0; len(a.got) == 0; i++ {
			if i == 100 {
				t.Fatalf("seed %d: no answer in 20 s: %v %v", seed, a.events, b.events)
			}
			w.pass(200 * time.Millisecond)
			for _, l := range a.links {
				write(t, l, "hello")
			}
		}
		w.pass(time.Second)
		if len(a.links) != 1 || len(b.links) != 1 {
			t.Fatalf("seed %d: %d links here, %d there", seed, len(a.links), len(b.links))
		}
	}
}

// A dial ends with its context, when nobody ever answers, or with the Mux; each has one outcome.
func TestDialOutcomes(t *testing.T) {
	w := newTown(t)
	a := w.house(atA, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	a.mux.Dial(ctx, udp(atB), 1)
	w.pass(time.Second)
	cancel()
	w.pass(time.Second)
	ended, end := context.WithCancel(context.Background())
	end()
	a.mux.Dial(ended, udp(atB), 2)
	a.mux.Dial(context.Background(), transport.Addr{Proto: transport.TCP, AddrPort: atB}, 3)
	a.mux.Dial(context.Background(), udp(netip.AddrPort{}), 4)
	a.mux.Dial(context.Background(), udp(atB), 5)
	w.pass(knockTries*knockEvery + time.Second)
	a.mux.Dial(context.Background(), udp(atB), 6)
	w.pass(time.Second)
	a.mux.Dial(context.Background(), udp(atB), 7)
	a.mux.Stop()
	if a.mux.Dial(context.Background(), udp(atB), 8) {
		t.Error("a stopped Mux takes dials")
	}
	want := map[any]error{1: context.Canceled, 2: context.Canceled, 3: ErrUnsupported, 4: ErrUnsupported, 5: ErrSilent,
		6: transport.ErrClosed, 7: transport.ErrClosed}
	for i, tag := range a.tags {
		if !errors.Is(a.failed[i], want[tag]) {
			t.Errorf("dial %v: %v, want %v", tag, a.failed[i], want[tag])
		}
		delete(want, tag)
	}
	if len(want) > 0 || a.mux.Links() != 0 || a.mux.Next() != transport.Never {
		t.Errorf("no outcome for %v; %d links, next alarm %v", want, a.mux.Links(), a.mux.Next())
	}
}

// Stop closes what is open.
func TestStop(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, _ := w.connect(a, b)
	a.mux.Stop()
	if fmt.Sprint(a.events) != "[opened closed <nil>]" {
		t.Errorf("events %v", a.events)
	}
	if _, err := la.Write([]byte("x")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("a write after Stop: %v", err)
	}
}

// Without room a Write takes nothing, and Writable comes once, when there is some.
func TestRoom(t *testing.T) {
	w := newTown(t)
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, _ := w.connect(a, b)
	a.full = true
	if n, err := la.Write([]byte("x")); n != 0 || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	a.full = false
	a.mux.Room()
	a.mux.Room()
	if got := fmt.Sprint(a.events); got != "[opened writable]" {
		t.Errorf("events %s", got)
	}
	write(t, la, "y")
}

// The size of the path is found, whatever it is, and falls back when the Sink doubts it.
func TestSize(t *testing.T) {
	for _, c := range []struct{ mtu, max, want int }{
		{SizeLimit, 0, DefaultSize}, {1472, 1472, 1472}, {1300, 0, 1300}, {BaseSize, 0, BaseSize}, {9000, 16000, 9000}, {1452, 1200, 1200},
	} {
		w := newTown(t)
		a, b := w.house(atA, Config{SizeMax: c.max}), w.house(atB, Config{})
		a.mtu = c.mtu
		la, lb := w.connect(a, b)
		for range sizeAfter {
			write(t, lb, "more")
		}
		w.pass(time.Minute)
		got := la.DatagramLimit() + HeaderSize
		if got > c.want || c.want-got > sizeStep {
			t.Errorf("path of %d, at most %d: found %d, want %d or a little less", c.mtu, c.max, got, c.want)
		}
		if la.busy != nil {
			t.Errorf("path of %d: the search has left something behind", c.mtu)
		}
		la.Stalled()
		if got := la.DatagramLimit() + HeaderSize; got != BaseSize {
			t.Errorf("after a stall %d, want %d", got, BaseSize)
		}
	}
}
