package load

import (
	"context"
	"runtime"
	"time"

	"github.com/carrier-p2p/carrier/bench/stats"
)

// spoof is connect from addresses that are not ours: what counts is what was begun.
func (b *Bench) spoof(ctx context.Context) error {
	spoofer, ok := b.Dialer.(Spoofer)
	if !ok {
		return ErrNoSpoofer
	}
	p := b.begin(ctx, Connect, b.Config.Duration)
	defer p.end()
	runtime.LockOSThread() // which sleeps in the kernel: see pace
	defer runtime.UnlockOSThread()
	d := drip{rate: b.Config.SpoofRate}
	var all Spoofed
	err := spoofer.Spoof(b.Addr, func() int { return d.wait(p) }, func(s Spoofed) {
		if all.Begun == 0 && b.Began != nil {
			b.Began()
		}
		all = s
		p.count.Store(s.Begun)
	})
	r := b.result
	r.Seconds = time.Since(p.start).Seconds()
	r.Messages, r.Connections = all.Begun, b.Config.Conns
	r.HandshakesPerSecond = float64(r.Messages) / r.Seconds
	r.figure("spoofed_sent_bytes", float64(all.Sent))
	r.figure("spoofed_answered_bytes", float64(all.Answered))
	return err
}

// A drip says how many made-up handshakes are due: a few at a time, evenly, as they would come from very many who know nothing of
// each other. What could not be begun in time, since the machine was busy, is not made up for: that would be a burst.
type drip struct {
	rate  float64 // a second; 0: always dripBatch
	begun float64 // or forgiven
}

// batch is how many are begun at once.
func (d *drip) batch() float64 {
	return float64(int(min(max(d.rate*dripEvery.Seconds(), 1), dripBatch)))
}

// take returns how many are due at a time since the beginning; if none are, how long it is until some will be.
func (d *drip) take(now time.Duration) (n int, wait time.Duration) {
	if d.rate == 0 {
		return dripBatch, 0
	}
	batch, due := d.batch(), d.rate*now.Seconds()
	d.begun = max(d.begun, due-dripBehind*batch)
	if lacks := d.begun + batch - due; lacks > 0 {
		return 0, time.Duration(lacks / d.rate * float64(time.Second))
	}
	d.begun += batch
	return int(batch), 0
}

// wait returns how many are due when some are; 0 when the part has stopped.
func (d *drip) wait(p *part) int {
	for !p.stopped.Load() {
		n, wait := d.take(time.Since(p.start))
		if n > 0 {
			return n
		}
		p.sleep(min(wait, stopLateness))
	}
	return 0
}

// A phase is one of the three things that happen in turns. It belongs to the goroutine of the run.
type phase struct {
	name string
	addr string // where made-up handshakes go; "": there are none
	out  requested
	p99s []float64 // of each turn, in microseconds; 0: nothing was measured in it
	used [2]Usage  // of both sides, in this phase: processor time and allocations
	Spoofed
	seconds float64 // in which they were begun
}

// spoofed measures requests of one established peer in turns of three kinds: undisturbed, while made-up handshakes go to where
// nobody reads, and while they go to the server. The second is what such datagrams cost this machine; what the third costs beyond
// it is the server's. They take short turns, so that what else the machine does meets all alike.
func (b *Bench) spoofed(ctx context.Context) error {
	spoofer, ok := b.Dialer.(Spoofer)
	if !ok {
		return ErrNoSpoofer
	}
	addr, nobody, err := spoofer.Nobody()
	if err != nil {
		return err
	}
	defer nobody.Close()
	if err := b.dial(ctx, 1); err != nil {
		return err
	}
	callers := b.callers(b.conns)
	if err := b.warmUp(ctx, callers); err != nil {
		return err
	}
	var calm [2]Usage
	if err := b.settle(&calm); err != nil {
		return err
	}
	quiet, control, storm := &phase{name: "quiet"}, &phase{name: "control", addr: addr}, &phase{name: Storm, addr: b.Addr}
	if err := b.inTurns(ctx, callers, quiet, control, storm); err != nil {
		return err
	}
	b.keep(storm.out)
	b.comparePhases(quiet, control, storm)
	if err := b.sides([2]Usage{}, storm.used); err != nil {
		return err
	}
	b.kept(calm)
	return nil
}

