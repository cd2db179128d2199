package engine_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// Everything that is wrong with a Config is said at once.
func TestBadConfig(t *testing.T) {
	w := liveWorld(t)
	for _, x := range []struct {
		name string
		cfg  engine.Config
		want []string
	}{
		{"nothing", engine.Config{}, []string{"Transport is missing", "Identity is missing"}},
		{"a weak puzzle by accident", engine.Config{Puzzle: &identity.Puzzle{StaticBits: 1, DynamicBits: 1}}, []string{"Puzzle", "WeakPuzzle"}},
		{"an identity that does not solve the puzzle", engine.Config{Identity: w.key(1), Puzzle: &identity.Puzzle{StaticBits: 20, DynamicBits: 20}},
			[]string{"Identity does not solve Puzzle"}},
		{"everything", engine.Config{
			Listen: []transport.Addr{{}}, SendBuffer: 1, ReceiveWindow: 1, ReceiveWindowMax: 1, Memory: 1, Requests: 1 << 20, Dials: -1,
			HandshakeQueue: -1, HandshakeWorkers: -1, DialTimeout: -1, HandshakeTimeout: -1, RequestTimeout: -1, RecordTimeout: -1,
			SendTimeout: -1, GateTimeout: -1, LingerTimeout: -1, ProbeTimeout: -1,
			Peers: engine.PeerLimits{All: -1, Inbound: -1, PerIP: -1, PerSubnet: -1, HalfOpen: -1, HalfOpenPerIP: -1},
		}, []string{"Transport", "Identity", "address", "SendBuffer", "ReceiveWindow ", "ReceiveWindowMax", "Memory", "Requests", "Dials",
			"HandshakeQueue", "HandshakeWorkers", "DialTimeout", "HandshakeTimeout", "RequestTimeout", "RecordTimeout", "SendTimeout",
			"GateTimeout", "LingerTimeout", "ProbeTimeout", "Peers.All", "Peers.Inbound", "Peers.PerIP", "Peers.PerSubnet",
			"Peers.HalfOpen ", "Peers.HalfOpenPerIP"}},
		{"what no handshake could say", engine.Config{NetworkID: strings.Repeat("n", 256), Agent: strings.Repeat("a", 65)},
			[]string{"NetworkID is 256 bytes long: at most", "Agent: handshake: agent of 65 bytes, limit 64"}},
		{"an agent that would end in others' logs", engine.Config{Agent: "a\nb"}, []string{"Agent: handshake: agent \"a\\nb\" is not printable"}},
		{"more than can be", engine.Config{ReceiveWindow: 1<<31 - 1, ReceiveWindowMax: 1<<31 - 2, HandshakeTimeout: math.MaxInt64, LingerTimeout: 400 * 24 * time.Hour},
			[]string{"ReceiveWindowMax is 2147483646: at least ReceiveWindow, 2147483647", "ReceiveWindowMax is 2147483646: at most 1073741824", "HandshakeTimeout is", "LingerTimeout is 9600h0m0s: at most 8760h0m0s"}},
	} {
		n, err := engine.New(x.cfg)
		if n != nil || err == nil {
			t.Errorf("%s: no error", x.name)
			continue
		}
		for _, want := range x.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not speak of %q:\n%v", x.name, want, err)
			}
		}
	}
	cfg := w.config()
	cfg.Rand = iotest.ErrReader(io.ErrUnexpectedEOF)
	if _, err := engine.New(cfg); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without randomness: %v", err)
	}
}

// An address in use is an error that names it, and leaves nothing behind.
func TestAddressInUse(t *testing.T) {
	w := liveWorld(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	in := transport.Addr{Proto: transport.TCP, AddrPort: taken.Addr().(*net.TCPAddr).AddrPort()}
	var c lifecycle
	cfg := w.config()
	cfg.Listen = append(cfg.Listen, in)
	n, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	withWitness(&witness{})(n)
	if err := n.AddComponent(&c); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err == nil || !strings.Contains(err.Error(), in.AddrPort.String()) {
		t.Errorf("an address in use: %v", err)
	}
	if err := n.Start(t.Context()); !errors.Is(err, engine.ErrStarted) {
		t.Errorf("Start after a failed one: %v", err)
	}
	if err := n.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown after a failed Start: %v", err)
	}
	if c.startups != 0 || c.cleanups != 0 {
		t.Errorf("a component has been called %d times at the start and %d times at the end of what never ran", c.startups, c.cleanups)
	}
}

