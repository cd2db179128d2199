package load

import (
	"context"
	"errors"
	"sync/atomic"
)

// churn keeps Conns connections open and replaces them: a turn closes one, dials another and makes a request on it. After
// the last turn all are closed, and what the serving side then still holds of them is a leak.
func (b *Bench) churn(ctx context.Context) error {
	if err := b.dial(ctx, b.Config.Conns); err != nil {
		return err
	}
	callers := b.callers(b.conns)
	var number atomic.Int64
	number.Store(int64(b.Config.Conns) - 1)
	replace := func(worker int) bool { return b.replace(ctx, callers[worker], int(number.Add(1))) }
	if b.Config.Warmup > 0 {
		b.turns(ctx, "warm-up", b.Config.Warmup, b.Config.warmTable(), replace)
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	out, _ := b.turns(ctx, Churn, b.Config.Duration, b.Config.table(), replace)
	end, _, err := b.usage()
	if err != nil {
		return err
	}
	b.keepDialled(out)
	if err := b.sides(start, end); err != nil {
		return err
	}
	var wrong uint64
	for _, c := range callers {
		wrong += c.wrong
	}
	b.result.fault("wrong_answer", wrong)
	if b.Server == nil {
		return nil
	}
	return b.leaks()
}

// replace makes one turn with the connection of one worker.
func (b *Bench) replace(ctx context.Context, c *caller, number int) bool {
	if c.conn != nil {
		if c.conn.Close() != nil {
			return false
		}
		c.conn = nil
	}
	conn, err := b.Dialer.Dial(ctx, b.Addr, number)
	if err != nil {
		return false
	}
	c.conn = conn
	b.connsLock.Lock()
	b.conns[c.number] = conn
	b.connsLock.Unlock()
	return c.call(b.pattern)
}

// leaks closes everything and looks at what the serving side keeps of it.
func (b *Bench) leaks() error {
	b.closeAll()
	ok, err := b.eventually(func(c Counts) bool { return c.Closed >= c.Opened })
	if err != nil {
		return err
	}
	s, err := b.Server.Snapshot(true)
	if err != nil {
		return err
	}
	if !ok {
		b.result.fault("never_closed", s.Counts.Opened-s.Counts.Closed)
	}
	if s.Counts.Opened == 0 {
		return errors.New("load: the serving side has seen no connection")
	}
	b.result.figure("left_goroutines", float64(s.Usage.Goroutines-b.before[1].Goroutines))
	b.result.figure("left_heap_bytes", float64(s.Usage.HeapBytes)-float64(b.before[1].HeapBytes))
	b.result.figure("left_heap_bytes_per_connection", (float64(s.Usage.HeapBytes)-float64(b.before[1].HeapBytes))/float64(s.Counts.Opened))
	return nil
}
