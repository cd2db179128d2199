package load_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs a short scenario against a fake and returns its result.
func run(t *testing.T, f *fake, c load.Config) *load.Result {
	t.Helper()
	return virtually(t, func() *load.Bench { return newBench(f, c) })
}

// virtually makes a run and runs it in virtual time, where it takes the same turns on any machine.
func virtually(t *testing.T, bench func() *load.Bench) (result *load.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := bench()
		var err error
		if result, err = b.Run(t.Context()); err != nil {
			t.Fatalf("%s: %v", b.Config.Scenario, err)
		}
	})
	return result
}

func newBench(f *fake, c load.Config) *load.Bench {
	f.sink = load.NewSink(load.NewPattern())
	if c.Duration == 0 {
		c.Duration = 20 * time.Millisecond
	}
	if c.Warmup == 0 {
		c.Warmup = -1
	}
	return load.InRuntime(&load.Bench{Config: c, Driver: "fake", Dialer: f, Server: load.Local{Sink: f.sink}})
}

// A driver that does its duty has no errors in any scenario, with a warm-up and without, and something is counted.
func TestHonestDriver(t *testing.T) {
	for _, c := range []load.Config{
		{Scenario: load.OneWay, Conns: 3},
		{Scenario: load.OneWay, Conns: 2, Rate: 5000, Warmup: 10 * time.Millisecond},
		{Scenario: load.OneWay, Size: load.SizeLimit},
		{Scenario: load.OneWay, Size: load.HeaderSize},
		{Scenario: load.RPC, Conns: 2, Inflight: 3, Warmup: 10 * time.Millisecond},
		{Scenario: load.RPC, Conns: 2, Inflight: 3, Rate: 5000},
		{Scenario: load.Connect, Conns: 4, Warmup: 10 * time.Millisecond},
		{Scenario: load.Hold, Conns: 100},
		{Scenario: load.FanOut, Conns: 10, Warmup: 10 * time.Millisecond},
		{Scenario: load.Mixed, Warmup: 10 * time.Millisecond},
		{Scenario: load.RPC, Conns: 2, Sizes: []load.SizeShare{{Bytes: 64, Share: 3}, {Bytes: 4096, Share: 1}}, AnswerSize: 100},
		{Scenario: load.RPC, Inflight: 2, Stages: []load.Stage{{For: 10 * time.Millisecond, From: 0, To: 5000}, {For: 10 * time.Millisecond, From: 5000, To: 5000}}},
		{Scenario: load.RPC, Rate: 5000, Poisson: true},
		{Scenario: load.OneWay, Conns: 2, Sizes: []load.SizeShare{{Bytes: 64, Share: 3}, {Bytes: 4096, Share: 1}}},
		{Scenario: load.OneWay, Rate: 5000, Poisson: true},
		{Scenario: load.Stream}, {Scenario: load.Stream, Rate: 1000},
		{Scenario: load.Stream, Direction: load.Down, Warmup: 10 * time.Millisecond}, {Scenario: load.Stream, Direction: load.Down, Rate: 1000},
		{Scenario: load.Stream, Direction: load.Both, Warmup: 10 * time.Millisecond},
		{Scenario: load.Connect, Conns: 4, Rate: 1000, Warmup: 10 * time.Millisecond},
		{Scenario: load.Churn, Conns: 4, Warmup: 10 * time.Millisecond}, {Scenario: load.Churn, Conns: 4, Rate: 1000},
		{Scenario: load.FanOut, Conns: 10, Rate: 500, Warmup: 10 * time.Millisecond},
		{Scenario: load.Soak, Rate: 1000},
	} {
		r := run(t, &fake{}, c)
		if r.Failed() || r.Interrupted {
			t.Errorf("%s: errors %v, interrupted %v", c.Scenario, r.Errors, r.Interrupted)
		}
		if r.Messages == 0 || r.Seconds <= 0 || r.Connections == 0 {
			t.Errorf("%s: %d messages in %v s on %d connections", c.Scenario, r.Messages, r.Seconds, r.Connections)
		}
		if c.Scenario == load.RPC && r.LatencyMicros == nil {
			t.Errorf("rpc: no latency")
		}
		if (c.Rate > 0 && c.Scenario == load.OneWay) != (r.LatencyMicros != nil) && c.Scenario == load.OneWay {
			t.Errorf("oneway at rate %v: latency %v", c.Rate, r.LatencyMicros)
		}
	}
}

