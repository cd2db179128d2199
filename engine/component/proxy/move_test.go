package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// pair is two nodes that keep their connection relayed until they are told, one of them reachable.
func pair(w *world, limits proxy.Limits) (r, a, b *node, p *engine.PeerClient) {
	r = w.relay(limits)
	a = w.node(plan{proxy: proxy.Config{KeepRelayed: true}})
	b = w.node(plan{proxy: proxy.Config{KeepRelayed: true, Relays: []engine.Target{r.at()}}})
	w.Until("the reservation", func() bool { return len(b.proxy.Addrs()) == 1 })
	p = w.dial(a, b.through(r))
	w.Until("b to see a", func() bool { return b.peer(a.ID()) != nil })
	return r, a, b, p
}

// outcomes counts what becomes of requests.
type outcomes struct {
	mu           sync.Mutex
	asked, right int
	wrong        []string
}

func (o *outcomes) ask(p *engine.PeerClient, body string) {
	o.mu.Lock()
	o.asked++
	o.mu.Unlock()
	err := p.RequestRawAsync(opAsk, []byte(body), 0, func(ctx *engine.ComponentContext, err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if err == nil && string(ctx.Payload()) == body {
			o.right++
		} else {
			o.wrong = append(o.wrong, fmt.Sprint(body, err))
		}
	})
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.wrong = append(o.wrong, fmt.Sprint(body, err))
	}
}

func (o *outcomes) done() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.right+len(o.wrong) == o.asked
}

// Under traffic both ways the pair moves from the relay to a direct connection: every message arrives once and in order,
// every request is answered, through the PeerClients that were there before; components see one connection end and then the
// other begin.
func TestMove(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := simWorld(t, simnet.Weather{Latency: 5 * time.Millisecond, Jitter: time.Duration(seed) * time.Millisecond, Rate: 2 << 20})
			r, a, b, p := pair(w, proxy.Limits{})
			q := b.peer(a.ID())
			var asked outcomes
			const messages = 600
			var moved *engine.PeerClient
			for i := range messages {
				for from, peer := range map[string]*engine.PeerClient{"a": p, "b": q} {
					body := strings.Repeat("x", i%3*int(100+seed*200))
					if err := peer.TrySendRaw(opNote, fmt.Appendf(nil, "%s %d %s", from, i, body)); err != nil {
						t.Fatalf("%s's message %d: %v", from, i, err)
					}
					if i%10 == 0 {
						asked.ask(peer, fmt.Sprint(from, " asks ", i))
					}
				}
				if i == 100 {
					if err := p.MoveTo(b.at().Addr, func(have *engine.PeerClient, err error) {
						if moved = have; err != nil {
							t.Errorf("move: %v", err)
						}
					}); err != nil {
						t.Fatal(err)
					}
				}
				w.Pass(time.Millisecond)
			}
			w.Until("the move", func() bool { return moved != nil })
			if moved.Relayed() || a.peer(b.ID()) != moved || !moved.Connected() {
				t.Fatalf("a has %v, relayed %v", moved.RemoteAddr(), moved.Relayed())
			}
			w.Until("all answers", asked.done)
			if len(asked.wrong) > 0 || asked.right < 100 {
				t.Errorf("%d answers, wrong: %q", asked.right, asked.wrong)
			}
			for from, to := range map[string]*node{"a": b, "b": a} {
				next := func() []string {
					notes, _ := to.seen.got()
					var of []string
					for _, note := range notes {
						if strings.HasPrefix(note, from+" ") && !strings.Contains(note, "asks") {
							of = append(of, note)
						}
					}
					return of
				}
				w.Until("the messages of "+from, func() bool { return len(next()) >= messages })
				for i, note := range next() {
					if !strings.HasPrefix(note, fmt.Sprintf("%s %d ", from, i)) {
						t.Fatalf("message %d of %s is %.20q", i, from, note)
					}
				}
			}
			for _, n := range []*node{a, b} {
				of := map[identity.ID]string{}
				for _, up := range n.seen.log {
					of[up.id] += up.what
				}
				other := a.ID()
				if n == a {
					other = b.ID()
				}
				if of[other] != "up down up " {
					t.Errorf("components have seen %q", of[other])
				}
			}
			var closed *engine.CloseError
			if !errors.As(p.CloseReason(), &closed) || closed.Code != engine.CodeReplaced {
				t.Errorf("the old connection ended with %v", p.CloseReason())
			}
			w.Until("the circuit to end", func() bool { return r.proxy.Stats().Circuits == 0 })
		})
	}
}