// Calls at the wrong time say so, and do no harm.
func TestWrongMoments(t *testing.T) {
	worlds(t, func(w *world) {
		cfg := w.config()
		n, err := engine.New(cfg)
		if err != nil {
			w.Fatal(err)
		}
		to := engine.Target{Addr: transport.Addr{Proto: transport.TCP, AddrPort: cfg.Listen[0].AddrPort}, ID: w.key(5).ID()}
		early := func(moment string, want error) {
			w.Helper()
			if err := n.DialAsync(to, func(*engine.PeerClient, error) { w.Errorf("%s: called back", moment) }); !errors.Is(err, want) {
				w.Errorf("%s, DialAsync: %v, want %v", moment, err, want)
			}
			if _, err := n.Dial(w.Context(), "tcp://127.0.0.1:4001"); !errors.Is(err, want) {
				w.Errorf("%s, Dial: %v, want %v", moment, err, want)
			}
			if sent, err := n.BroadcastRaw(opNote, nil); sent != 0 || err != nil || n.Stats().Peers != 0 {
				w.Errorf("%s: there are peers", moment)
			}
		}
		early("before Start", engine.ErrNotStarted)
		if n.Now() != 0 || len(n.Addrs()) != 0 {
			w.Errorf("before Start: %v %v", n.Now(), n.Addrs())
		}
		ended, cancel := context.WithCancel(w.Context())
		cancel()
		if err := n.Start(ended); !errors.Is(err, context.Canceled) {
			w.Errorf("Start with a context that has ended: %v", err)
		}
		if err := n.Start(w.Context()); err != nil {
			w.Fatal(err)
		}
		if err := n.Start(w.Context()); !errors.Is(err, engine.ErrStarted) {
			w.Errorf("a second Start: %v", err)
		}
		w.Do(func() {
			if err := n.Shutdown(brief(w)); err != nil {
				w.Error(err)
			}
		})
		early("after Shutdown", engine.ErrNotStarted)
		if err := n.Start(w.Context()); !errors.Is(err, engine.ErrStarted) {
			w.Errorf("Start after Shutdown: %v", err)
		}
		if _, open := <-n.Events(w.Context()); open {
			w.Error("events of a network that has stopped")
		}

		never, err := engine.New(w.config())
		if err != nil {
			w.Fatal(err)
		}
		if err := never.Shutdown(w.Context()); err != nil {
			w.Errorf("Shutdown before Start: %v", err)
		}
		if err := never.Start(w.Context()); !errors.Is(err, engine.ErrStarted) {
			w.Errorf("Start after Shutdown before Start: %v", err)
		}
	})
}

// panicky panics in every callback.
type panicky struct{}

func (*panicky) Startup(*engine.Network)                      { panic("in Startup") }
func (*panicky) Cleanup(*engine.Network)                      { panic("in Cleanup") }
func (*panicky) PeerConnect(*engine.PeerClient)               { panic("in PeerConnect") }
func (*panicky) PeerDisconnect(*engine.PeerClient)            { panic("in PeerDisconnect") }
func (*panicky) Receive(*engine.ComponentContext) error       { panic("in Receive") }
func (*panicky) SilentAfter() time.Duration                   { return time.Second }
func (*panicky) PeerSilent(*engine.PeerClient, time.Duration) { panic("in PeerSilent") }
func (*panicky) ComponentName() string                        { return "the panicky one" }