// Every kind of mischief with one-way messages is caught, and called by its name. In each, message 5 of the only
// connection is the victim.
func TestOneWayMischief(t *testing.T) {
	var held []byte
	tests := []struct {
		name   string
		oneWay func(n int, msg []byte, deliver func([]byte))
		want   []string // kinds of errors, all of them
	}{
		{"drops", func(n int, msg []byte, deliver func([]byte)) {
			if n != 5 {
				deliver(msg)
			}
		}, []string{"gap"}},
		{"doubles", func(n int, msg []byte, deliver func([]byte)) {
			deliver(msg)
			if n == 5 {
				deliver(msg)
			}
		}, []string{"repeat"}},
		{"swaps", func(n int, msg []byte, deliver func([]byte)) {
			if n == 5 {
				held = slices.Clone(msg)
				return
			}
			deliver(msg)
			if n == 6 {
				deliver(held)
			}
		}, []string{"gap", "repeat"}},
		{"alters content", alter(load.HeaderSize), []string{"corrupt", "gap"}},
		{"alters the last byte", alter(63), []string{"corrupt", "gap"}},
		{"alters the sequence", alter(0), []string{"corrupt", "gap"}},
		{"alters the stream", alter(16), []string{"corrupt", "gap"}},
		{"alters the planned time", alter(8), []string{"corrupt", "gap"}},
		{"cuts", func(n int, msg []byte, deliver func([]byte)) {
			if n == 5 {
				msg = msg[:len(msg)-1]
			}
			deliver(msg)
		}, []string{"corrupt", "gap"}},
		{"lengthens", func(n int, msg []byte, deliver func([]byte)) {
			if n == 5 {
				msg = append(slices.Clone(msg), 0)
			}
			deliver(msg)
		}, []string{"corrupt", "gap"}},
		{"delivers nothing", func(int, []byte, func([]byte)) {}, []string{"lost", "no_end"}},
		{"shows an old buffer's content", func(n int, msg []byte, deliver func([]byte)) {
			if n == 4 {
				held = slices.Clone(msg)
			}
			if n == 5 {
				msg = append(slices.Clone(msg[:load.HeaderSize]), held[load.HeaderSize:]...)
			}
			deliver(msg)
		}, []string{"corrupt", "gap"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			held = nil
			r := run(t, &fake{oneWay: test.oneWay}, load.Config{Scenario: load.OneWay})
			checkKinds(t, r, test.want)
			if n := r.Errors["gap"]; n > 1 {
				t.Errorf("gap: %d messages missing, want 1", n)
			}
		})
	}
}

// alter flips a bit of message 5.
func alter(at int) func(n int, msg []byte, deliver func([]byte)) {
	return func(n int, msg []byte, deliver func([]byte)) {
		if n == 5 {
			msg = slices.Clone(msg)
			msg[at] ^= 0x10
		}
		deliver(msg)
	}
}

func checkKinds(t *testing.T, r *load.Result, want []string) {
	t.Helper()
	var got []string
	for kind := range r.Errors {
		got = append(got, kind)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("errors %v, want kinds %v", r.Errors, want)
	}
}

// A message does not count twice, and one out of its place does not count: of 100 with one swapped pair 98 do.
func TestOnlyMessagesInPlaceCount(t *testing.T) {
	p := load.NewPattern()
	sink := load.NewSink(p)
	r := sink.Open()
	order := []uint64{}
	for i := range uint64(100) {
		order = append(order, i)
	}
	order[40], order[41] = order[41], order[40]
	msg := make([]byte, 64)
	for _, seq := range order {
		p.Put(msg, load.Header{Seq: seq, Stream: 7})
		r.Message(msg)
	}
	r.Close()
	c := sink.Counts()
	// 41 shows that 40 is missing and does not count; 40 comes late and does not count.
	if c.Messages != 98 || c.Errors["gap"] != 1 || c.Errors["repeat"] != 1 {
		t.Errorf("%d messages, errors %v; want 98, one gap, one repeat", c.Messages, c.Errors)
	}
}