// Calls that wait, on goroutines, do not notice the move either: Send, Request and Receive go on at the other connection.
func TestMoveUnderWaitingCalls(t *testing.T) {
	w := &world{World: enginetest.Live(t)}
	_, a, b, p := pair(w, proxy.Limits{})
	b.seen.quiet = true
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stop := make(chan struct{})
	var work sync.WaitGroup
	sent := 0
	work.Go(func() {
		for body := make([]byte, 8<<10); ; sent += len(body) {
			select {
			case <-stop:
				return
			default:
			}
			if err := p.SendRaw(ctx, opNote, body); err != nil {
				t.Errorf("after %d bytes: %v", sent, err)
				return
			}
		}
	})
	for range 4 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := p.RequestRaw(ctx, opAsk, []byte("?"), nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	told := make(chan error, 1)
	work.Go(func() {
		_, err := p.Receive(ctx, opTold)
		told <- err
	})
	w.Until("traffic", func() bool { _, got := b.seen.got(); return got > 1<<20 })
	moved := make(chan *engine.PeerClient, 1)
	try := func() {
		if err := p.MoveTo(b.at().Addr, func(have *engine.PeerClient, err error) {
			if err != nil {
				t.Errorf("move: %v", err)
			}
			moved <- have
		}); err != nil {
			t.Fatal(err)
		}
	}
	try()
	have := <-moved
	if have.Relayed() {
		t.Error("the pair has not moved")
	}
	if err := b.peer(a.ID()).SendRaw(ctx, opTold, []byte("!")); err != nil {
		t.Error(err)
	}
	if err := <-told; err != nil {
		t.Errorf("Receive: %v", err)
	}
	close(stop)
	work.Wait()
	w.Until("all that was sent", func() bool { _, got := b.seen.got(); return got >= sent })
}

// Left to themselves, both ends look for a direct way: the one that finds it moves the pair, once.
func TestStraighten(t *testing.T) {
	worlds(t, func(w *world) {
		r := w.relay(proxy.Limits{})
		a := w.node(plan{})
		b := w.node(plan{proxy: proxy.Config{Relays: []engine.Target{r.at()}}})
		w.Until("the reservation", func() bool { return len(b.proxy.Addrs()) == 1 })
		p := w.dial(a, b.through(r))
		if !p.Relayed() {
			t.Fatal("not relayed")
		}
		w.Until("the move", func() bool {
			q := a.peer(b.ID())
			return q != nil && !q.Relayed() && b.peer(a.ID()) != nil && !b.peer(a.ID()).Relayed()
		})
		w.Until("it to be counted", func() bool { return a.proxy.Stats().Moved+b.proxy.Stats().Moved > 0 })
		w.Until("the circuit to end", func() bool { return r.proxy.Stats().Circuits == 0 })
		if n := a.proxy.Stats().Moved + b.proxy.Stats().Moved; n != 1 {
			t.Errorf("moved %d times", n)
		}
	})
}

// What is bound to its connection keeps it, at either end; who is not relayed, or not connected, has nothing to move.
func TestMoveRefused(t *testing.T) {
	move := func(w *world, p *engine.PeerClient, to engine.Target) (*engine.PeerClient, error) {
		var have *engine.PeerClient
		var failed error
		done := false
		if err := p.MoveTo(to.Addr, func(p *engine.PeerClient, err error) { have, failed, done = p, err, true }); err != nil {
			return nil, err
		}
		w.Until("an outcome", func() bool { return done })
		return have, failed
	}
	stream := func(w *world, p *engine.PeerClient) {
		p.Loop().Post(func() {
			if _, err := p.Stream(); err != nil {
				w.Error(err)
			}
		})
		w.Pass(time.Millisecond)
	}
	t.Run("a stream here", func(t *testing.T) {
		w := sim(t)
		_, _, b, p := pair(w, proxy.Limits{})
		stream(w, p)
		if have, err := move(w, p, b.at()); !errors.Is(err, engine.ErrBusy) || have != p || !p.Connected() {
			t.Errorf("%v, connected %v", err, p.Connected())
		}
	})
	t.Run("a stream there", func(t *testing.T) {
		w := sim(t)
		_, a, b, p := pair(w, proxy.Limits{})
		stream(w, b.peer(a.ID()))
		if have, err := move(w, p, b.at()); err != nil || have != p || !p.Connected() {
			t.Errorf("%v, %v, connected %v", have, err, p.Connected())
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		w := sim(t)
		_, a, b, p := pair(w, proxy.Limits{})
		nowhere := b.at()
		nowhere.Addr = a.through(b).Addr
		if _, err := move(w, p, nowhere); err == nil {
			t.Error("moved to a relay")
		}
		nowhere = a.at()
		if _, err := move(w, p, nowhere); err == nil || !p.Connected() {
			t.Errorf("moved to oneself: %v, connected %v", err, p.Connected())
		}
		p.Close()
		w.Until("the end", func() bool { return !p.Connected() })
		if _, err := move(w, p, b.at()); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("moved what has ended: %v", err)
		}
		if _, err := move(w, w.dial(a, b.at()), b.at()); err == nil {
			t.Error("moved what is direct")
		}
	})
	t.Run("both at once", func(t *testing.T) {
		w := sim(t)
		_, a, b, p := pair(w, proxy.Limits{})
		done := 0
		for peer, to := range map[*engine.PeerClient]*node{p: b, b.peer(a.ID()): a} {
			if err := peer.MoveTo(to.at().Addr, func(*engine.PeerClient, error) { done++ }); err != nil {
				t.Fatal(err)
			}
		}
		w.Until("both outcomes", func() bool { return done == 2 })
		w.Until("one direct connection", func() bool {
			x, y := a.peer(b.ID()), b.peer(a.ID())
			return x != nil && y != nil && !x.Relayed() && !y.Relayed()
		})
	})
	t.Run("more to send than a handshake waits for", func(t *testing.T) { // the pair stays, and nothing is lost
		w := simWorld(t, simnet.Weather{Latency: 5 * time.Millisecond, Rate: 100 << 10})
		_, a, b, p := pair(w, proxy.Limits{})
		q := b.peer(a.ID())
		a.seen.quiet = true
		for range 50 {
			if err := q.TrySendRaw(opNote, make([]byte, 16<<10)); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := move(w, p, b.at()); err != nil || have != p || !p.Connected() || !q.Connected() {
			t.Errorf("%v, connected %v %v", err, p.Connected(), q.Connected())
		}
		w.Until("all of it", func() bool { _, got := a.seen.got(); return got == 50*16<<10 })
		w.Pass(10 * time.Second)
		if !p.Connected() || !q.Connected() {
			t.Errorf("connected %v %v afterwards", p.Connected(), q.Connected())
		}
	})
	t.Run("the new connection breaks in the middle", func(t *testing.T) {
		w := sim(t)
		_, a, b, p := pair(w, proxy.Limits{})
		w.Net().Intercept(func(from, to transport.Addr, bytes []byte) []byte {
			if from.Addr() == a.host.Addr() && to.Addr() == b.host.Addr() && len(bytes) < 300 { // the handshake's last message
				return nil
			}
			return bytes
		})
		if _, err := move(w, p, b.at()); err == nil {
			t.Error("moved")
		}
		var asked outcomes
		asked.ask(p, "still there?")
		w.Until("an answer", asked.done)
		if asked.right != 1 {
			t.Errorf("the relayed connection: %v", asked.wrong)
		}
	})
}

// Pings need no credit. Those that are sent while a pair moves must not be the first word on the new connection, which would
// end it with all that has been given to it: each has an outcome, and the pair moves.
func TestMoveUnderPings(t *testing.T) {
	w := simWorld(t, simnet.Weather{Latency: 5 * time.Millisecond})
	_, a, b, p := pair(w, proxy.Limits{})
	q := b.peer(a.ID())
	asked, told := 0, 0
	var moved *engine.PeerClient
	if err := p.MoveTo(b.at().Addr, func(have *engine.PeerClient, err error) {
		if moved = have; err != nil {
			t.Errorf("move: %v", err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		for _, peer := range []*engine.PeerClient{p, q} {
			if peer.PingAsync(0, func(time.Duration, error) { told++ }) == nil {
				asked++
			}
			_ = peer.TryPing(nil) // a connection that is not open yet refuses it
		}
		w.Pass(time.Millisecond)
	}
	w.Until("the move", func() bool { return moved != nil })
	if moved.Relayed() || a.peer(b.ID()) != moved || !moved.Connected() {
		t.Fatalf("a has %v, relayed %v", a.peer(b.ID()), moved.Relayed())
	}
	if q := b.peer(a.ID()); q == nil || q.Relayed() {
		t.Fatalf("b has %v", q)
	}
	w.Until("an outcome of each ping", func() bool { return told == asked })
	if err := p.TryPing(nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
