package engine_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// overDatagrams makes a node of a simulated world one over datagrams, and returns its host.
func overDatagrams(w *world, host **simnet.Host) func(*engine.Config) {
	return func(c *engine.Config) {
		n := len(w.nodes)
		addr := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		h := w.Net().Host(addr, simnet.Datagrams(datagram.Config{}))
		c.Transport = h
		c.Listen = []transport.Addr{{Proto: transport.UDP, AddrPort: netip.AddrPortFrom(addr, 4001)}}
		if host != nil {
			*host = h
		}
	}
}

// In a network that loses, repeats, cuts and shuffles datagrams each message comes once, whole, or not at all.
func TestDatagramsInBadWeather(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			weather := simnet.Weather{Latency: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.1, Twice: 0.1, Short: 0.05}
			w := simWorld(t, seed, weather)
			seen := &witness{}
			a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil), withWitness(seen))
			p := w.dial(a, b)
			const count = 2000
			for i := range count {
				if err := p.TrySendRaw(opNote, fmt.Appendf(nil, "note %04d", i)); err != nil {
					t.Fatal(err)
				}
				if i%20 == 0 {
					w.Pass(time.Millisecond)
				}
			}
			w.Pass(20 * time.Second)
			seen.mu.Lock()
			notes := slices.Clone(seen.notes)
			seen.mu.Unlock()
			slices.Sort(notes)
			if n := len(slices.Compact(slices.Clone(notes))); n != len(notes) {
				t.Errorf("%d notes came, %d of them again", len(notes), len(notes)-n)
			}
			if len(notes) < count*7/10 || len(notes) == count {
				t.Errorf("%d of %d notes came through 10 %% of loss and 5 %% of cuts", len(notes), count)
			}
			for _, s := range notes {
				if len(s) != len("note 0000") {
					t.Fatalf("a note came as %q", s)
				}
			}
			w.Net().SetWeather(simnet.Weather{}) // for the goodbyes
			if p.CloseReason() != nil || b.Stats().FaultsPeers != 0 {
				t.Errorf("the weather has ended the connection: %v", p.CloseReason())
			}
		})
	}
}

// A handshake survives 30 % of loss each way in less than 3 s, in 99 of 100 cases.
func TestHandshakeThroughLoss(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("200 worlds")
	}
	var took []time.Duration
	failed := 0
	for seed := range uint64(200) {
		w := simWorld(t, seed, simnet.Weather{Latency: 25 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.3})
		a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil))
		began := w.Net().Now()
		if _, err := w.TryDial(a, target(b)); err != nil {
			failed++
			continue
		}
		took = append(took, w.Net().Now()-began)
		w.Net().SetWeather(simnet.Weather{}) // for the goodbyes
		w.End()
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("p50 %v, p99 %v, worst %v, %d of 200 failed", took[len(took)/2], p99, took[len(took)-1], failed)
	if p99 >= 3*time.Second || failed > 0 {
		t.Errorf("p99 %v with %d failures", p99, failed)
	}
}

// What a datagram cannot carry is refused with an error that says how much it can, and a stream is refused.
func TestDatagramLimits(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	seen := &witness{}
	a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil), withWitness(seen))
	p := w.dial(a, b)
	limit := p.MessageLimit()
	if limit < 1000 || limit > datagram.BaseSize {
		t.Errorf("a message may have %d bytes on a path of %d", limit, datagram.BaseSize)
	}
	if err := p.TrySendRaw(opNote, make([]byte, limit)); err != nil {
		t.Errorf("%d bytes: %v", limit, err)
	}
	err := p.TrySendRaw(opNote, make([]byte, limit+1))
	if !errors.Is(err, engine.ErrMessageTooLarge) || !strings.Contains(err.Error(), fmt.Sprint(limit)) {
		t.Errorf("%d bytes: %v, want ErrMessageTooLarge with the limit", limit+1, err)
	}
	if err := p.RequestRawAsync(opAsk, make([]byte, limit+1), time.Second, func(*engine.ComponentContext, error) {}); !errors.Is(err, engine.ErrMessageTooLarge) {
		t.Errorf("a request of %d bytes: %v", limit+1, err)
	}
	w.Do(func() {
		if _, err := p.Stream(); !errors.Is(err, engine.ErrUnreliable) {
			t.Errorf("a stream: %v", err)
		}
	})
	w.Pass(time.Second)
	if _, _, notes := seen.count(); notes != 1 {
		t.Errorf("%d messages arrived, want the one that fits", notes)
	}
}

// A request whose answer is lost ends with its time-out, and may be made again.
func TestDatagramRequestsAgain(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil), withWitness(&witness{}))
	p := w.dial(a, b)
	ask := func() error {
		done, failed := false, error(nil)
		err := p.RequestRawAsync(opAsk, []byte("?"), time.Second, func(_ *engine.ComponentContext, err error) { done, failed = true, err })
		if err != nil {
			t.Fatal(err)
		}
		w.Until("the request to end", func() bool { return done })
		return failed
	}
	w.Net().SetWeather(simnet.Weather{Loss: 1})
	if err := ask(); !errors.Is(err, engine.ErrReceiveTimeout) {
		t.Errorf("lost: %v", err)
	}
	w.Net().SetWeather(simnet.Weather{})
	if err := ask(); err != nil {
		t.Errorf("again: %v", err)
	}
}