// A message of one connection that turns up on another is caught there, and missed here.
func TestMisdelivery(t *testing.T) {
	p := load.NewPattern()
	sink := load.NewSink(p)
	first, second := sink.Open(), sink.Open()
	send := func(to *load.Receiver, stream uint32, seq uint64) {
		msg := make([]byte, 64)
		p.Put(msg, load.Header{Seq: seq, Stream: stream})
		to.Message(msg)
	}
	send(first, 1, 0)
	send(second, 2, 0)
	send(second, 1, 1)
	send(first, 1, 2)
	if c := sink.Counts(); c.Errors["misdelivered"] != 1 || c.Errors["gap"] != 1 {
		t.Errorf("errors %v, want one misdelivered and one gap", c.Errors)
	}
}

// Every kind of mischief with requests is caught.
func TestRequestMischief(t *testing.T) {
	tests := []struct {
		name   string
		answer func(n int, right []byte) ([]byte, error)
		want   []string
	}{
		{"alters", func(n int, right []byte) ([]byte, error) {
			if n == 5 {
				right[30] ^= 1
			}
			return right, nil
		}, []string{"wrong_answer"}},
		{"cuts", func(n int, right []byte) ([]byte, error) {
			if n == 5 {
				return right[:len(right)-1], nil
			}
			return right, nil
		}, []string{"wrong_answer"}},
		{"never answers", func(n int, right []byte) ([]byte, error) {
			if n == 5 {
				return nil, errNever
			}
			return right, nil
		}, []string{"no_answer"}},
		{"fails", func(n int, right []byte) ([]byte, error) {
			if n == 5 {
				return nil, errGone
			}
			return right, nil
		}, []string{"call"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkKinds(t, run(t, &fake{answer: test.answer}, load.Config{Scenario: load.RPC}), test.want)
		})
	}
}

// A request that the serving side answers twice, and one that somebody else answered, show in the sums.
func TestRequestSums(t *testing.T) {
	var f *fake
	f = &fake{answer: func(n int, right []byte) ([]byte, error) {
		if n == 3 {
			f.sink.Open().Request(right)
		}
		return right, nil
	}}
	checkKinds(t, run(t, f, load.Config{Scenario: load.RPC}), []string{"answered_unasked"})
	f = &fake{answer: func(n int, right []byte) ([]byte, error) {
		if n == 3 {
			f.sink.Reset() // the serving side has not seen the first four
		}
		return right, nil
	}}
	checkKinds(t, run(t, f, load.Config{Scenario: load.RPC}), []string{"answered_elsewhere"})
}

// Dials that fail, that the other side does not know of, and connections the other side has without a dial.
func TestConnectMischief(t *testing.T) {
	checkKinds(t, run(t, &fake{dial: func(n int) error {
		if n == 5 {
			return errGone
		}
		return nil
	}}, load.Config{Scenario: load.Connect}), []string{"dial"})

	checkKinds(t, run(t, &fake{silentDials: true}, load.Config{Scenario: load.Connect}), []string{"unfinished_there"})

	var f *fake
	f = &fake{dial: func(n int) error {
		if n == 5 {
			f.sink.Open()
		}
		return nil
	}}
	checkKinds(t, run(t, f, load.Config{Scenario: load.Connect}), []string{"undialled"})
}

// What is held must answer; dead connections among them are counted.
func TestHoldAsks(t *testing.T) {
	r := run(t, &fake{answer: func(int, []byte) ([]byte, error) { return nil, errNever }}, load.Config{Scenario: load.Hold, Conns: 10})
	if r.Errors["no_answer"] != 10 {
		t.Errorf("errors %v, want no_answer 10", r.Errors)
	}
}

// A fan-out round that does not reach everybody ends the rounds and is counted.
func TestFanOutMisses(t *testing.T) {
	r := run(t, &fake{oneWay: func(n int, msg []byte, deliver func([]byte)) {
		if n != 2 {
			deliver(msg)
		}
	}}, load.Config{Scenario: load.FanOut, Conns: 4})
	if r.Errors["lost"] != 4 {
		t.Errorf("errors %v, want lost 4", r.Errors)
	}
}

// A driver that cannot dial has no figures, and no errors either.
func TestCannotDial(t *testing.T) {
	for _, scenario := range []string{load.Connect, load.Hold, load.RPC, load.OneWay} {
		r := run(t, &fake{dial: func(int) error { return fmt.Errorf("%w: to dial", load.ErrCannot) }}, load.Config{Scenario: scenario, Conns: 2})
		if !strings.Contains(r.Cannot, "to dial") || len(r.Errors) > 0 {
			t.Errorf("%s: cannot %q, errors %v", scenario, r.Cannot, r.Errors)
		}
	}
}

