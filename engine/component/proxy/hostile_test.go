package proxy_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// Messages as a hostile node writes them.
func msg(kind byte, fields ...any) []byte {
	b := []byte{kind}
	for _, f := range fields {
		switch f := f.(type) {
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, f)
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, f)
		case byte:
			b = append(b, f)
		case identity.ID:
			b = append(b, f[:]...)
		case string:
			b = append(b, f...)
		}
	}
	return b
}

const (
	reserve = 1 + iota
	connect
	invite
	up
	down
	room
	endUp
	endDown
)

// ask sends a request by hand and returns the reason and the number in the answer.
func (w *world) ask(p *engine.PeerClient, b []byte) (proxy.Reason, uint32) {
	w.Helper()
	var got []byte
	var failed error
	done := false
	if err := p.RequestRawAsync(opcode.ProxyRequestCode, b, 0, func(ctx *engine.ComponentContext, err error) {
		if failed, done = err, true; err == nil {
			got = slices.Clone(ctx.Payload())
		}
	}); err != nil {
		w.Fatal(err)
	}
	w.Until("an answer", func() bool { return done })
	if failed != nil || len(got) != 9 {
		w.Fatalf("answer %x, %v", got, failed)
	}
	return proxy.Reason(got[0]), binary.LittleEndian.Uint32(got[1:])
}

// A puppet is a node without the component that answers invitations with yes, or with no, and writes down what comes.
type puppet struct {
	engine.Component
	declines bool
	invited  []uint32 // numbers of circuits
	data     int
	each     map[uint32]int // of data, by circuit
	ends     []proxy.Reason
	rooms    []uint64
}

func (p *puppet) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.ProxyRequestCode} }

func (p *puppet) Receive(ctx *engine.ComponentContext) error {
	b := ctx.Payload()
	switch b[0] {
	case invite:
		p.invited = append(p.invited, binary.LittleEndian.Uint32(b[1:]))
		answer := make([]byte, 9)
		if p.declines {
			answer[0] = byte(proxy.Declined)
		}
		return ctx.ReplyRaw(opcode.ProxyResponseCode, answer)
	case down:
		if p.each == nil {
			p.each = map[uint32]int{}
		}
		p.data += len(b) - 5
		p.each[binary.LittleEndian.Uint32(b[1:])] += len(b) - 5
	case endDown:
		p.ends = append(p.ends, proxy.Reason(b[5]))
	case room:
		p.rooms = append(p.rooms, binary.LittleEndian.Uint64(b[5:]))
	}
	return engine.ErrIntercepted
}

func (w *world) puppet() (*node, *puppet) {
	w.Helper()
	p := &puppet{}
	return w.node(plan{dumb: true, setup: func(n *node) {
		if err := n.AddComponent(p); err != nil {
			w.Fatal(err)
		}
	}}), p
}

func sim(t testing.TB) *world { return simWorld(t, simnet.Weather{Latency: 5 * time.Millisecond}) }

func reason(err error) proxy.Reason {
	var refused *proxy.RefusedError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	return proxy.None
}