// Anybody may send what was seen on the way again, cut it, change it or make something up, from the peer's address: nothing of
// it is delivered twice, ends the connection, or makes the other side believe that the peer lives.
func TestDatagramStrangers(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	seen := &witness{}
	a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil), withWitness(seen))
	p := w.dial(a, b)
	type sight struct {
		from, to netip.AddrPort
		b        []byte
	}
	var sights []sight
	w.Net().InterceptDatagrams(func(from, to netip.AddrPort, b []byte) bool {
		sights = append(sights, sight{from, to, bytes.Clone(b)})
		return true
	})
	for i := range 20 {
		if err := p.TrySendRaw(opNote, fmt.Appendf(nil, "note %d", i)); err != nil {
			t.Fatal(err)
		}
		w.Pass(10 * time.Millisecond)
	}
	w.Net().InterceptDatagrams(nil)
	w.Pass(2 * time.Second)
	silent := seen.peer(0).SilentFor()
	dice := newDice(1, 2)
	for _, s := range sights {
		w.Net().Inject(s.from, s.to, s.b)
		w.Net().Inject(s.from, s.to, s.b[:len(s.b)/2])
		changed := bytes.Clone(s.b)
		changed[len(changed)-1] ^= 1
		w.Net().Inject(s.from, s.to, changed)
		made := bytes.Clone(s.b)
		if _, err := dice.Read(made[datagram.HeaderSize:]); err != nil {
			t.Fatal(err)
		}
		w.Net().Inject(s.from, s.to, made)
		w.Net().Inject(s.from, s.to, nil)
	}
	w.Pass(time.Second)
	if _, downs, notes := seen.count(); notes != 20 || downs != 0 || !p.Connected() {
		t.Errorf("%d notes, %d connections ended", notes, downs)
	}
	if b.Stats().Dropped < int64(len(sights)) || b.Stats().FaultsPeers != 0 {
		t.Errorf("%d dropped, %d faults", b.Stats().Dropped, b.Stats().FaultsPeers)
	}
	if now := seen.peer(0).SilentFor(); now < silent+time.Second {
		t.Errorf("a stranger's datagrams count as a sign of life: silent for %v, then %v", silent, now)
	}
}

// Somebody who sees the datagrams of a dial, and writes what he likes from either address before what he has seen arrives, does
// not end it: a made-up cookie, answers that are changed anywhere, cut, or of before.
func TestDatagramInjector(t *testing.T) {
	for seed := range uint64(20) {
		w := simWorld(t, seed, simnet.Weather{Latency: 5 * time.Millisecond})
		a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil), withWitness(&witness{}))
		type sight struct {
			from, to netip.AddrPort
			b        []byte
		}
		var sights, old []sight
		speaking := false // it is the stranger who sends
		w.Net().InterceptDatagrams(func(from, to netip.AddrPort, b []byte) bool {
			if speaking {
				return true
			}
			sights = append(sights, sight{from, to, bytes.Clone(b)})
			return false // it is held until the stranger has had his say
		})
		dice, injected := rand.New(rand.NewPCG(seed, 1)), 0
		inject := func(s sight) { injected++; w.Net().Inject(s.from, s.to, s.b) }
		forge := func(s sight) {
			if datagram.Kind(s.b[0]) == datagram.Knock {
				if len(old) == 0 { // the first is answered with a cookie of nobody's
					c := make([]byte, datagram.HeaderSize+20)
					datagram.PutHeader(c, datagram.Cookie, datagram.ID(binary.LittleEndian.Uint64(s.b[datagram.HeaderSize:])))
					inject(sight{s.to, s.from, c})
				}
				return
			}
			for range 3 { // of message 1, other keys: the responder cannot tell them from the right one
				if datagram.Kind(s.b[0]) == datagram.Cookie { // the first of each Knock counts, and one has been made up
					break
				}
				changed := bytes.Clone(s.b)
				changed[len(changed)/2+dice.IntN(len(changed)-len(changed)/2)] ^= byte(1 + dice.IntN(255))
				inject(sight{s.from, s.to, changed})
			}
			inject(sight{s.from, s.to, s.b[:dice.IntN(len(s.b))]})
			for _, o := range old[max(len(old)-4, 0):] {
				inject(o)
			}
		}
		work := func(done func() bool) {
			t.Helper()
			for range 8000 {
				if done() {
					return
				}
				w.Pass(time.Millisecond)
				held := sights
				sights, speaking = nil, true
				for _, s := range held {
					forge(s)
					w.Net().Inject(s.from, s.to, s.b)
					old = append(old, s)
				}
				speaking = false
			}
			t.Fatalf("seed %d: nothing after 8 s, with %d datagrams made up", seed, injected)
		}
		r := w.startDial(a, target(b))
		work(r.done)
		p, err := r.get()
		if err != nil {
			t.Fatalf("seed %d: %v, with %d datagrams made up", seed, err, injected)
		}
		told := false
		if err := p.RequestRawAsync(opAsk, []byte("?"), 5*time.Second, func(_ *engine.ComponentContext, err error) { told = err == nil }); err != nil {
			t.Fatal(err)
		}
		work(func() bool { return told })
		if injected < 10 {
			t.Errorf("seed %d: %d datagrams made up", seed, injected)
		}
		w.Net().InterceptDatagrams(nil)
		w.End()
	}
}