// A run that cannot begin says why.
func TestRunRefuses(t *testing.T) {
	b := newBench(&fake{dial: func(int) error { return errGone }}, load.Config{Scenario: load.RPC, Conns: 4})
	if _, err := b.Run(context.Background()); !errors.Is(err, errGone) {
		t.Errorf("dial fails: %v, want %v", err, errGone)
	}
	for _, scenario := range []string{load.OneWay, load.FanOut, load.Mixed} {
		b := newBench(&fake{}, load.Config{Scenario: scenario})
		b.Server = nil
		if _, err := b.Run(context.Background()); !errors.Is(err, load.ErrNoServer) {
			t.Errorf("%s without control: %v, want ErrNoServer", scenario, err)
		}
	}
	_, err := newBench(&fake{}, load.Config{Scenario: load.Hold, Conns: 1 << 30}).Run(context.Background())
	if !errors.Is(err, load.ErrConfig) || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("more connections than open files: %v, want ErrConfig and what to do", err)
	}
	if _, err := newBench(&fake{}, load.Config{Scenario: load.Storm}).Run(context.Background()); !errors.Is(err, load.ErrConfig) {
		t.Errorf("storm alone: %v, want ErrConfig", err)
	}
}

// A context that ends gives a result with what was measured until then.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fake{answer: func(n int, right []byte) ([]byte, error) {
		if n == 100 {
			cancel()
		}
		return right, nil
	}}
	b := newBench(f, load.Config{Scenario: load.RPC, Duration: time.Hour})
	r, err := b.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Failed() || r.Messages < 100 {
		t.Errorf("interrupted %v, errors %v, %d messages; want true, none, at least 100", r.Interrupted, r.Errors, r.Messages)
	}
}

// A stall is charged to everybody who had to wait for it: in an open loop latency counts from the planned
// time. Here one answer of one worker takes 60 ms, for which 120 requests are planned; a closed loop, and
// service time, see one slow request.
func TestNoCoordinatedOmission(t *testing.T) {
	stall := func(n int, right []byte) ([]byte, error) {
		if n == 20 {
			<-time.After(60 * time.Millisecond)
		}
		return right, nil
	}
	const tenth = 10_000.0 // 10 ms in us
	open := run(t, &fake{answer: stall}, load.Config{Scenario: load.RPC, Rate: 2000, Duration: 150 * time.Millisecond})
	if l := open.LatencyMicros; l.P90 < tenth {
		t.Errorf("open loop: latency %+v, want a p90 of 10 ms or more", l)
	}
	if s := open.ServiceMicros; s.P90 >= tenth || s.Max < 6*tenth {
		t.Errorf("open loop: service time %+v, want one slow request", s)
	}
	closed := run(t, &fake{answer: stall}, load.Config{Scenario: load.RPC, Duration: 150 * time.Millisecond})
	if l := closed.LatencyMicros; l.P90 >= tenth || l.Max < 6*tenth || closed.ServiceMicros != nil {
		t.Errorf("closed loop: latency %+v, service %v; want one slow request", l, closed.ServiceMicros)
	}
}

// A rate beyond what the driver takes is said: places in the timetable that nobody got to.
func TestOverload(t *testing.T) {
	r := run(t, &fake{answer: func(_ int, right []byte) ([]byte, error) {
		<-time.After(time.Millisecond)
		return right, nil
	}}, load.Config{Scenario: load.RPC, Rate: 100_000, Duration: 30 * time.Millisecond})
	if r.Unsent < 2000 || r.Unsent+r.Messages > 3001 || r.Late == 0 {
		t.Errorf("%d sent, %d late, %d unsent of 3000 or so", r.Messages, r.Late, r.Unsent)
	}
}

