package load

import (
	"context"
	"fmt"
	"time"
)

// mixed measures a bulk stream alone, then requests beside it on the same connections.
func (b *Bench) mixed(ctx context.Context) error {
	if b.Server == nil {
		return ErrNoServer
	}
	if err := b.dial(ctx, b.Config.Conns); err != nil {
		return err
	}
	senders, callers := b.senders(oneSize(b.Config.BulkSize)), b.callers(b.conns)
	if b.Config.Warmup > 0 {
		if _, err := b.stream(ctx, "warm-up", b.Config.Warmup, timetable{}, senders); err != nil {
			return err
		}
	}
	alone, err := b.stream(ctx, "bulk alone", b.Config.Duration, timetable{}, senders)
	if err != nil {
		return err
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}

	clocks := newClocks(len(callers))
	p := b.beginPlanned(ctx, Mixed, b.Config.Duration, b.Config.table(), clocks.latency)
	workers := b.startCallers(p, callers, clocks)
	for _, s := range senders {
		workers.Go(func() { s.run(p, b.pattern, nil) })
	}
	stuck := b.finish(p, workers)
	out := requested{seconds: time.Since(p.start).Seconds()}
	if err := b.answered(&out, p, callers, clocks, stuck); err != nil {
		return err
	}
	bulk, err := b.arrived(p.start, senders, stuck)
	if err != nil {
		return err
	}
	b.keep(out)
	aloneRate := float64(alone.arrived.Counts.Bytes) / alone.seconds
	bulkRate := float64(bulk.arrived.Counts.Bytes) / bulk.seconds
	b.result.figure("bulk_alone_bytes_per_second", aloneRate)
	b.result.figure("bulk_bytes_per_second", bulkRate)
	if aloneRate > 0 {
		b.result.figure("bulk_kept", bulkRate/aloneRate)
	}
	return b.sides(start, bulk.end)
}

// slow measures requests of many peers, then again while one more sends requests and reads no answers.
func (b *Bench) slow(ctx context.Context) error {
	stopper, ok := b.Dialer.(Stopper)
	if !ok {
		return ErrNoStopper
	}
	quiet, callers, err := b.quiet(ctx, b.Config.Conns)
	if err != nil {
		return err
	}
	var calm [2]Usage
	if err := b.settle(&calm); err != nil {
		return err
	}
	stopped, err := stopper.DialStopped(ctx, b.Addr, b.Config.Conns, b.Config.BulkSize)
	if err != nil {
		return fmt.Errorf("load: the stopped reader: %w", err)
	}
	defer stopped.Close()
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	b.Shared = true // the stopped reader's requests are answered too
	out, err := b.request(ctx, Slow, b.Config.Duration, b.Config.table(), callers)
	if err != nil {
		return err
	}
	b.keep(out)
	b.compareQuiet(quiet, out)
	if err := b.sides(start, out.end); err != nil {
		return err
	}
	b.kept(calm)
	return nil
}

// quiet opens connections and measures requests on them undisturbed.
func (b *Bench) quiet(ctx context.Context, conns int) (requested, []*caller, error) {
	if err := b.dial(ctx, conns); err != nil {
		return requested{}, nil, err
	}
	callers := b.callers(b.conns)
	if err := b.warmUp(ctx, callers); err != nil {
		return requested{}, nil, err
	}
	out, err := b.request(ctx, "quiet", b.Config.Duration, b.Config.table(), callers)
	return out, callers, err
}

func (b *Bench) compareQuiet(quiet, disturbed requested) {
	before, after := Summarize(quiet.latency), Summarize(disturbed.latency)
	if before == nil || after == nil {
		return
	}
	b.result.figure("quiet_p50_us", before.P50)
	b.result.figure("quiet_p99_us", before.P99)
	b.result.figure("p99_ratio", after.P99/before.P99)
}