// A peer that changes its address keeps its connection, its place in the ConnMgr and its count by address.
func TestDatagramMove(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: 10 * time.Millisecond})
	var host *simnet.Host
	seen := &witness{}
	a, b := w.node(overDatagrams(w, &host)), w.node(overDatagrams(w, nil), withWitness(seen))
	p := w.dial(a, b)
	away := netip.MustParseAddr("10.99.0.1")
	w.Pass(time.Second)
	host.Move(away)
	if err := p.TrySendRaw(opNote, []byte("I am elsewhere")); err != nil {
		t.Fatal(err)
	}
	w.Pass(3 * time.Second)
	far := seen.peer(0)
	if far.RemoteAddr().Addr() != away || far.Origin() != p.LocalAddr() {
		t.Errorf("the peer is said to be at %v, from %v; want %v, from %v", far.RemoteAddr(), far.Origin(), away, p.LocalAddr())
	}
	got := false
	if err := far.PingAsync(time.Second, func(_ time.Duration, err error) { got = err == nil }); err != nil {
		t.Fatal(err)
	}
	w.Until("an answer from the new address", func() bool { return got })
	p.Close()
	w.Until("the end", func() bool { _, downs, _ := seen.count(); return downs == 1 })
	if all, _ := b.ConnMgr().Count(); all != 0 {
		t.Errorf("%d peers are left", all)
	}
}

// A sender that is faster than the path is held back by what the receiver tells, and loses little.
func TestDatagramFlow(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: 20 * time.Millisecond})
	seen := &witness{}
	a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil), withWitness(seen))
	p := w.dial(a, b)
	most, under := 0, 0
	w.Net().InterceptDatagrams(func(from, _ netip.AddrPort, _ []byte) bool {
		if from.Addr() == a.Addrs()[0].Addr() {
			under++
			most = max(most, under)
		} else {
			under = 0 // a receipt
		}
		return true
	})
	sent := 0
	for p.TrySendRaw(opNote, make([]byte, 1000)) == nil {
		sent++
	}
	w.Pass(5 * time.Second)
	if _, _, notes := seen.count(); notes != sent {
		t.Errorf("%d of %d came on a path that loses nothing", notes, sent)
	}
	if most > 1024 || sent < 500 {
		t.Errorf("%d datagrams without a word from the receiver, %d messages", most, sent)
	}
	_ = b
}

// A peer that lives and never tells what has come is asked for as long as it stays, and seldom.
func TestDatagramNeverTold(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: 5 * time.Millisecond})
	seen := &witness{}
	a, b := w.node(overDatagrams(w, nil)), w.node(overDatagrams(w, nil), withWitness(seen))
	p := w.dial(a, b)
	w.Until("b to see a", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	q, asked := seen.peer(0), 0
	w.Net().InterceptDatagrams(func(from, _ netip.AddrPort, _ []byte) bool {
		if from.Addr() != a.Addrs()[0].Addr() {
			return true
		}
		asked++
		return false
	})
	for range 200 {
		if err := p.TrySendRaw(opNote, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	for minute := range 10 { // what is doubled each time would have come round after two
		asked = 0
		for range 6 {
			_ = q.TrySendRaw(opNote, []byte("I live"))
			w.Pass(10 * time.Second)
		}
		if asked < 15 || asked > 200 {
			t.Fatalf("%d datagrams in minute %d", asked, minute)
		}
	}
	if !p.Connected() {
		t.Error(p.CloseReason())
	}
}

// A sender whose window has got lost as a whole asks what came, and is answered by a peer that always has something to say
// itself, to which the question is news.
func TestDatagramOutageWhileThePeerSends(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: 5 * time.Millisecond})
	seen, heard := &witness{}, &witness{}
	a, b := w.node(overDatagrams(w, nil), withWitness(heard)), w.node(overDatagrams(w, nil), withWitness(seen))
	p := w.dial(a, b)
	w.Until("b to see a", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	q := seen.peer(0)
	talk := func(d time.Duration) { // b says something every millisecond
		for range d / time.Millisecond {
			_ = q.TrySendRaw(opNote, []byte("and another thing"))
			w.Pass(time.Millisecond)
		}
	}
	talk(time.Second)
	w.Net().InterceptDatagrams(func(from, _ netip.AddrPort, _ []byte) bool { return from.Addr() != a.Addrs()[0].Addr() })
	for range 200 {
		if err := p.TrySendRaw(opNote, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	talk(200 * time.Millisecond)
	w.Net().InterceptDatagrams(nil)
	talk(3 * time.Second)
	if _, _, notes := seen.count(); notes < 100 {
		t.Errorf("%d of 200 notes have come 3 s after the outage", notes)
	}
}
