package engine

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/opcode"
)

// Every span falls under the first bound that is above it.
func TestSpans(t *testing.T) {
	const us = time.Microsecond
	for _, x := range []struct {
		d  time.Duration
		at int
	}{
		{-time.Second, 0}, {0, 0}, {16 * us, 0}, {SpanBound(0) - 1, 0}, {SpanBound(0), 1}, {SpanBound(1) - 1, 1}, {SpanBound(1), 2},
		{10 * time.Millisecond, 10}, {SpanBound(16) - 1, 16}, {SpanBound(16), 17}, {time.Hour, 17},
	} {
		var s spans
		s.add(x.d)
		got := s.read()
		if got.Counts[x.at] != 1 || got.Count() != 1 || got.Sum != x.d {
			t.Errorf("%v is counted as %v, want it under %d", x.d, got, x.at)
		}
	}
	if SpanBound(6) > 2*time.Millisecond || SpanBound(6) < time.Millisecond {
		t.Errorf("bound 6 is %v", SpanBound(6))
	}
}

func TestSpansQuantile(t *testing.T) {
	var s spans
	for range 98 {
		s.add(100 * time.Microsecond)
	}
	s.add(5 * time.Millisecond)
	s.add(time.Hour)
	out := s.read()
	for _, x := range []struct {
		q    float64
		want time.Duration
	}{{0, SpanBound(3)}, {0.5, SpanBound(3)}, {0.97, SpanBound(3)}, {0.98, SpanBound(9)}, {0.99, SpanBound(17)}, {1, SpanBound(17)}} {
		if got := out.Quantile(x.q); got != x.want {
			t.Errorf("quantile %v is %v, want %v", x.q, got, x.want)
		}
	}
	if got := (&Spans{}).Quantile(0.5); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
}

// Opcodes keep the place they got first; what comes too late for one shares the last.
func TestOpcodePlaces(t *testing.T) {
	var c opcodeCounts
	if got := c.place(opcode.PingCode); got != 10 {
		t.Errorf("Ping is counted at %d", got)
	}
	apart := map[int]bool{}
	for round := range 2 {
		for i := range 100 {
			at := c.place(opcode.Opcode(1000 + i))
			switch {
			case round == 0 && i < opcodePlaces-1-libraryPlaces:
				if apart[at] || at < libraryPlaces || at >= opcodePlaces-1 {
					t.Fatalf("opcode %d got place %d", 1000+i, at)
				}
				apart[at] = true
			case i < opcodePlaces-1-libraryPlaces:
				if at != libraryPlaces+i {
					t.Fatalf("opcode %d had place %d, and now %d", 1000+i, libraryPlaces+i, at)
				}
			case at != opcodePlaces-1:
				t.Fatalf("opcode %d got place %d, want the last", 1000+i, at)
			}
		}
	}
	l := loop{}
	l.count(c.place(1000), 10)
	l.count(c.place(1000), 5)
	l.count(c.place(1099), 7)
	l.count(0, 1)
	l.opcodes.addTo(&c)
	l.opcodes.addTo(&c) // it is empty now
	got := c.read()
	if len(got) != 2 || got[1000] != (OpcodeStats{2, 15}) || got[opcode.UnregisteredCode] != (OpcodeStats{2, 8}) {
		t.Errorf("counted %v", got)
	}
}

// A port is a transport's loop of which only the alarm is looked at.
type port struct{ now, alarmAt time.Duration }

func (p *port) Index() int              { return 0 }
func (p *port) Now() time.Duration      { return p.now }
func (p *port) Wake()                   {}
func (p *port) WakeAt(at time.Duration) { p.alarmAt = at }

// A sweep that is due when something else comes in is not put off by it: a loop that is never idle looks for silent peers all
// the same, and its lateness is counted.
func TestSweepIsNotPutOff(t *testing.T) {
	p := &port{}
	l := &loop{port: p, wheel: timer.NewWheel(0), peers: make([]*PeerClient, 1), sweepAt: sweepEvery}
	for p.now = sweepEvery; p.now < 3*sweepEvery; p.now += sweepEvery / 10 {
		l.now = p.now
		l.arm() // as at the end of every event
		if p.alarmAt != sweepEvery || l.alarmAt != sweepEvery {
			t.Fatalf("at %v the alarm is set to %v, and the sweep was due at %v", p.now, p.alarmAt, sweepEvery)
		}
	}
}

// An alarm that is set already is not set again, and one that has gone off is.
func TestAlarmIsSetOnce(t *testing.T) {
	n, tr := onBench(t)
	l, set := n.loops[0], &countingPort{benchLoop: tr.loop}
	l.port = set
	due := tr.loop.now + time.Second
	var again timer.Timer
	again.Fire = func(now time.Duration) { l.wheel.Set(&again, now) } // for the next turn
	l.wheel.Set(&again, due)
	for range 5 {
		l.enter()
		l.leave()
	}
	if set.calls != 1 || tr.loop.alarm != due {
		t.Errorf("five events without a new deadline have set the alarm %d times, to %v; want once, to %v", set.calls, tr.loop.alarm, due)
	}
	tr.loop.now, tr.loop.alarm = due, transport.Never // it goes off
	l.turn()
	if tr.loop.alarm != due {
		t.Errorf("an alarm that has gone off and is wanted again at once is set to %v, want %v", tr.loop.alarm, due)
	}
}

type countingPort struct {
	*benchLoop
	calls int
}