// Every no of a relay has its reason, reaches the one who dials, and costs the relay nothing.
func TestRefused(t *testing.T) {
	w := sim(t)
	r := w.relay(proxy.Limits{Reservations: 2, CircuitsPerNode: 1})
	a, b := w.hidden(r), w.hidden(r)
	c := w.node(plan{})
	toRelay := w.dial(c, r.at())

	if got, _ := w.ask(toRelay, msg(reserve, uint32(60))); got != proxy.Full {
		t.Errorf("a third reservation of two: %v", got)
	}
	for name, x := range map[string]struct {
		to   identity.ID
		want proxy.Reason
	}{
		"nobody known":     {identity.ID{9}, proxy.Unknown},
		"oneself":          {c.ID(), proxy.Self},
		"the relay itself": {r.ID(), proxy.Self},
	} {
		if got, _ := w.ask(toRelay, msg(connect, x.to)); got != x.want {
			t.Errorf("a circuit to %s: %v, want %v", name, got, x.want)
		}
	}
	if _, err := w.tryDial(c, c.through(r)); !errors.Is(err, engine.ErrSelfDial) {
		t.Errorf("dialling oneself: %v", err)
	}
	stranger := c.through(r)
	stranger.ID = identity.ID{9}
	if _, err := w.tryDial(c, stranger); reason(err) != proxy.Unknown {
		t.Errorf("dialling nobody: %v", err)
	}
	stranger.ID = identity.ID{}
	if _, err := w.tryDial(c, stranger); !errors.Is(err, engine.ErrNeedsID) {
		t.Errorf("dialling without an ID: %v", err)
	}
	if _, err := w.tryDial(c, a.through(b.asIf(c))); reason(err) != proxy.NotARelay && !errors.Is(err, engine.ErrSelfDial) {
		t.Errorf("dialling through oneself: %v", err)
	}

	// A relay over a relay would be a way to hide from its limits.
	p := w.dial(c, a.through(r))
	if got, _ := w.ask(p, msg(reserve, uint32(60))); got != proxy.NotARelay {
		t.Errorf("a reservation at a node that is no relay: %v", got)
	}
	if _, err := w.tryDial(c, b.through(r)); reason(err) != proxy.Full {
		t.Errorf("a second circuit of one: %v", err)
	}
	if _, err := w.tryDial(b, a.through(r)); reason(err) != proxy.Full {
		t.Errorf("a second circuit to one: %v", err)
	}
	if s := r.proxy.Stats(); s.Circuits != 1 || s.Refused < 6 {
		t.Errorf("the relay counts %+v", s)
	}
	p.Close()
	w.Until("the circuit to end", func() bool { return r.proxy.Stats().Circuits == 0 })
	w.dial(b, a.through(r)) // there is room again
}

// asIf is n's address, as a relay, for b.
func (n *node) asIf(relay *node) *node { return relay }

// A relay is not asked over a relay.
func TestRelayLoops(t *testing.T) {
	w := sim(t)
	r := w.relay(proxy.Limits{})
	second := w.hiddenAs(plan{proxy: proxy.Config{Serve: true}}, r)
	c := w.node(plan{})
	p := w.dial(c, second.through(r))
	if !p.Relayed() {
		t.Fatal("not relayed")
	}
	if got, _ := w.ask(p, msg(reserve, uint32(60))); got != proxy.Loop {
		t.Errorf("a reservation over a relay: %v", got)
	}
	if got, _ := w.ask(p, msg(connect, r.ID())); got != proxy.Loop {
		t.Errorf("a circuit over a relay: %v", got)
	}
	if _, err := proxy.New(proxy.Config{Relays: []engine.Target{second.through(r)}}); err == nil {
		t.Error("a relay behind a relay may be configured")
	}
	// Two nodes that are each other's relay: a circuit through one to the other is one to the relay itself, and ends there.
	x := w.relay(proxy.Limits{})
	y := w.node(plan{proxy: proxy.Config{Serve: true, Relays: []engine.Target{x.at()}}})
	w.Until("the reservation", func() bool { return len(y.proxy.Addrs()) == 1 })
	if got, _ := w.ask(x.peer(y.ID()), msg(connect, x.ID())); got != proxy.Self {
		t.Errorf("a circuit from a relay to itself: %v", got)
	}
}

