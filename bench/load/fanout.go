package load

import (
	"cmp"
	"context"
	"errors"
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
	senders := b.senders(b.Config.sizes())
	if b.Config.table().open() {
		return b.tellAll(ctx, senders)
	}
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
				if s.mark(b.pattern); errors.Is(s.err, ErrCannot) {
					err = s.err
					return
				}
				if s.err != nil {
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

// tellAll is fanOut by a timetable of rounds. Nobody waits for a round's end: every message carries its round's planned time,
// and its latency is that until its arrival.
func (b *Bench) tellAll(ctx context.Context, senders []*sender) error {
	if b.Config.Warmup > 0 {
		if _, err := b.tell(ctx, "warm-up", b.Config.Warmup, b.Config.warmTable(), senders); err != nil {
			return err
		}
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	out, err := b.tell(ctx, FanOut, b.Config.Duration, b.Config.table(), senders)
	if err != nil {
		return err
	}
	b.keepStreamed(out)
	b.result.figure("delivered", float64(out.arrived.Counts.Messages)/float64(max(out.sent, 1)))
	b.result.figure("repeated", float64(out.arrived.Counts.Errors[faultNames[faultRepeat]]))
	return b.sides(start, out.end)
}

// tell has one worker send to everybody at each place of the timetable, as a node does that has something to tell.
func (b *Bench) tell(ctx context.Context, name string, d time.Duration, table timetable, senders []*sender) (out streamed, err error) {
	p := b.beginPlanned(ctx, name, d, table, nil)
	tickets := pace(p, table, 1, false)
	for _, s := range senders {
		s.sent, s.late = 0, 0
	}
	var worker sync.WaitGroup
	var rounds uint64
	worker.Go(func() {
		for t := range tickets {
			if p.stopped.Load() {
				break
			}
			rounds++
			for _, s := range senders {
				if s.err == nil {
					s.sendPlanned(b.pattern, t)
					s.err = cmp.Or(s.err, s.conn.Flush())
				}
			}
			p.count.Add(uint64(len(senders)))
		}
		for _, s := range senders {
			if s.err == nil {
				s.mark(b.pattern)
			}
		}
	})
	stuck := b.finish(p, &worker)
	if out, err = b.arrived(p.start, senders, stuck); err != nil {
		return out, err
	}
	everybody := uint64(len(senders))
	out.planned, out.unsent = p.planned*everybody, p.unsent(rounds)*everybody
	return out, b.Server.Reset()
}
