package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// quicBench is a bench transport for other addresses.
type quicBench struct{ benchTransport }

func (*quicBench) Protos() []transport.Proto { return []transport.Proto{transport.QUIC} }

func twoOnBench(t *testing.T) (*Network, *benchTransport, *quicBench) {
	id, err := identity.FromSeed(context.Background(), [32]byte{1}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	tcp, quic := &benchTransport{}, &quicBench{}
	n, err := New(Config{Transport: tcp, MoreTransports: []transport.Transport{quic}, Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.workers.stop() })
	return n, tcp, quic
}

// A transport that dies takes its own peers along, not the node: what the others carry goes on, and nothing waits for loops
// that have ended.
func TestOneTransportFails(t *testing.T) {
	n, tcp, quic := twoOnBench(t)
	quic.sink.Failed(errors.New("no more"))
	done := make(chan struct{})
	asked := 0
	go func() { defer close(done); n.onEachLoop(func(*loop) { asked++ }) }()
	for alive := true; alive; {
		select {
		case <-done:
			alive = false
		default:
			tcp.turns()
		}
	}
	if asked != 1 {
		t.Errorf("%d loops were asked, want that of the living transport", asked)
	}
	p, link := openOnBench(n, tcp)
	if err := p.trySend(laneBulk, 1000, 0, 0, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	tcp.turns()
	if link.written == 0 {
		t.Error("a peer of the other transport cannot be written to")
	}
}

// Transports count from their own start; the engine has one time, and gives alarms back in the transport's.
func TestAlarmsInTheTransportsTime(t *testing.T) {
	n, tcp, quic := twoOnBench(t)
	tcp.loop.now, quic.loop.now = time.Hour, time.Minute
	l := newLoop(n.sinks[1], quic.loop)
	if got := l.clock(); got != time.Hour {
		t.Fatalf("the second loop's clock says %v, the first one's %v", got, time.Hour)
	}
	l.arm()
	if quic.loop.alarm != transport.Never {
		t.Errorf("with nothing to do the alarm is set to %v", quic.loop.alarm)
	}
	var due bool
	l.post(func() { (Loop{l}).After(time.Second, func() { due = true }) })
	l.turn()
	l.turn()
	for range 10 { // the wheel may want to be looked at on the way
		if due {
			break
		}
		quic.loop.now = quic.loop.alarm
		l.turn()
	}
	if took := quic.loop.now - time.Minute; !due || took < time.Second || took > time.Second+10*time.Millisecond {
		t.Errorf("by the alarms a timer of a second takes %v (due: %v)", took, due)
	}
}

// A guest is a transport's loop that must not be asked for the time.
type guest struct {
	port
	host port
	t    *testing.T
}

func (g *guest) Host() transport.Loop { return &g.host }
func (g *guest) Now() time.Duration {
	g.t.Error("a guest has been asked for the time")
	return 0
}

// A loop that is a guest goes by its host's clock.
func TestGuestGoesByItsHostsClock(t *testing.T) {
	n, tcp, _ := twoOnBench(t)
	g := &guest{t: t, host: port{now: time.Minute}}
	tcp.loop.now = time.Hour
	l := newLoop(n.sinks[1], g)
	g.host.now += time.Second
	if got := l.clock(); got != time.Hour+time.Second {
		t.Errorf("its clock says %v, want %v", got, time.Hour+time.Second)
	}
}
