package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoServer is returned by scenarios that need the serving side's word when there is no Control.
var ErrNoServer = errors.New("load: the serving side cannot be asked what arrived")

// ErrNoSpoofer is why a driver has no figures in a storm from made-up addresses.
var ErrNoSpoofer = fmt.Errorf("%w: to begin handshakes from addresses that are not its own", ErrCannot)

// ErrNoStopper is why a driver has no figures in the slow scenario.
var ErrNoStopper = fmt.Errorf("%w: to play a stopped reader", ErrCannot)

// A Bench is one run of one scenario. Set the fields, then call Run once.
type Bench struct {
	Config Config
	Driver string // its name, for the result
	Dialer Dialer
	Addr   string  // where the serving side is
	Server Control // nil: it cannot be asked; then oneway, fanout and mixed cannot run

	// Shared says that others make requests of the same serving side, so that its sum cannot be held against ours.
	Shared bool

	// Beside runs a storm of handshakes against addr, from another process so that its arithmetic does not hold up the requests
	// measured here, until ctx ends. A storm from made-up addresses calls began when it has begun. Only storm needs it.
	Beside func(ctx context.Context, addr string, began func()) (*Result, error)

	// Began, if set, is called once when a storm from made-up addresses has begun.
	Began func()

	// Fleet holds so many connections to Addr from another process until ctx ends, then asks on some of them. Only hold with
	// Dialers needs it.
	Fleet func(ctx context.Context, conns int) (*Result, error)

	// Watch, if set, is told now and then how far the run is. It is called from a goroutine of the run, one call at a time.
	Watch      func(Tick)
	WatchEvery time.Duration // 0: 1 s

	// Patience is how long to wait for what should have happened: the last message to arrive, the last answer. 0: 10 s.
	Patience time.Duration

	pattern *Pattern
	result  *Result
	conns   []Conn
	fleet   *fleet   // nil: the connections are this process's
	before  [2]Usage // settled, before the first connection: ours, the server's
	began   time.Time
	busy    Processors // when the measured part began
	beside  float64    // processor seconds of a third process of ours since then; besideUnknown

	sleep func(time.Duration) // of whoever keeps a timetable; nil: sleepPrecisely

	connsLock sync.Mutex // around conns where connections are replaced while others may close them all
}

// A Tick is a glance at a run.
type Tick struct {
	Part     string        // "warm-up", "dialling", or what is measured
	Elapsed  time.Duration // since the part began
	Messages uint64        // sent or answered in this part so far
}

// Run runs the scenario. When ctx ends early the result covers what was measured until then.
func (b *Bench) Run(ctx context.Context) (*Result, error) {
	c, err := b.Config.WithDefaults()
	if err != nil {
		return nil, err
	}
	if s, ok := b.Dialer.(Sparing); !ok || !s.Sparing() {
		if err := enoughDescriptors(c.Conns); err != nil {
			return nil, err
		}
	}
	b.Config, b.pattern = c, NewPattern()
	b.result = &Result{Scenario: c.Scenario, Driver: b.Driver, Config: c, Errors: map[string]uint64{}}
	b.began = time.Now()
	defer b.closeAll()
	if err := b.settle(&b.before); err != nil {
		return nil, err
	}
	run := map[string]func(context.Context) error{
		OneWay: b.oneWay, RPC: b.rpc, Connect: b.connect, Hold: b.hold,
		FanOut: b.fanOut, Mixed: b.mixed, Storm: b.storm, Slow: b.slow,
		Stream: b.bulk, Churn: b.churn, Soak: b.rpc,
	}[c.Scenario]
	if err := run(ctx); errors.Is(err, ErrCannot) {
		return &Result{Scenario: c.Scenario, Driver: b.Driver, Config: c, Errors: map[string]uint64{}, Cannot: strings.ReplaceAll(err.Error(), "load: ", "")}, nil
	} else if err != nil {
		return nil, err
	}
	b.result.Interrupted = ctx.Err() != nil
	b.result.derive()
	if c.Scenario == Soak {
		b.result.Drifts = drifts(&b.result.Series)
	}
	return b.result, nil
}

// dial opens n connections, some at once. All must succeed: a run with fewer than asked for would be another run.
func (b *Bench) dial(ctx context.Context, n int) error {
	b.conns = make([]Conn, n)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := b.begin(ctx, "dialling", 0)
	defer p.end()
	var next atomic.Int64
	var dialling sync.WaitGroup
	pace := newDialPace()
	for range min(n, dialsLimit) {
		dialling.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && pace.begin(ctx); i = int(next.Add(1)) - 1 {
				began := time.Now()
				conn, err := b.Dialer.Dial(ctx, b.Addr, i)
				pace.end(began, time.Now())
				if err != nil {
					cancel(fmt.Errorf("load: connection %d of %d: %w", i+1, n, err))
					return
				}
				b.conns[i] = conn
				p.count.Add(1)
			}
		})
	}
	dialling.Wait()
	b.result.Connections = int(p.count.Load())
	return context.Cause(ctx)
}