// A component that panics, wherever it does, is counted and named; the node, the peer and the other components go on.
func TestPanickyComponent(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	var seen, behind witness // in front of it, and behind
	var n *engine.Network
	events := make(<-chan engine.Event)
	a := w.node(nil)
	n = w.node(nil, withWitness(&seen), func(n *engine.Network) {
		events = n.Events(t.Context())
		if err := n.AddComponent(&panicky{}); err != nil {
			t.Fatal(err)
		}
	}, withWitness(&behind))
	p := w.dial(a, n)
	for _, note := range []string{"1", "2", "3"} { // in one record
		if err := p.TrySendRaw(opNote, []byte(note)); err != nil {
			t.Fatal(err)
		}
	}
	w.Pass(10 * time.Second) // looks for silence every 5 s
	w.Until("the notes", func() bool { _, _, notes := seen.count(); return notes == 3 })

	q := seen.peer(0)
	if err := q.PingAsync(0, func(time.Duration, error) { panic("in a callback of Ping") }); err != nil {
		t.Error(err)
	}
	if err := n.DialAsync(target(a), func(*engine.PeerClient, error) { panic("in a callback of Dial") }); err != nil {
		t.Error(err)
	}
	n.HomeLoop().Post(func() { panic("in Post") })
	n.HomeLoop().After(time.Millisecond, func() { panic("in After") })
	w.Pass(time.Second)
	if err := p.TrySendRaw(opNote, []byte("still there?")); err != nil {
		t.Error(err)
	}
	p.Close()
	w.Until("the end", func() bool { _, downs, _ := seen.count(); return downs == 1 })
	if got := seen.seen(); !slices.Equal(got, []string{"up", "1", "2", "3", "still there?", "down"}) {
		t.Errorf("the component in front saw %q", got)
	}
	if ups, downs, _ := behind.count(); ups != 1 || downs != 1 {
		t.Errorf("the component behind saw %q", behind.seen())
	}
	w.End()

	told := map[string]int{}
	for e := range events {
		if e.Kind == engine.ComponentPanicked {
			told[e.Text]++
		}
	}
	for _, where := range []string{"Startup", "PeerConnect", "Receive", "PeerSilent", "PeerDisconnect", "Cleanup"} {
		if told["the panicky one: in "+where] == 0 {
			t.Errorf("no event tells of the panic in %s", where)
		}
	}
	for _, where := range []string{"a callback of Ping", "a callback of Dial", "Post", "After"} {
		if told["callback: in "+where] != 1 {
			t.Errorf("no event tells of the panic in %s", where)
		}
	}
	sum := 0
	for _, times := range told {
		sum += times
	}
	s := n.Stats()
	if s.Panics != int64(sum) || s.Components["the panicky one"].Panics != int64(sum-4) || s.Opened != 1 || s.Closed != 1 {
		t.Errorf("%d panics have been told; %+v", sum, s)
	}
}