func (p *countingPort) WakeAt(at time.Duration) {
	p.calls++
	p.benchLoop.WakeAt(at)
}

// Sweeps come at multiples of sweepEvery, never late for the silent, and never early for what is to cool.
func TestSweepsShareTheirTimes(t *testing.T) {
	l := &loop{now: 3*sweepEvery + 7*time.Millisecond, sweepAt: transport.Never, lookAt: transport.Never}
	l.peers = make([]*PeerClient, fewPeers+1)
	l.planLook(false)
	latest := l.now + sweepEvery*sweepRounds/(fewPeers+1)
	if l.sweepAt%sweepEvery != 0 || l.sweepAt > latest || l.sweepAt <= latest-2*sweepEvery {
		t.Errorf("at %v one of %d silent peers is looked at by %v, want by %v", l.now, len(l.peers), l.sweepAt, latest)
	}
	p := &PeerClient{loop: l}
	p.touch()
	cool := l.now + coolAfter
	if l.sweepAt%sweepEvery != 0 || l.sweepAt < cool || l.sweepAt >= cool+sweepEvery {
		t.Errorf("what is used at %v may cool at %v, and the sweep comes at %v", l.now, cool, l.sweepAt)
	}
}

// The ring of warm peers is in the order of their last use, to within touchEvery.
func TestWarmPeers(t *testing.T) {
	l := &loop{sweepAt: transport.Never}
	var p [3]*PeerClient
	for i := range p {
		p[i] = &PeerClient{loop: l}
	}
	expect := func(when string, want ...*PeerClient) {
		t.Helper()
		var got []*PeerClient
		for at := l.warm.oldest(); at != nil && len(got) < 4; at = at.warmNext {
			if got = append(got, at); at == l.warm.young {
				break
			}
		}
		if !slices.Equal(got, want) || l.warm.empty() != (len(want) == 0) {
			t.Fatalf("%s: %d peers in the ring in another order, want %d", when, len(got), len(want))
		}
	}
	expect("at first")
	for i := range p {
		p[i].touch()
	}
	expect("each used once", p[0], p[1], p[2])
	l.now = touchEvery - 1
	p[0].touch()
	expect("used again at once", p[0], p[1], p[2])
	l.now = touchEvery
	p[0].touch()
	p[0].touch()
	expect("used again later", p[1], p[2], p[0])
	l.warm.drop(p[2])
	l.warm.drop(p[2])
	expect("without one of the middle", p[1], p[0])
	l.warm.drop(p[0])
	expect("without the youngest", p[1])
	l.warm.drop(p[1])
	expect("without any")
	p[2].touch()
	expect("after having been empty", p[2])
}

// What several ask who are woken by an event goes out before it is over, without a waking of the loop.
func TestWokenAskWithinTheEvent(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the woken run when the loop lets them, and not beside it
	n, tr := onBench(t)
	p, link := openOnBench(n, tr)
	l := n.loops[0]
	together := 0
	for range 50 {
		reply, asked := make(chan struct{}, 1), make(chan struct{})
		go func() {
			<-reply
			if err := p.trySend(laneUrgent, 1000, 0, 0, []byte("and another thing")); err != nil {
				t.Error(err)
			}
			close(asked)
		}()
		runtime.Gosched()
		before := link.written
		l.enter()
		reply <- struct{}{}
		l.woke = 2
		l.leave()
		if link.written > before && !tr.loop.woken.Load() {
			together++
		}
		<-asked
		tr.turns()
		if link.written == before {
			t.Fatal("what was asked has not been written")
		}
	}
	if together == 0 {
		t.Error("what the woken have asked has woken the loop each time")
	}
}

// Those who are woken together ask together: the first of them, who finds no other request under way, does not write his alone.
func TestWokenAskInOneWrite(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the woken run when the loop lets them, and not beside it
	n, tr := onBench(t)
	p, link := openOnBench(n, tr)
	l := n.loops[0]
	const callers = 5
	together := 0
	for range 50 {
		reply, asked := make(chan struct{}, callers), make(chan uint32, callers)
		for range callers {
			go func() {
				<-reply
				c := &call{done: make(chan error, 1)}
				if err := p.ask(0, c, 1000, []byte("and another thing")); err != nil {
					t.Error(err)
				}
				asked <- c.id
			}()
		}
		runtime.Gosched()
		before := link.writes
		l.enter()
		for range callers {
			reply <- struct{}{}
			l.woke++
		}
		l.leave()
		if link.writes == before+1 && len(asked) == callers {
			together++
		}
		for range callers {
			p.giveUp(<-asked)
		}
		tr.turns()
		if link.writes == before {
			t.Fatal("what was asked has not been written")
		}
	}
	if together == 0 {
		t.Error("what the woken have asked has never gone out in one write")
	}
}

// One request with nothing else under way is written by its caller, whether an event lasts or not: the loop may be long about it.
func TestOneRequestIsWrittenAtOnce(t *testing.T) {
	n, tr := onBench(t)
	p, link := openOnBench(n, tr)
	for _, within := range []bool{false, true} {
		if within {
			n.loops[0].enter()
		}
		before := link.writes
		c := &call{done: make(chan error, 1)}
		if err := p.ask(0, c, 1000, []byte("a question")); err != nil {
			t.Fatal(err)
		}
		if link.writes != before+1 {
			t.Errorf("within an event %v: %d writes", within, link.writes-before)
		}
		p.giveUp(c.id)
	}
	n.loops[0].leave()
}