func (b *Bench) closeAll() {
	b.connsLock.Lock()
	defer b.connsLock.Unlock()
	for _, c := range b.conns {
		if c != nil {
			_ = c.Close() // the run is over; a connection that broke earlier has been counted
		}
	}
}

// settle reads both sides' memory as it is without garbage.
func (b *Bench) settle(into *[2]Usage) error {
	into[0] = ReadUsage(true)
	if b.Server == nil {
		return nil
	}
	s, err := b.Server.Snapshot(true)
	into[1] = s.Usage
	return err
}

// usage reads both sides without disturbing them.
func (b *Bench) usage() (u [2]Usage, s Snapshot, err error) {
	if b.Server != nil {
		if s, err = b.Server.Snapshot(false); err != nil {
			return u, s, err
		}
	}
	return [2]Usage{ReadUsage(false), s.Usage}, s, nil
}

// sides fills in what both processes used between start and end.
func (b *Bench) sides(start, end [2]Usage) error {
	r := b.result
	busy := ReadProcessors() // before settling, which is work
	var after [2]Usage
	if err := b.settle(&after); err != nil {
		return err
	}
	r.Client = sideOf(b.before[0], start[0], end[0], after[0], r.Messages, r.Connections)
	if b.Server != nil {
		s := sideOf(b.before[1], start[1], end[1], after[1], r.Messages, r.Connections)
		r.Server = &s
	}
	r.machine(b.busy, busy, b.beside)
	return nil
}

// A part is a stretch of a run: the warm-up, or what is measured.
type part struct {
	stopped  atomic.Bool   // workers look here between messages
	stop     chan struct{} // and here while they wait
	count    atomic.Uint64 // for whoever watches
	start    time.Time
	lasted   time.Duration // set before stop is closed
	table    timetable
	planned  uint64    // places of the timetable; set by the pacer, read after end
	latency  *Recorder // what windows are taken of; nil: the serving side's
	sleep    func(time.Duration)
	finished chan struct{}
	once     sync.Once
	watching sync.WaitGroup
}

// begin starts a part that stops by itself when d has passed (0: never) or ctx ends.
func (b *Bench) begin(ctx context.Context, name string, d time.Duration) *part {
	return b.beginPlanned(ctx, name, d, timetable{}, nil)
}

// beginPlanned starts a part with a timetable whose latencies go to a Recorder.
func (b *Bench) beginPlanned(ctx context.Context, name string, d time.Duration, table timetable, latency *Recorder) *part {
	p := &part{stop: make(chan struct{}), finished: make(chan struct{}), start: time.Now(), table: table, latency: latency, sleep: b.sleep}
	if p.sleep == nil {
		p.sleep = sleepPrecisely
	}
	b.busy = ReadProcessors()
	p.watching.Go(func() {
		var over <-chan time.Time
		if d > 0 {
			timer := time.NewTimer(d)
			defer timer.Stop()
			over = timer.C
		}
		select {
		case <-over:
		case <-ctx.Done():
		case <-p.finished:
		}
		p.lasted = time.Since(p.start)
		p.stopped.Store(true)
		close(p.stop)
	})
	if b.Watch != nil {
		p.watching.Go(func() { b.watch(p, name) })
	}
	p.watching.Go(func() { b.observe(p, name) })
	return p
}

func (b *Bench) watch(p *part, name string) {
	ticker := time.NewTicker(cmp.Or(b.WatchEvery, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.Watch(Tick{Part: name, Elapsed: time.Since(p.start), Messages: p.count.Load()})
		case <-p.finished:
			return
		}
	}
}

// end stops the part and returns when nobody watches it any more.
func (p *part) end() {
	p.once.Do(func() { close(p.finished) })
	p.watching.Wait()
}

// finish waits for the part's workers and ends it. Workers that do not come back after the stop, since an answer never
// came, are freed by closing the connections; it reports whether that was needed.
func (b *Bench) finish(p *part, workers *sync.WaitGroup) (stuck bool) {
	defer p.end()
	back := make(chan struct{})
	go func() {
		workers.Wait()
		close(back)
	}()
	select {
	case <-back: // all of them failed, or had nothing to wait for
		return false
	case <-p.stop:
	}
	timer := time.NewTimer(b.patience())
	defer timer.Stop()
	select {
	case <-back:
		return false
	case <-timer.C:
		b.closeAll()
		<-back
		return true
	}
}

func (b *Bench) patience() time.Duration { return cmp.Or(b.Patience, waitLimit) }

// eventually asks the serving side until ok says yes, and reports whether it did in time.
func (b *Bench) eventually(ok func(Counts) bool) (bool, error) {
	for deadline := time.Now().Add(b.patience()); ; time.Sleep(time.Millisecond) {
		s, err := b.Server.Snapshot(false)
		if err != nil || ok(s.Counts) {
			return err == nil, err
		}
		if time.Now().After(deadline) {
			return false, nil
		}
	}
}

// sample returns up to n different connections, at random.
func (b *Bench) sample(n int) []Conn {
	picked := make([]Conn, 0, n)
	for _, i := range rand.Perm(len(b.conns))[:min(n, len(b.conns))] {
		picked = append(picked, b.conns[i])
	}
	return picked
}
