package load

import (
	"context"
	"sync"
	"time"
)

// fanOut sends one message to every connection and waits until it has arrived everywhere, round after round. A round's
// latency is from its first sending to its last arrival, as the serving side's word reaches us.
func (b *Bench) fanOut(ctx context.Context) error {
	if b.Server == nil {
		return ErrNoServer
	}
	if err := b.dial(ctx, b.Config.Conns); err != nil {
		return err
	}
	senders := b.senders(b.Config.Size)
	if b.Config.Warmup > 0 {
		if _, _, err := b.rounds(ctx, "warm-up", b.Config.Warmup, senders); err != nil {
			return err
		}
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	latency, seconds, err := b.rounds(ctx, FanOut, b.Config.Duration, senders)
	if err != nil {
		return err
	}
	end, s, err := b.usage()
	if err != nil {
		return err
	}
	r := b.result
	for kind, n := range s.Counts.Errors {
		r.fault(kind, n)
	}
	r.Seconds, r.Messages, r.LatencyMicros = seconds, s.Counts.Marks, Summarize(latency.Merged())
	r.BytesPerSecond = float64(r.Messages) * float64(b.Config.Size) / seconds
	return b.sides(start, end)
}

func (b *Bench) rounds(ctx context.Context, name string, d time.Duration, senders []*sender) (latency *Recorder, seconds float64, err error) {
	if err := b.Server.Reset(); err != nil {
		return nil, 0, err
	}
	latency = NewRecorder(1)
	p := b.begin(ctx, name, d)
	var worker sync.WaitGroup
	worker.Go(func() {
		for round := uint64(1); !p.stopped.Load(); round++ {
			begun := time.Now()
			for _, s := range senders {
				if s.mark(b.pattern); s.err != nil {
					b.result.fault("send", 1)
					return
				}
			}
			want := round * uint64(len(senders))
			got, awaitErr := b.Server.Await(want, b.patience())
			if awaitErr != nil || got < want {
				err = awaitErr
				b.result.fault("lost", want-min(got, want))
				return
			}
			latency.Record(0, time.Since(begun))
			p.count.Add(uint64(len(senders)))
		}
	})
	b.finish(p, &worker)
	return latency, time.Since(p.start).Seconds(), err
}