// Messages that cannot be end the connection of the one who sends them, with a reason, and nobody else's.
func TestMalformed(t *testing.T) {
	for name, x := range map[string]struct {
		b       []byte
		request bool
	}{
		"nothing":                   {nil, false},
		"kind 0":                    {[]byte{0}, false},
		"kind 9":                    {msg(9, uint32(1)), false},
		"a reservation cut off":     {msg(reserve, "xyz"), true},
		"a reservation too long":    {msg(reserve, uint32(1), "x"), true},
		"a reservation, no request": {msg(reserve, uint32(1)), false},
		"a circuit to half an ID":   {msg(connect, "xyz"), true},
		"a circuit, no request":     {msg(connect, identity.ID{1}), false},
		"an invitation, no request": {msg(invite, uint32(1), uint32(1<<20), identity.ID{1}), false},
		"bytes without bytes":       {msg(up, uint32(1)), false},
		"bytes cut off":             {msg(down, "xyz"), false},
		"bytes as a request":        {msg(up, uint32(1), "x"), true},
		"room cut off":              {msg(room, uint32(1), uint32(1)), false},
		"room too long":             {msg(room, uint32(1), uint64(1), "x"), false},
		"an end without a reason":   {msg(endUp, uint32(1)), false},
		"an end as a request":       {msg(endDown, uint32(1), byte(0)), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := sim(t)
			r := w.relay(proxy.Limits{})
			good := w.dial(w.node(plan{}), r.at())
			bad, _ := w.puppet()
			p := w.dial(bad, r.at())
			var err error
			if x.request {
				err = p.RequestRawAsync(opcode.ProxyRequestCode, x.b, 0, func(*engine.ComponentContext, error) {})
			} else {
				err = p.TrySendRaw(opcode.ProxyRequestCode, x.b)
			}
			if err != nil {
				t.Fatal(err)
			}
			w.Until("the end", func() bool { return !p.Connected() })
			var closed *engine.CloseError
			if !errors.As(p.CloseReason(), &closed) || !closed.Remote || closed.Code != engine.CodeProtocol && closed.Code != engine.CodeLimit {
				t.Errorf("closed with %v", p.CloseReason())
			}
			if !good.Connected() || r.Stats().FaultsPeers != 1 {
				t.Errorf("the good peer is connected: %v; faults %d", good.Connected(), r.Stats().FaultsPeers)
			}
		})
	}
}

// circuitOf is a circuit between two puppets.
func circuitOf(w *world, r *node) (from, to *engine.PeerClient, at, there *puppet, number uint32) {
	w.Helper()
	a, pa := w.puppet()
	b, pb := w.puppet()
	from, to = w.dial(a, r.at()), w.dial(b, r.at())
	if got, seconds := w.ask(to, msg(reserve, uint32(60))); got != proxy.None || seconds != 60 {
		w.Fatalf("reservation: %v for %d s", got, seconds)
	}
	got, number := w.ask(from, msg(connect, b.ID()))
	if got != proxy.None || len(pb.invited) != 1 {
		w.Fatalf("circuit: %v, invited %v", got, pb.invited)
	}
	return from, to, pa, pb, number
}

// Who sends more than its window loses the circuit, not more; the other end is told why. Bytes for somebody else's circuit,
// for one that is not there, and ends that are said twice do nothing.
func TestAbuse(t *testing.T) {
	w := sim(t)
	r := w.node(plan{proxy: proxy.Config{Serve: true, Limits: proxy.Limits{Window: 64 << 10}},
		engine: func(c *engine.Config) { c.SendBuffer = 64 << 10 }})
	from, to, at, there, number := circuitOf(w, r)
	send := func(p *engine.PeerClient, b []byte) {
		t.Helper()
		if err := p.TrySendRaw(opcode.ProxyRequestCode, b); err != nil {
			t.Fatal(err)
		}
	}
	other, _ := w.puppet()
	thief := w.dial(other, r.at())
	for _, n := range []uint32{number, number ^ 1, number + 2, 0, 1<<32 - 1} {
		send(thief, msg(up, n, "mine"))
		send(thief, msg(endUp, n, byte(0)))
		send(thief, msg(down, n, "mine"))
		send(thief, msg(room, n, uint64(1<<60)))
		send(thief, msg(endDown, n, byte(0)))
	}
	send(from, msg(up, number^1, "the other side's number"))
	w.Pass(time.Second)
	if s := r.proxy.Stats(); there.data != 0 || len(there.ends) != 0 || s.Stray != 26 || s.Circuits != 1 {
		t.Fatalf("a thief's bytes: %d came, ends %v, %+v", there.data, there.ends, s)
	}

	w.cutOff(w.nodes[2]) // who is called reads nothing for a while
	for range 55 {       // more than any buffer on the way and the window together
		send(from, msg(up, number, strings.Repeat("x", 16000)))
	}
	w.Until("the caller's end", func() bool { return len(at.ends) == 1 })
	w.Net().Heal()
	w.Until("the other end", func() bool { return len(there.ends) == 1 })
	if there.ends[0] != proxy.Violation || at.ends[0] != proxy.Violation || r.proxy.Stats().Violations != 1 {
		t.Errorf("ended with %v and %v, %+v", at.ends, there.ends, r.proxy.Stats())
	}
	w.Until("the circuit to be forgotten", func() bool { return r.proxy.Stats().Circuits == 0 })
	send(from, msg(endUp, number, byte(0)))
	send(to, msg(endUp, there.invited[0], byte(0)))
	w.Pass(time.Second)
	if !from.Connected() || !to.Connected() || r.proxy.Stats().Ended != 1 {
		t.Errorf("connected %v %v, %+v", from.Connected(), to.Connected(), r.proxy.Stats())
	}
}

