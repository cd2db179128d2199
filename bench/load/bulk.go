package load

import (
	"context"
	"sync"
	"time"
)

// Directions of the stream scenario, as the dialling side sees them.
const (
	Up   = "up"   // one-way messages
	Down = "down" // answers to small requests, Inflight of them asked for at once on each connection
	Both = "both" // both at the same time, on the same connections
)

// Directions returns their names.
func Directions() []string { return []string{Up, Down, Both} }

// askSize is how long a request for a piece of a downward stream is.
const askSize = 64

// bulk moves as many bytes as it can, or pieces at a rate, in one direction or both.
func (b *Bench) bulk(ctx context.Context) error {
	if b.Config.Direction == Up {
		return b.oneWay(ctx)
	}
	if b.Server == nil && b.Config.Direction == Both {
		return ErrNoServer
	}
	if err := b.dial(ctx, b.Config.Conns); err != nil {
		return err
	}
	var senders []*sender
	if b.Config.Direction == Both {
		senders = b.senders(b.Config.sizes())
	}
	callers := b.askers()
	if b.Config.Warmup > 0 {
		if _, _, err := b.move(ctx, "warm-up", b.Config.Warmup, b.Config.warmTable(), callers, senders); err != nil {
			return err
		}
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	down, up, err := b.move(ctx, Stream, b.Config.Duration, b.Config.table(), callers, senders)
	if err != nil {
		return err
	}
	b.keep(down)
	downRate := float64(down.answered) * float64(b.Config.Size) / down.seconds
	b.result.figure("down_bytes_per_second", downRate)
	b.result.BytesPerSecond = downRate
	end := down.end
	if senders != nil {
		upRate := float64(up.arrived.Counts.Bytes) / up.seconds
		b.result.figure("up_bytes_per_second", upRate)
		b.result.BytesPerSecond += upRate
		b.result.Messages += up.arrived.Counts.Messages
		end = up.end
	}
	return b.sides(start, end)
}

// askers are callers of small requests with large answers.
func (b *Bench) askers() []*caller {
	ask := &Bench{Config: b.Config}
	ask.Config.Size, ask.Config.Sizes, ask.Config.AnswerSize = askSize, nil, b.Config.Size
	return ask.callers(b.conns)
}

// move runs both directions for d. The timetable is that of the answers; what goes up, if anything, goes as fast as it is taken.
func (b *Bench) move(ctx context.Context, name string, d time.Duration, table timetable, callers []*caller, senders []*sender) (down requested, up streamed, err error) {
	if b.Server != nil {
		if err := b.Server.Reset(); err != nil {
			return down, up, err
		}
	}
	clocks := newClocks(len(callers))
	p := b.beginPlanned(ctx, name, d, table, clocks.latency)
	workers := b.startCallers(p, callers, clocks)
	b.startSenders(p, workers, senders)
	stuck := b.finish(p, workers)
	down.seconds = time.Since(p.start).Seconds()
	if err = b.answered(&down, p, callers, clocks, stuck); err != nil || senders == nil {
		return down, up, err
	}
	up, err = b.arrived(p.start, senders, stuck)
	return down, up, err
}

func (b *Bench) startSenders(p *part, workers *sync.WaitGroup, senders []*sender) {
	for _, s := range senders {
		workers.Go(func() { s.run(p, b.pattern, nil) })
	}
}
