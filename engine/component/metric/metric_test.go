package metric_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/metric"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A seat is a simulated node with the component.
type seat struct {
	*engine.Network
	w      *enginetest.World
	metric *metric.Component
}

func start(w *enginetest.World, comps ...engine.ComponentInterface) *seat {
	w.Helper()
	n := w.Node(comps...)
	c, _ := engine.ComponentOf[*metric.Component](n)
	return &seat{Network: n, w: w, metric: c}
}

func component(t testing.TB, cfg metric.Config) *metric.Component {
	t.Helper()
	c, err := metric.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (x *seat) dial(y *seat) *engine.PeerClient { return x.w.Dial(x.Network, y.Network) }

// peers are what the component tells, by peer.
func (x *seat) peers(limit int) map[identity.ID]metric.Peer {
	x.w.Helper()
	all := map[identity.ID]metric.Peer{}
	x.w.Do(func() {
		told, err := x.metric.Peers(context.Background(), limit)
		if err != nil {
			x.w.Error(err)
		}
		for _, p := range told {
			all[p.Client.ID()] = p
		}
	})
	return all
}

// A peer that is asked every second: its round trip, its jitter, and nothing lost on a quiet network.
func TestAsked(t *testing.T) {
	for _, x := range []struct {
		name            string
		weather         simnet.Weather
		least, most     time.Duration // of the round trip
		jitter, jitter2 time.Duration
	}{
		{"steady", simnet.Weather{Latency: 10 * time.Millisecond}, 20 * time.Millisecond, 22 * time.Millisecond, 0, time.Millisecond},
		{"restless", simnet.Weather{Latency: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}, 20 * time.Millisecond, 60 * time.Millisecond,
			3 * time.Millisecond, 20 * time.Millisecond},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := enginetest.Sim(t, 1, x.weather)
			a := start(w, component(t, metric.Config{Every: time.Second}))
			b := start(w, component(t, metric.Config{}))
			a.dial(b)
			w.Pass(100 * time.Second)
			p := a.peers(10)[b.ID()]
			if p.Asked < 90 || p.Asked > 105 || p.Lost != 0 {
				t.Errorf("asked %d times in 100 s, %d lost", p.Asked, p.Lost)
			}
			if p.RTT < x.least || p.RTT > x.most || p.RTTMin < x.least || p.RTTMin > p.RTT || p.RTTLast < x.least || p.RTTLast > x.most {
				t.Errorf("round trip %v, least %v, last %v, want %v to %v", p.RTT, p.RTTMin, p.RTTLast, x.least, x.most)
			}
			if p.Jitter < x.jitter || p.Jitter > x.jitter2 {
				t.Errorf("jitter %v, want %v to %v", p.Jitter, x.jitter, x.jitter2)
			}
			if s := a.metric.Stats(); s.Asked != p.Asked || s.Answered < s.Asked-1 || b.metric.Stats().Served != s.Asked {
				t.Errorf("%+v, and %+v there", s, b.metric.Stats())
			}
			if back := b.peers(10)[a.ID()]; back.Asked != 0 || back.RateIn != 0 {
				t.Errorf("the side that does not ask tells %+v", back)
			}
		})
	}
}

// Questions to a peer that is cut off are lost.
func TestLost(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a := start(w, component(t, metric.Config{Every: time.Second, Timeout: 2 * time.Second}))
	b := start(w, component(t, metric.Config{}))
	a.dial(b)
	w.Pass(10 * time.Second)
	w.Net().Partition([]netip.Addr{w.Host(a.Network).Addr()})
	w.Pass(20 * time.Second)
	p := a.peers(10)[b.ID()]
	if p.Lost < 6 || p.Lost > 10 || p.Asked-p.Lost < 9 { // one at a time, two seconds each
		t.Errorf("%d of %d lost", p.Lost, p.Asked)
	}
	if s := a.metric.Stats(); s.Lost != p.Lost || s.Malformed != 0 {
		t.Errorf("%+v", s)
	}
	w.Net().Heal()
}

// Bytes that go each way are known of every peer, and their rate of those that are asked.
func TestRates(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a := start(w, component(t, metric.Config{Every: time.Second}))
	b := start(w, component(t, metric.Config{}))
	p := a.dial(b)
	for range 100 {
		if err := p.TrySendRaw(1000, make([]byte, 988)); err != nil { // a thousand bytes with the frame's header
			t.Fatal(err)
		}
		w.Pass(100 * time.Millisecond)
	}
	got := a.peers(10)[b.ID()]
	if got.RateOut < 9_500 || got.RateOut > 10_600 || got.RateIn > 100 {
		t.Errorf("%.0f bytes a second out and %.0f in, want 10,000 and next to none", got.RateOut, got.RateIn)
	}
	if got.BytesOut < 100_000 || got.BytesOut > 102_000 {
		t.Errorf("%d bytes out", got.BytesOut)
	}
	if back := b.peers(10)[a.ID()]; back.BytesIn != got.BytesOut {
		t.Errorf("%d bytes have come of %d", back.BytesIn, got.BytesOut)
	}
}