// A circuit that has ended is not kept for an end that does not read, not even why it has.
func TestEndThatDoesNotRead(t *testing.T) {
	w := sim(t)
	r := w.node(plan{proxy: proxy.Config{Serve: true, Limits: proxy.Limits{Window: 4 << 10}},
		engine: func(c *engine.Config) { c.SendBuffer = 64 << 10 }})
	from, to, at, there, number := circuitOf(w, r)
	w.cutOff(w.nodes[2])
	say := func(size int) {
		t.Helper()
		if err := from.TrySendRaw(opcode.ProxyRequestCode, msg(up, number, strings.Repeat("x", size))); err != nil {
			t.Fatal(err)
		}
	}
	for r.proxy.Stats().Waiting == 0 { // until there is no room for another byte
		for range 100 {
			say(1)
		}
		w.Pass(20 * time.Millisecond)
	}
	began := w.Net().Now()
	say(16000) // more than its window
	w.Until("the caller's end", func() bool { return len(at.ends) == 1 })
	w.Until("the circuit to be forgotten", func() bool { return r.proxy.Stats().Circuits == 0 })
	if took := w.Net().Now() - began; took > 10*time.Second {
		t.Errorf("that took %v", took)
	}
	if !to.Connected() || len(there.ends) != 0 || r.proxy.Stats().Waiting != 0 {
		t.Errorf("connected %v, told %v: %+v", to.Connected(), there.ends, r.proxy.Stats())
	}
	w.Net().Heal()
	w.Until("the other end", func() bool { return len(there.ends) == 1 })
	if at.ends[0] != proxy.Violation || there.ends[0] != proxy.Violation || r.proxy.Stats().Ended != 1 {
		t.Errorf("ended with %v and %v: %+v", at.ends, there.ends, r.proxy.Stats())
	}
}

