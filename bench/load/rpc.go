package load

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A caller has one request under way at a time. It belongs to one goroutine.
type caller struct {
	conn   Conn
	number int
	sizes  sizes
	answer int // bytes of the answer to ask for; 0: the request's own
	buf    []byte
	into   []byte
	seq    uint64

	answered uint64 // in this part, with the right bytes
	bytes    uint64 // of these requests
	late     uint64
	wrong    uint64
	err      error // the connection is of no use any more
}

func (b *Bench) callers(conns []Conn) []*caller {
	var all []*caller
	sizes := b.Config.sizes()
	for _, c := range conns {
		for range b.Config.Inflight {
			all = append(all, &caller{conn: c, number: len(all), sizes: sizes, answer: b.Config.AnswerSize, buf: make([]byte, sizes.largest())})
		}
	}
	return all
}

// clocks are the two ways to see a request's time.
type clocks struct {
	latency *Recorder // from when it should have been sent
	service *Recorder // from when it was
}

func newClocks(workers int) clocks { return clocks{NewRecorder(workers), NewRecorder(workers)} }

// run makes requests until the part stops. Without tickets it is a closed loop.
func (c *caller) run(p *part, pattern *Pattern, clocks clocks, tickets <-chan ticket) {
	c.answered, c.bytes, c.late, c.wrong = 0, 0, 0, 0
	if tickets != nil {
		c.runPlanned(p, pattern, clocks, tickets)
		return
	}
	for begun := time.Now(); !p.stopped.Load(); {
		if !c.call(pattern) {
			return
		}
		now := time.Now() // the end of one is the beginning of the next: one look at the clock for each
		clocks.latency.Record(c.number, now.Sub(begun))
		begun = now
		p.count.Add(1)
	}
}

func (c *caller) runPlanned(p *part, pattern *Pattern, clocks clocks, tickets <-chan ticket) {
	for t := range tickets {
		begun := time.Now()
		if p.stopped.Load() {
			return
		}
		if begun.Sub(t.at) > lateAfter {
			c.late++
		}
		if !c.call(pattern) {
			return
		}
		now := time.Now()
		clocks.latency.Record(c.number, now.Sub(t.at))
		clocks.service.Record(c.number, now.Sub(begun))
		p.count.Add(1)
	}
}

// call makes one request and checks that what it asked for comes back. It reports false when the connection has failed.
func (c *caller) call(pattern *Pattern) bool {
	req := c.buf[:c.sizes.pick(c.seq, uint32(c.number))]
	pattern.Put(req, Header{Seq: c.seq, Stream: uint32(c.number), Stamp: int64(c.answer)})
	c.into, c.err = c.conn.Call(req, c.into)
	if c.err != nil {
		return false
	}
	want := req
	if c.answer > 0 {
		want = pattern.Answer(c.seq, c.answer)
	}
	c.seq++
	if bytes.Equal(c.into, want) {
		c.answered++
		c.bytes += uint64(len(req))
	} else {
		c.wrong++
	}
	return true
}

// requested is what came of a part of requests.
type requested struct {
	seconds  float64
	end      [2]Usage
	counts   Counts
	answered uint64
	bytes    uint64 // of requests
	planned  uint64
	late     uint64
	unsent   uint64
	latency  *hdrhistogram.Histogram
	service  *hdrhistogram.Histogram // empty in a closed loop
}

// add adds another part of the same kind.
func (r *requested) add(one requested) {
	if r.latency != nil {
		one.latency.Merge(r.latency)
		one.service.Merge(r.service)
	}
	one.seconds += r.seconds
	one.answered += r.answered
	one.bytes += r.bytes
	one.planned += r.planned
	one.late += r.late
	one.unsent += r.unsent
	*r = one
}

// request runs the callers for d and adds what went wrong to the result.
func (b *Bench) request(ctx context.Context, name string, d time.Duration, table timetable, callers []*caller) (out requested, err error) {
	clocks := newClocks(len(callers))
	p := b.beginPlanned(ctx, name, d, table, clocks.latency)
	workers := b.startCallers(p, callers, clocks)
	stuck := b.finish(p, workers)
	out.seconds = time.Since(p.start).Seconds()
	err = b.answered(&out, p, callers, clocks, stuck)
	if err != nil || b.Server == nil {
		return out, err
	}
	return out, b.Server.Reset()
}

func (b *Bench) startCallers(p *part, callers []*caller, clocks clocks) *sync.WaitGroup {
	tickets := pace(p, p.table, len(callers), false)
	var workers sync.WaitGroup
	for _, c := range callers {
		workers.Go(func() { c.run(p, b.pattern, clocks, tickets) })
	}
	return &workers
}

// answered adds up what the callers saw and compares it with what the serving side answered.
func (b *Bench) answered(out *requested, p *part, callers []*caller, clocks clocks, stuck bool) error {
	var wrong, broken uint64
	for _, c := range callers {
		out.answered += c.answered
		out.bytes += c.bytes
		out.late += c.late
		wrong += c.wrong
		if errors.Is(c.err, ErrCannot) {
			return c.err
		}
		if c.err != nil {
			broken++
		}
	}
	out.planned, out.unsent = p.planned, p.unsent(out.answered+wrong)
	out.latency, out.service = clocks.latency.Merged(), clocks.service.Merged()
	b.result.fault("wrong_answer", wrong)
	if stuck {
		b.result.fault("no_answer", broken)
	} else {
		b.result.fault("call", broken)
	}
	var s Snapshot
	var err error
	if out.end, s, err = b.usage(); err != nil || b.Server == nil {
		return err
	}
	out.counts = s.Counts
	if asked := out.answered + wrong; broken == 0 && !b.Shared { // a broken call may have been answered or not
		b.result.fault("answered_unasked", max(s.Counts.Requests, asked)-asked)
		b.result.fault("answered_elsewhere", asked-min(s.Counts.Requests, asked))
	}
	return nil
}

// warmUp runs the callers without keeping figures.
func (b *Bench) warmUp(ctx context.Context, callers []*caller) error {
	if b.Server != nil {
		if err := b.Server.Reset(); err != nil {
			return err
		}
	}
	if b.Config.Warmup <= 0 {
		return nil
	}
	_, err := b.request(ctx, "warm-up", b.Config.Warmup, b.Config.warmTable(), callers)
	return err
}

// keep puts a part of requests into the result as its messages and latencies.
func (b *Bench) keep(out requested) {
	r := b.result
	r.Seconds, r.Messages, r.Planned, r.Late, r.Unsent = out.seconds, out.answered, out.planned, out.late, out.unsent
	r.BytesPerSecond = float64(out.bytes) / out.seconds
	r.LatencyMicros, r.ServiceMicros = Summarize(out.latency), Summarize(out.service)
}

func (b *Bench) rpc(ctx context.Context) error {
	if err := b.dial(ctx, b.Config.Conns); err != nil {
		return err
	}
	callers := b.callers(b.conns)
	if err := b.warmUp(ctx, callers); err != nil {
		return err
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	out, err := b.request(ctx, b.Config.Scenario, b.Config.Duration, b.Config.table(), callers)
	if err != nil {
		return err
	}
	b.keep(out)
	if answer := b.Config.AnswerSize; answer > 0 {
		b.result.figure("answer_bytes_per_second", float64(out.answered)*float64(answer)/out.seconds)
	}
	return b.sides(start, out.end)
}
