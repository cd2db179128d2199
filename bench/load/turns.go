package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// turns are what workers do again and again, each turn timed.
type turns struct {
	part    *part
	clocks  clocks
	tickets <-chan ticket // nil: a closed loop
	turn    func(worker int) bool

	failed atomic.Uint64
	late   atomic.Uint64
}

// turns has Conns workers take turns, at their own pace or the timetable's. A turn that ctx cut short is neither a success nor
// a failure.
func (b *Bench) turns(ctx context.Context, name string, d time.Duration, table timetable, turn func(worker int) bool) (out dialled, failed uint64) {
	t := &turns{clocks: newClocks(b.Config.Conns), turn: turn}
	t.part = b.beginPlanned(ctx, name, d, table, t.clocks.latency)
	t.tickets = pace(t.part, table, b.Config.Conns, false)
	var workers sync.WaitGroup
	for i := range b.Config.Conns {
		workers.Go(func() { t.work(ctx, i) })
	}
	b.finish(t.part, &workers)
	out.seconds = time.Since(t.part.start).Seconds()
	out.latency, out.service = t.clocks.latency.Merged(), t.clocks.service.Merged()
	failed = t.failed.Load()
	out.late, out.planned, out.unsent = t.late.Load(), t.part.planned, t.part.unsent(uint64(out.latency.TotalCount())+failed)
	b.result.fault("dial", failed)
	return out, failed
}

func (t *turns) work(ctx context.Context, worker int) {
	for !t.part.stopped.Load() {
		planned, ok := t.next()
		if !ok {
			return
		}
		begun := time.Now()
		if t.tickets == nil {
			planned = begun
		} else if begun.Sub(planned) > lateAfter {
			t.late.Add(1)
		}
		switch {
		case t.turn(worker):
			t.record(worker, planned, begun)
		case ctx.Err() == nil:
			t.failed.Add(1)
		}
	}
}

// next waits for the time of the next turn; none in a closed loop.
func (t *turns) next() (planned time.Time, ok bool) {
	if t.tickets == nil {
		return time.Time{}, true
	}
	ticket, ok := <-t.tickets
	return ticket.at, ok
}

func (t *turns) record(worker int, planned, begun time.Time) {
	now := time.Now()
	t.clocks.latency.Record(worker, now.Sub(planned))
	if t.tickets != nil {
		t.clocks.service.Record(worker, now.Sub(begun))
	}
	t.part.count.Add(1)
}