// Quotas end what they are about, and tell why.
func TestQuotas(t *testing.T) {
	t.Run("bytes", func(t *testing.T) {
		w := sim(t)
		r := w.relay(proxy.Limits{Bytes: 256 << 10})
		a, b := w.hidden(r), w.hidden(r)
		p := w.dial(b, a.through(r))
		for range 30 {
			if err := p.TrySendRaw(opNote, make([]byte, 16<<10)); err != nil {
				t.Fatal(err)
			}
		}
		w.Until("the end", func() bool { return !p.Connected() && a.peer(b.ID()) == nil })
		if got := reason(p.CloseReason()); got != proxy.Quota {
			t.Errorf("ended with %v", p.CloseReason())
		}
		if s := r.proxy.Stats(); s.Bytes > 300<<10 {
			t.Errorf("the relay has carried %d bytes, allowed are %d", s.Bytes, 256<<10)
		}
		if p = w.dial(b, a.through(r)); !p.Connected() {
			t.Error("another circuit is not to be had")
		}
	})
	t.Run("rate", func(t *testing.T) {
		w := sim(t)
		const rate, size = 200_000, 1 << 20
		r := w.relay(proxy.Limits{Rate: rate, Window: 32 << 10})
		a, b := w.hidden(r), w.hidden(r)
		a.seen.quiet = true
		p := w.dial(b, a.through(r))
		began := w.Net().Now()
		for range 50 {
			if err := p.TrySendRaw(opNote, make([]byte, size/64)); err != nil {
				t.Fatal(err)
			}
		}
		w.Until("the bytes", func() bool { _, got := a.seen.got(); return got == size/64*50 })
		took := (w.Net().Now() - began).Seconds()
		if got := float64(size/64*50) / took; got > 1.3*rate || got < 0.7*rate {
			t.Errorf("%.0f bytes a second, allowed are %d", got, rate)
		}
	})
	t.Run("time of a circuit", func(t *testing.T) {
		w := sim(t)
		r := w.relay(proxy.Limits{Duration: 10 * time.Second})
		a, b := w.hidden(r), w.hidden(r)
		p := w.dial(b, a.through(r))
		began := w.Net().Now()
		w.Until("the end", func() bool { return !p.Connected() })
		if took := w.Net().Now() - began; took < 9*time.Second || took > 12*time.Second || reason(p.CloseReason()) != proxy.Expired {
			t.Errorf("ended after %v with %v", took, p.CloseReason())
		}
	})
	t.Run("time of a reservation", func(t *testing.T) {
		w := sim(t)
		r := w.relay(proxy.Limits{Lifetime: 20 * time.Second})
		a := w.hidden(r) // renews
		lazy, _ := w.puppet()
		if got, seconds := w.ask(w.dial(lazy, r.at()), msg(reserve, uint32(1<<31))); got != proxy.None || seconds != 20 {
			t.Fatalf("%v for %d s", got, seconds)
		}
		w.Pass(time.Minute)
		b := w.node(plan{})
		if _, err := w.tryDial(b, lazy.through(r)); reason(err) != proxy.Unknown {
			t.Errorf("a reservation that was not renewed: %v", err)
		}
		w.dial(b, a.through(r))
		if s := r.proxy.Stats(); s.Reservations != 1 || s.Granted < 6 {
			t.Errorf("the relay counts %+v", s)
		}
	})
	t.Run("given back", func(t *testing.T) {
		w := sim(t)
		r := w.relay(proxy.Limits{})
		a, _ := w.puppet()
		p := w.dial(a, r.at())
		w.ask(p, msg(reserve, uint32(60)))
		if got, _ := w.ask(p, msg(reserve, uint32(0))); got != proxy.None || r.proxy.Stats().Reservations != 0 {
			t.Errorf("%v, %+v", got, r.proxy.Stats())
		}
	})
	t.Run("memory of small messages", func(t *testing.T) {
		w := sim(t)
		const memory = 64 << 10
		r := w.node(plan{proxy: proxy.Config{Serve: true, Limits: proxy.Limits{Memory: memory, Window: 1 << 20}},
			engine: func(c *engine.Config) { c.SendBuffer = 64 << 10 }})
		from, _, at, _, number := circuitOf(w, r)
		w.cutOff(w.nodes[2])
		say := func(size int) {
			if err := from.TrySendRaw(opcode.ProxyRequestCode, msg(up, number, strings.Repeat("x", size))); err != nil {
				t.Fatal(err)
			}
			w.Pass(10 * time.Millisecond)
		}
		for r.proxy.Stats().Waiting == 0 {
			say(16000)
		}
		most, small := int64(0), 0
		for ; len(at.ends) == 0 && small < 3000; small++ { // of six bytes each, which are less than the memory
			say(1)
			most = max(most, r.proxy.Stats().Waiting)
		}
		if len(at.ends) != 1 || at.ends[0] != proxy.Busy || most > memory || most < memory/2 {
			t.Errorf("ended with %v after %d small messages, when %d bytes waited", at.ends, small, most)
		}
	})
	t.Run("memory", func(t *testing.T) {
		w := sim(t)
		r := w.node(plan{proxy: proxy.Config{Serve: true, Limits: proxy.Limits{Memory: 64 << 10, Window: 1 << 20}},
			engine: func(c *engine.Config) { c.SendBuffer = 64 << 10 }})
		from, _, at, there, number := circuitOf(w, r)
		w.cutOff(w.nodes[2])
		for range 55 {
			if err := from.TrySendRaw(opcode.ProxyRequestCode, msg(up, number, strings.Repeat("x", 16000))); err != nil {
				t.Fatal(err)
			}
		}
		w.Until("the caller's end", func() bool { return len(at.ends) == 1 })
		w.Net().Heal()
		w.Until("the other end", func() bool { return len(there.ends) == 1 })
		if at.ends[0] != proxy.Busy || there.ends[0] != proxy.Busy || r.proxy.Stats().Waiting != 0 {
			t.Errorf("ended with %v and %v, %+v", at.ends, there.ends, r.proxy.Stats())
		}
	})
}

// cutOff keeps a node from hearing anybody, and from being heard, until Heal.
func (w *world) cutOff(n *node) {
	var others []netip.Addr
	for _, m := range w.nodes {
		if m != n {
			others = append(others, m.host.Addr())
		}
	}
	w.Net().Partition([]netip.Addr{n.host.Addr()}, others)
}