// Peers of a loop are asked one after the other and not all at once; those that go are forgotten.
func TestManyPeers(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a := start(w, component(t, metric.Config{Every: 10 * time.Second}))
	const peers = 60
	for range peers {
		start(w, component(t, metric.Config{})).dial(a)
	}
	w.Pass(20 * time.Second)
	before, most := a.metric.Stats().Asked, int64(0)
	for range 100 { // 10 s, in tenths
		was := a.metric.Stats().Asked
		w.Pass(100 * time.Millisecond)
		most = max(most, a.metric.Stats().Asked-was)
	}
	if asked := a.metric.Stats().Asked - before; asked < peers*8/10 || asked > peers*12/10 || most > 6 {
		t.Errorf("%d questions to %d peers in 10 s, at most %d in a tenth of a second", asked, peers, most)
	}
	if n := len(a.peers(1000)); n != peers {
		t.Errorf("%d peers are told of", n)
	}
	if n := len(a.peers(7)); n != 7 {
		t.Errorf("%d peers are told of, want 7", n)
	}
	for p := range a.ConnMgr().Peers() {
		p.Close()
	}
	w.Pass(5 * time.Second)
	before = a.metric.Stats().Asked
	w.Pass(time.Minute)
	if a.metric.Stats().Asked != before || len(a.peers(1000)) != 0 {
		t.Error("peers that have gone are asked")
	}
}

// Throughput is what the path carries.
func TestMeasure(t *testing.T) {
	const rate = 2 << 20
	w := enginetest.Sim(t, 1, simnet.Weather{Latency: 5 * time.Millisecond, Rate: rate})
	a := start(w, component(t, metric.Config{}))
	b := start(w, component(t, metric.Config{}))
	p := a.dial(b)
	w.Do(func() {
		if err := askOnce(a.metric, p); err != nil {
			t.Error(err)
		}
		got, err := a.metric.Measure(context.Background(), p, 1<<20)
		if err != nil || got.Bytes != 1<<20 || got.Second < rate*8/10 || got.Second > rate*11/10 {
			t.Errorf("%.0f bytes a second of %d: %+v, %v", got.Second, rate, got, err)
		}
	})
	for _, bad := range []int{0, -1, metric.MeasureLimit + 1} {
		if _, err := a.metric.Measure(context.Background(), p, bad); err == nil {
			t.Errorf("measuring with %d bytes is accepted", bad)
		}
	}
	w.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if _, err := a.metric.Measure(ctx, p, 16<<20); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("measuring for too long: %v", err)
		}
	})
}

func askOnce(c *metric.Component, p *engine.PeerClient) error {
	done := make(chan error, 1)
	if err := c.AskAsync(p, func(_ time.Duration, err error) { done <- err }); err != nil {
		return err
	}
	return <-done
}

// A liar answers metric requests as it likes.
type liar struct {
	engine.Component
	answer []byte
}

func (l *liar) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.MetricRequestCode} }

func (l *liar) Receive(ctx *engine.ComponentContext) error {
	return ctx.ReplyRaw(opcode.MetricResponseCode, l.answer)
}

// Answers that are not what was asked for count as lost, and measure nothing.
func TestLiar(t *testing.T) {
	for _, x := range []struct {
		answer []byte
		lost   bool
	}{{nil, true}, {[]byte{0, 0, 0}, true}, {[]byte{1, 0, 0, 0}, true}, {[]byte{0, 0, 0, 0}, false}, {[]byte{0, 0, 0, 0, 9}, false}} {
		w := enginetest.Sim(t, 1, simnet.Weather{})
		a, b := start(w, component(t, metric.Config{})), start(w, &liar{answer: x.answer})
		p := a.dial(b)
		var got error
		called := false
		if err := a.metric.AskAsync(p, func(_ time.Duration, err error) { got, called = err, true }); err != nil {
			t.Fatal(err)
		}
		w.Pass(time.Second)
		s := a.metric.Stats()
		if !called || errors.Is(got, metric.ErrMalformed) != x.lost || (s.Malformed == 1) != x.lost || (p.RTT() == 0) != x.lost {
			t.Errorf("answer %x: %v, %+v, round trip %v", x.answer, got, s, p.RTT())
		}
	}
}

// What is no question is not answered, and a flood of questions is answered as far as the asker reads.
func TestHostileAsker(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a, b := start(w, component(t, metric.Config{})), start(w)
	b.dial(a)
	p, _ := b.ConnMgr().Peer(a.ID())
	for _, op := range []opcode.Opcode{opcode.MetricRequestCode, opcode.MetricResponseCode} {
		if err := p.TrySendRaw(op, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	w.Pass(time.Second)
	if s := a.Stats().Components["metric.Component"]; s.Errors != 2 || a.metric.Stats().Served != 0 {
		t.Errorf("%+v, %+v", s, a.metric.Stats())
	}
	answered := 0
	for range 2000 {
		_ = p.RequestRawAsync(opcode.MetricRequestCode, make([]byte, 64<<10), time.Second, func(_ *engine.ComponentContext, err error) { answered++ })
		w.Pass(100 * time.Microsecond)
	}
	w.Pass(2 * time.Second)
	if held := a.Stats().BufferBytes; held > 1<<20 || answered == 0 || !p.Connected() {
		t.Errorf("%d bytes are held, %d questions ended", held, answered)
	}
}

func TestConfig(t *testing.T) {
	for _, x := range []metric.Config{{Every: -1}, {Every: time.Millisecond}, {Timeout: -1}} {
		if _, err := metric.New(x); err == nil {
			t.Errorf("%+v is accepted", x)
		}
	}
	if _, err := component(t, metric.Config{}).Peers(context.Background(), 1); !errors.Is(err, engine.ErrNotStarted) {
		t.Errorf("before Start: %v", err)
	}
}
