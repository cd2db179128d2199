package load

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// connect dials and closes, Conns at a time, or at a rate with at most Conns at a time. A handshake counts when both ends say so.
func (b *Bench) connect(ctx context.Context) error {
	if b.Config.Spoof {
		return b.spoof(ctx)
	}
	var number atomic.Int64
	if b.Config.Warmup > 0 {
		if _, err := b.handshakes(ctx, "warm-up", b.Config.Warmup, b.Config.warmTable(), &number); err != nil {
			return err
		}
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	out, err := b.handshakes(ctx, Connect, b.Config.Duration, b.Config.table(), &number)
	if err != nil {
		return err
	}
	end, _, err := b.usage()
	if err != nil {
		return err
	}
	b.keepDialled(out)
	b.result.Connections = b.Config.Conns
	return b.sides(start, end)
}

// dialled is what came of a part of dials.
type dialled struct {
	seconds float64
	latency *hdrhistogram.Histogram
	service *hdrhistogram.Histogram // empty in a closed loop
	planned uint64
	late    uint64
	unsent  uint64
}

func (b *Bench) keepDialled(out dialled) {
	r := b.result
	r.Seconds, r.Messages = out.seconds, uint64(out.latency.TotalCount())
	r.Planned, r.Late, r.Unsent = out.planned, out.late, out.unsent
	r.HandshakesPerSecond = float64(r.Messages) / out.seconds
	r.LatencyMicros, r.ServiceMicros = Summarize(out.latency), Summarize(out.service)
}

func (b *Bench) handshakes(ctx context.Context, name string, d time.Duration, table timetable, number *atomic.Int64) (out dialled, err error) {
	if b.Server != nil {
		if err := b.Server.Reset(); err != nil {
			return out, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, failed := b.turns(ctx, name, d, table, func(_ int) bool {
		conn, err := b.Dialer.Dial(ctx, b.Addr, int(number.Add(1)))
		if errors.Is(err, ErrCannot) {
			cancel(err)
		}
		return err == nil && conn.Close() == nil
	})
	if err := context.Cause(ctx); errors.Is(err, ErrCannot) {
		return out, err
	}
	return out, b.finishedThere(uint64(out.latency.TotalCount()), failed)
}

// finishedThere waits until the serving side has finished as many handshakes as this side, and counts the difference.
// Dials that failed here may have succeeded there, so that it may have more by their number.
func (b *Bench) finishedThere(dialled, failed uint64) error {
	if b.Server == nil {
		return nil
	}
	var there uint64
	ok, err := b.eventually(func(c Counts) bool { there = c.Opened; return there >= dialled })
	if err != nil {
		return err
	}
	if !ok {
		b.result.fault("unfinished_there", dialled-there)
	}
	b.result.fault("undialled", max(there, dialled+failed)-(dialled+failed))
	return nil
}