// A tamperer is a relay's dark side: it sees every message before the relay passes it on.
type tamperer struct {
	engine.Component
	does func(ctx *engine.ComponentContext, nth int) error
	seen int
}

func (e *tamperer) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.ProxyRequestCode} }

func (e *tamperer) Receive(ctx *engine.ComponentContext) error {
	if ctx.Payload()[0] != up {
		return nil
	}
	e.seen++
	return e.does(ctx, e.seen)
}

// A relay that alters, drops, repeats, reorders or invents bytes ends the connection that it does it to, before anything
// false is delivered; until then everything that came is genuine. A relay that swallows all keeps nobody waiting for longer
// than the handshake's time-out.
func TestEvilRelay(t *testing.T) {
	var r *node
	var kept []byte
	pass := func(ctx *engine.ComponentContext, b []byte) {
		was := slices.Clone(ctx.Payload())
		copy(ctx.Payload(), b)
		_ = r.proxy.Receive(ctx)
		copy(ctx.Payload(), was)
	}
	acts := map[string]func(ctx *engine.ComponentContext, nth int) error{
		"alters the first byte": func(ctx *engine.ComponentContext, _ int) error { ctx.Payload()[5] ^= 1; return nil },
		"alters the last byte": func(ctx *engine.ComponentContext, _ int) error {
			ctx.Payload()[len(ctx.Payload())-1] ^= 1
			return nil
		},
		"drops one": func(_ *engine.ComponentContext, nth int) error {
			if kept == nil {
				kept = []byte{}
				return engine.ErrIntercepted
			}
			return nil
		},
		"repeats": func(ctx *engine.ComponentContext, _ int) error {
			pass(ctx, slices.Clone(ctx.Payload()))
			return nil
		},
		"replays what came before": func(ctx *engine.ComponentContext, nth int) error {
			before := kept
			if kept = slices.Clone(ctx.Payload()); len(before) == len(kept) {
				copy(ctx.Payload(), before)
			}
			return nil
		},
	}
	for name, act := range acts {
		for _, from := range []int{1, 2, 3, 6, 20} { // a message of the handshake, or of what comes later
			t.Run(fmt.Sprintf("%s, from message %d on", name, from), func(t *testing.T) {
				kept = nil
				w := sim(t)
				evil := &tamperer{does: func(ctx *engine.ComponentContext, nth int) error {
					if nth < from {
						return nil
					}
					return act(ctx, nth)
				}}
				r = w.node(plan{proxy: proxy.Config{Serve: true}, setup: func(n *node) {
					if err := n.AddComponent(evil, engine.Priority(-1)); err != nil {
						t.Fatal(err)
					}
				}})
				a, b := w.hidden(r), w.hidden(r)
				p, err := w.tryDial(b, a.through(r))
				sent := []string{}
				for i := 0; err == nil && p.Connected() && i < 400; i++ {
					note := fmt.Sprint("genuine ", i)
					if p.TrySendRaw(opNote, []byte(note)) == nil {
						sent = append(sent, note)
					}
					w.Pass(20 * time.Millisecond)
				}
				if err == nil {
					w.Until("the end", func() bool { return !p.Connected() })
				}
				w.Until("the other end", func() bool { return a.peer(b.ID()) == nil })
				notes, _ := a.seen.got()
				if len(notes) > len(sent) || !slices.Equal(notes, sent[:len(notes)]) {
					t.Errorf("delivered %q of %q", notes, sent)
				}
				if len(sent) >= 400 {
					t.Error("nobody has noticed")
				}
			})
		}
	}
}