// storm takes the others' handshakes and errors into the result, and compares with the quiet part.
func TestStorm(t *testing.T) {
	r := virtually(t, func() *load.Bench {
		f := &fake{}
		b := newBench(f, load.Config{Scenario: load.Storm, Conns: 3})
		b.Beside = func(ctx context.Context, _ string, _ func()) (*load.Result, error) {
			for ; ctx.Err() == nil; time.Sleep(lag) {
				f.sink.Open().Close()
			}
			return &load.Result{Errors: map[string]uint64{"dial": 2}}, nil
		}
		return b
	})
	if r.HandshakesPerSecond <= 0 || r.Figures["quiet_p99_us"] <= 0 || r.Figures["p99_ratio"] <= 0 {
		t.Errorf("%v handshakes/s, figures %v", r.HandshakesPerSecond, r.Figures)
	}
	checkKinds(t, r, []string{"storm_dial"})

	b := newBench(&fake{}, load.Config{Scenario: load.Storm, Spoof: true})
	b.Beside = func(context.Context, string, func()) (*load.Result, error) { return nil, errGone }
	if r, err := b.Run(context.Background()); err != nil || r.Cannot == "" {
		t.Errorf("a driver that cannot make addresses up: %+v, %v", r, err)
	}

	b = newBench(&fake{}, load.Config{Scenario: load.Storm})
	b.Beside = func(context.Context, string, func()) (*load.Result, error) { return nil, errGone }
	if _, err := b.Run(context.Background()); !errors.Is(err, errGone) {
		t.Errorf("a storm that fails: %v, want %v", err, errGone)
	}
}

// A spoofing is a fake that can make addresses up.
type spoofing struct {
	*fake
	closed *bool
	none   bool // and begins nothing
}

func (s spoofing) Spoof(_ string, due func() int, tell func(load.Spoofed)) error {
	var all load.Spoofed
	for n := due(); n > 0; n = due() {
		if s.none {
			continue
		}
		all.Begun += uint64(n)
		all.Sent, all.Answered = 100*all.Begun, 3*all.Begun
		tell(all)
	}
	return nil
}

func (s spoofing) Nobody() (string, io.Closer, error) { return "nobody", s, nil }

func (s spoofing) Close() error {
	*s.closed = true
	return nil
}

// stormOf is a bench whose storms from made-up addresses are another bench of this process.
func stormOf(none bool) (b *load.Bench, to *[]string, closed *bool) {
	to, closed = new([]string), new(bool)
	here := spoofing{fake: &fake{}, closed: closed}
	b = newBench(here.fake, load.Config{Scenario: load.Storm, Spoof: true, SpoofRate: 50_000, Duration: 500 * time.Millisecond, Rate: 2000})
	b.Dialer = here
	b.Beside = func(ctx context.Context, addr string, began func()) (*load.Result, error) {
		*to = append(*to, addr)
		there := spoofing{fake: &fake{}, closed: new(bool), none: none}
		s := newBench(there.fake, load.Config{Scenario: load.Connect, Spoof: true, SpoofRate: 50_000, Duration: time.Minute})
		s.Dialer, s.Addr, s.Began, s.Server = there, addr, began, nil
		if none {
			began()
		}
		return s.Run(ctx)
	}
	b.Addr = "the server"
	return b, to, closed
}

// A storm from made-up addresses is measured in turns: nothing, to nobody, to the server, and backwards. What
// was begun and answered are sums of the turns'.
func TestSpoofed(t *testing.T) {
	var to *[]string
	var closed *bool
	r := virtually(t, func() (b *load.Bench) {
		b, to, closed = stormOf(false)
		return b
	})
	want := []string{"nobody", "the server", "the server", "nobody", "nobody", "the server", "the server", "nobody", "nobody", "the server"}
	if !slices.Equal(*to, want) || !*closed {
		t.Errorf("storms to %q, want %q; nobody is closed: %v", *to, want, *closed)
	}
	f := r.Figures
	for _, name := range []string{"quiet_p99_us", "control_p99_us", "storm_p99_us", "p99_ratio", "control_p99_ratio", "initiations", "control_initiations"} {
		if !(f[name] > 0) {
			t.Errorf("%s is %v", name, f[name])
		}
	}
	if r.Failed() || r.HandshakesPerSecond <= 0 || f["answered_share"] != 0.03 || r.Seconds < 0.49 || r.Messages == 0 {
		t.Errorf("errors %v, %v a second, share %v, %v s, %d answered", r.Errors, r.HandshakesPerSecond, f["answered_share"], r.Seconds, r.Messages)
	}
}

// A storm that begins nothing is no storm.
func TestSpoofedNothing(t *testing.T) {
	r := virtually(t, func() *load.Bench {
		b, _, _ := stormOf(true)
		b.Config.Duration = 20 * time.Millisecond
		return b
	})
	checkKinds(t, r, []string{"nothing_begun"})
}
