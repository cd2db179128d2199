package load

import (
	"context"
	"errors"
	"sync"
	"time"
)

// hold opens connections, leaves them alone, and reads what they cost the serving side. With Dialers they are other
// processes' connections.
func (b *Bench) hold(ctx context.Context) error {
	begun := time.Now()
	probe, err := b.gather(ctx)
	defer b.fleet.recall()
	if err != nil {
		return err
	}
	b.result.HandshakesPerSecond = float64(b.Config.Conns) / time.Since(begun).Seconds()
	if b.Config.Warmup > 0 { // what a connection keeps at hand for its first seconds goes
		b.rest(ctx, "warm-up", b.Config.Warmup)
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	p := b.rest(ctx, Hold, b.Config.Duration)
	b.result.Seconds = time.Since(p.start).Seconds()
	end, s, err := b.usage()
	if err != nil {
		return err
	}
	b.result.fault("closed_early", s.Counts.Closed)
	if b.Server != nil {
		b.result.figure("server_idle_cpu_percent", 100*(end[1].CPUSeconds-start[1].CPUSeconds)/b.result.Seconds)
	}
	if err := b.sides(start, end); err != nil {
		return err
	}
	return probe(ctx)
}

// gather opens the connections of hold. probe makes one request on some of them: what does not answer was not held.
func (b *Bench) gather(ctx context.Context) (probe func(context.Context) error, err error) {
	if b.Config.Dialers > 0 {
		b.fleet, err = b.launch(ctx)
		if err != nil {
			return nil, err
		}
		return b.fleet.probe, b.fleet.wait()
	}
	if err := b.dial(ctx, b.Config.Conns); err != nil {
		return nil, err
	}
	if b.Server == nil {
		return b.probe, nil
	}
	ok, err := b.eventually(func(c Counts) bool { return c.Opened-c.Closed >= uint64(b.Config.Conns) })
	if err == nil && !ok {
		err = errors.New("load: the serving side has fewer connections than were dialled")
	}
	return b.probe, err
}

// rest does nothing for a while.
func (b *Bench) rest(ctx context.Context, name string, d time.Duration) *part {
	p := b.begin(ctx, name, d)
	<-p.stop
	p.end()
	return p
}

// probe makes one request on some of the connections: what does not answer was not held.
func (b *Bench) probe(ctx context.Context) error {
	conns := b.sample(probeLimit)
	one := &Bench{Config: b.Config, pattern: b.pattern}
	callers := one.callers(conns)
	p := b.begin(ctx, "asking", 0)
	var workers sync.WaitGroup
	for _, c := range callers {
		workers.Go(func() { c.call(b.pattern) })
	}
	waiting := time.AfterFunc(b.patience(), b.closeAll)
	workers.Wait()
	waiting.Stop()
	p.end()
	for _, c := range callers {
		b.result.Messages += c.answered
		if c.answered == 0 {
			b.result.fault("no_answer", 1)
		}
	}
	b.result.figure("asked", float64(len(callers)))
	return nil
}