// p99To is the median of the p99s of p's turns, each divided by that of other's turn in the same round; 0 if there are none.
func (p *phase) p99To(other *phase) float64 {
	var ratios []float64
	for i := range min(len(p.p99s), len(other.p99s)) {
		if p.p99s[i] > 0 && other.p99s[i] > 0 {
			ratios = append(ratios, p.p99s[i]/other.p99s[i])
		}
	}
	return stats.Median(ratios)
}

// inTurns runs the phases until each has had the run's duration: forwards, then backwards, so that none
// always comes after the same.
func (b *Bench) inTurns(ctx context.Context, callers []*caller, phases ...*phase) error {
	turns := max(int(b.Config.Duration/spoofTurn), spoofTurns)
	if len(b.Config.Stages) > 0 {
		turns = 1 // a timetable is gone through from end to end
	}
	var busy Processors
	for turn := range turns {
		for i := range phases {
			at := i
			if turn%2 == 1 {
				at = len(phases) - 1 - i
			}
			if err := b.turn(ctx, phases[at], callers, b.Config.Duration/time.Duration(turns)); err != nil {
				return err
			}
			if turn == 0 && i == 0 {
				busy = b.busy
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	b.busy, b.beside = busy, besideUnknown // of all turns, in which others of ours took part
	return nil
}

// turn is a phase once.
func (b *Bench) turn(ctx context.Context, of *phase, callers []*caller, d time.Duration) error {
	var storm *storming
	if of.addr != "" {
		storm = b.startStorm(ctx, of.addr)
		defer func() { _, _ = storm.end() }()
		select {
		case <-storm.began:
		case <-storm.over:
		}
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	out, err := b.request(ctx, of.name, d, b.Config.table(), callers)
	if err != nil {
		return err
	}
	of.p99s = append(of.p99s, float64(out.latency.ValueAtPercentile(99))/1e3)
	of.out.add(out)
	for i := range of.used {
		of.used[i].CPUSeconds += out.end[i].CPUSeconds - start[i].CPUSeconds
		of.used[i].Mallocs += out.end[i].Mallocs - start[i].Mallocs
	}
	b.result.fault("spoofed_and_let_in", out.counts.Opened)
	if storm == nil {
		return nil
	}
	others, err := storm.end()
	if err != nil {
		return err
	}
	if others.Messages == 0 && ctx.Err() == nil {
		b.result.fault("nothing_begun", 1)
	}
	b.stormFaults(others)
	of.Begun += others.Messages
	of.Sent += uint64(others.Figures["spoofed_sent_bytes"])
	of.Answered += uint64(others.Figures["spoofed_answered_bytes"])
	of.seconds += others.Seconds
	return nil
}

// comparePhases says what made-up handshakes cost the peer, beside what as many datagrams to nobody do. p99s
// are the medians of the turns', and ratios those of the rounds': so what else the machine does in one of
// them is not in the figure.
func (b *Bench) comparePhases(quiet, control, storm *phase) {
	r := b.result
	r.figure("quiet_p99_us", stats.Median(quiet.p99s))
	r.figure("control_p99_us", stats.Median(control.p99s))
	r.figure("storm_p99_us", stats.Median(storm.p99s))
	r.figure("p99_ratio", storm.p99To(quiet))
	r.figure("control_p99_ratio", storm.p99To(control))
	if before := Summarize(quiet.out.latency); before != nil {
		r.figure("quiet_p50_us", before.P50)
	}
	r.figure("initiations", float64(storm.Begun))
	r.figure("control_initiations", float64(control.Begun))
	if storm.Begun == 0 {
		return
	}
	r.HandshakesPerSecond = float64(storm.Begun) / storm.seconds
	r.figure("answered_share", float64(storm.Answered)/float64(storm.Sent))
	if b.Server != nil {
		cost := storm.used[1].CPUSeconds - control.used[1].CPUSeconds // the requests are the same
		r.figure("server_cpu_seconds_per_million_initiations", cost/float64(storm.Begun)*1e6)
	}
}

// kept says how much more the serving side holds than when it was calm.
func (b *Bench) kept(calm [2]Usage) {
	if b.Server != nil {
		b.result.figure("server_heap_growth_bytes", float64(b.result.Server.HeapBytes)-float64(calm[1].HeapBytes))
		b.result.figure("server_rss_growth_bytes", float64(b.result.Server.RSSBytes)-float64(calm[1].RSSBytes))
	}
}