// Only relays that were asked may invite, and no more than is good; what they invent about circuits does nothing.
func TestEvilInvitations(t *testing.T) {
	w := sim(t)
	r := w.relay(proxy.Limits{})
	a := w.node(plan{proxy: proxy.Config{Relays: []engine.Target{r.at()}}})
	w.Until("the reservation", func() bool { return len(a.proxy.Addrs()) == 1 })
	evil, _ := w.puppet()
	p := w.dial(evil, a.at())
	if got, _ := w.ask(p, msg(invite, uint32(1), uint32(1<<20), identity.ID{1})); got != proxy.Declined {
		t.Errorf("an invitation by a stranger: %v", got)
	}
	trusted := r.peer(a.ID())
	for name, x := range map[string]struct {
		b    []byte
		want proxy.Reason
	}{
		"from itself":       {msg(invite, uint32(3), uint32(1<<20), a.ID()), proxy.Declined},
		"a window of 0":     {msg(invite, uint32(5), uint32(0), identity.ID{1}), proxy.Full},
		"an endless window": {msg(invite, uint32(7), uint32(1<<31), identity.ID{1}), proxy.Full},
		"as it should be":   {msg(invite, uint32(9), uint32(1<<20), identity.ID{1}), proxy.None},
	} {
		if got, _ := w.ask(trusted, x.b); got != x.want {
			t.Errorf("an invitation %s: %v, want %v", name, got, x.want)
		}
	}
	if got, _ := w.ask(trusted, msg(invite, uint32(9), uint32(1<<20), identity.ID{1})); got != proxy.Full {
		t.Errorf("an invitation to a circuit that is there: %v", got)
	}
	for _, b := range [][]byte{msg(down, uint32(9), "garbage, not a handshake"), msg(room, uint32(9), uint64(1<<63)), msg(room, uint32(9), uint64(0)),
		msg(endDown, uint32(11), byte(200))} {
		if err := trusted.TrySendRaw(opcode.ProxyRequestCode, b); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("the link to end", func() bool { return a.proxy.Stats().Links == 0 })
	if !trusted.Connected() || !p.Connected() {
		t.Error("a connection was lost over it")
	}
	most := 0
	for i := range 500 { // none of them ever shakes hands
		w.ask(trusted, msg(invite, uint32(100+2*i), uint32(1<<20), identity.ID{1}))
		most = max(most, a.proxy.Stats().Links)
	}
	if most > engine.HalfOpenPerIPDefault+1 {
		t.Errorf("%d links that nobody has proven himself on", most)
	}
}

// A node that asks for circuits without end is slowed down before its victim is.
func TestInvitationFlood(t *testing.T) {
	w := sim(t)
	r := w.relay(proxy.Limits{CircuitsPerNode: 1000})
	victim, v := w.puppet()
	v.declines = true
	w.ask(w.dial(victim, r.at()), msg(reserve, uint32(60)))
	bad, _ := w.puppet()
	p := w.dial(bad, r.at())
	full := 0
	began := w.Net().Now()
	for range 300 {
		if got, _ := w.ask(p, msg(connect, victim.ID())); got == proxy.Full {
			full++
		}
	}
	if most := 66 + int((w.Net().Now()-began)/(100*time.Millisecond)); len(v.invited) > most || len(v.invited)+full != 300 {
		t.Errorf("%d invitations, at most %d; %d refused", len(v.invited), most, full)
	}
	v.declines = false
	good, _ := w.puppet()
	if got, _ := w.ask(w.dial(good, r.at()), msg(connect, victim.ID())); got != proxy.None {
		t.Errorf("somebody else's circuit: %v", got)
	}
}

// One dialler cannot take all the room of a reservation, and has room for another node.
func TestCircuitsOfAPair(t *testing.T) {
	w := sim(t)
	r := w.relay(proxy.Limits{CircuitsPerNode: 5})
	reserved := func() (*node, *puppet) {
		n, p := w.puppet()
		w.ask(w.dial(n, r.at()), msg(reserve, uint32(60)))
		return n, p
	}
	one, v := reserved()
	other, _ := reserved()
	greedy, _ := w.puppet()
	p := w.dial(greedy, r.at())
	for i := range 6 {
		want := proxy.None
		if i >= 4 {
			want = proxy.Full
		}
		if got, _ := w.ask(p, msg(connect, one.ID())); got != want {
			t.Errorf("circuit %d of a pair: %v, want %v", i+1, got, want)
		}
	}
	if len(v.invited) != 4 {
		t.Errorf("%d invitations", len(v.invited))
	}
	if got, _ := w.ask(p, msg(connect, other.ID())); got != proxy.None {
		t.Errorf("a circuit to another node: %v", got)
	}
	late, _ := w.puppet()
	if got, _ := w.ask(w.dial(late, r.at()), msg(connect, one.ID())); got != proxy.None {
		t.Errorf("another node's circuit: %v", got)
	}
}