// A component that blocks holds its loop: the node says which one it was.
func TestBlockingComponent(t *testing.T) {
	w := liveWorld(t)
	holding := &named{witness: witness{on: func(*engine.ComponentContext) error {
		<-time.NewTimer(25 * time.Millisecond).C
		return nil
	}}}
	n := w.node(nil, func(n *engine.Network) {
		if err := n.AddComponent(holding); err != nil {
			t.Fatal(err)
		}
	})
	events := n.Events(t.Context())
	p := w.dial(w.node(nil), n)
	if err := p.TrySendRaw(opNote, nil); err != nil {
		t.Fatal(err)
	}
	held := func(e engine.Event) bool { return e.Kind == engine.LoopHeld && e.Text == "the holding one" }
	for e := range events {
		if held(e) {
			if e.Duration < 25*time.Millisecond {
				t.Errorf("held for %v, it says", e.Duration)
			}
			break
		}
	}
	if s := n.Stats(); s.SlowTurns == 0 || s.Components["the holding one"].SlowTurns == 0 {
		t.Errorf("%d slow turns, by component %+v", s.SlowTurns, s.Components)
	}
	if _, err := p.Ping(brief(t)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

type named struct{ witness }

func (*named) ComponentName() string { return "the holding one" }

// A Cleanup that does not return does not keep Shutdown longer than its context.
func TestStuckCleanup(t *testing.T) {
	w := liveWorld(t)
	release := make(chan struct{})
	c := &stuckCleanup{release: release}
	var seen witness
	n := w.node(nil, func(n *engine.Network) { n.AddComponent(c) }, withWitness(&seen))
	p := w.dial(w.node(nil), n)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := n.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	w.Until("the peer to notice", func() bool { return !p.Connected() })
	w.Until("the component to be told", func() bool { _, downs, _ := seen.count(); return downs == 1 })
	close(release)
	c.done.Wait()
}

type stuckCleanup struct {
	engine.Component
	release chan struct{}
	done    sync.WaitGroup
}

func (c *stuckCleanup) Startup(*engine.Network) { c.done.Add(1) }
func (c *stuckCleanup) Cleanup(*engine.Network) { defer c.done.Done(); <-c.release }

type picky struct {
	engine.Component
	err error
}

func (c *picky) Validate() error { return c.err }

// A component that says it is badly configured is not added.
func TestComponentsAreAsked(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	n := w.New(w.config())
	bad, good := &picky{err: errors.New("nothing fits")}, &picky{}
	if err := n.AddComponent(bad); !errors.Is(err, bad.err) || !strings.Contains(err.Error(), "picky") {
		t.Errorf("a component with a problem: %v", err)
	}
	if err := n.AddComponent(good); err != nil {
		t.Errorf("one without: %v", err)
	}
	if c, ok := engine.ComponentOf[*picky](n); !ok || c != good {
		t.Error("the wrong one has been added")
	}
}

// What belongs to the engine or nobody cannot be sent or subscribed to.
func TestReservedOpcodes(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	var replied []error
	answers := &witness{on: func(ctx *engine.ComponentContext) error {
		large := make([]byte, opcode.DefaultPayloadLimit+1) // the asker would hang up on it
		replied = append(replied, ctx.ReplyRaw(opcode.CreditCode, nil), ctx.ReplyRaw(29, nil), ctx.ReplyRaw(opTold, large))
		return nil
	}}
	a, b := w.node(nil), w.node(nil, withWitness(answers))
	p := w.dial(a, b)
	if err := p.RequestRawAsync(opAsk, nil, 0, func(*engine.ComponentContext, error) {}); err != nil {
		t.Fatal(err)
	}
	w.Until("the question", func() bool { return len(replied) == 3 })
	for i, want := range []error{engine.ErrReserved, engine.ErrReserved, engine.ErrMessageTooLarge} {
		if !errors.Is(replied[i], want) {
			t.Errorf("reply %d: %v, want %v", i, replied[i], want)
		}
	}
	for _, op := range []opcode.Opcode{opcode.UnregisteredCode, opcode.PingCode, opcode.PongCode, opcode.DisconnectCode, opcode.ErrorCode, opcode.CreditCode} {
		if err := p.TrySendRaw(op, nil); !errors.Is(err, engine.ErrReserved) {
			t.Errorf("sending %v: %v", op, err)
		}
		if op == opcode.UnregisteredCode || op == opcode.PongCode { // Pongs may be listened to: TryPing
			continue
		}
		if err := a.AddComponent(&witness{}, engine.Opcodes(op)); !errors.Is(err, engine.ErrReserved) {
			t.Errorf("subscribing to %v: %v", op, err)
		}
	}
	for _, op := range []opcode.Opcode{4, 8, 29, 39, 40, opcode.ApplicationOpCodeStart - 1} { // the library's, for later
		for call, err := range map[string]error{
			"SendRaw":              p.SendRaw(context.Background(), op, nil),
			"TrySendRaw":           p.TrySendRaw(op, nil),
			"TrySendUnreliableRaw": p.TrySendUnreliableRaw(op, nil),
			"TrySendAckable":       p.TrySendAckable(op, 1, nil),
			"RequestRawAsync":      p.RequestRawAsync(op, nil, 0, func(*engine.ComponentContext, error) {}),
			"AddComponent":         a.AddComponent(&witness{}, engine.Opcodes(op)),
		} {
			if !errors.Is(err, engine.ErrReserved) {
				t.Errorf("%s with %v: %v", call, op, err)
			}
		}
	}
	if err := p.TrySendRaw(opcode.ApplicationOpCodeStart, nil); err != nil {
		t.Errorf("the first of the application's: %v", err)
	}
}

// What nobody has registered or named goes to components that see every message. It is not unknown then, and
// counted with all that has no counter of its own.
func TestEverythingIsSeenAndCounted(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	all := &onlooker{}
	a, b := w.node(nil), w.node(nil, func(n *engine.Network) {
		if err := n.AddComponent(all); err != nil {
			t.Fatal(err)
		}
	})
	p := w.dial(a, b)
	for range 3 {
		if err := p.TrySendRaw(77777, []byte("four")); err != nil {
			t.Fatal(err)
		}
	}
	w.Pass(time.Second)
	s := b.Stats()
	if all.seen != 3 || s.Unknown != 0 || s.Opcodes[opcode.UnregisteredCode] != (engine.OpcodeStats{MessagesIn: 3, BytesIn: 12}) {
		t.Errorf("%d seen, %d unknown, counted %v", all.seen, s.Unknown, s.Opcodes)
	}
}

type onlooker struct {
	engine.Component
	seen int
}

func (c *onlooker) Receive(*engine.ComponentContext) error { c.seen++; return nil }
