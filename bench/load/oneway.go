package load

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A sender sends the messages of one stream over one connection. It belongs to one goroutine at a time.
type sender struct {
	conn   Conn
	stream uint32
	sizes  sizes
	buf    []byte
	seq    uint64 // goes on from part to part

	sent uint64 // in this part
	late uint64
	err  error // the connection is of no use any more
}

func (b *Bench) senders(sizes sizes) []*sender {
	all := make([]*sender, len(b.conns))
	for i, c := range b.conns {
		all[i] = &sender{conn: c, stream: uint32(i), sizes: sizes, buf: make([]byte, sizes.largest())}
	}
	return all
}

// run sends until the part stops, then marks the end of the part. Without tickets it is a closed loop.
func (s *sender) run(p *part, pattern *Pattern, tickets <-chan ticket) {
	s.sent, s.late = 0, 0
	if tickets != nil {
		s.runPlanned(p, pattern, tickets)
	} else {
		s.runClosed(p, pattern)
	}
	if s.err == nil {
		s.mark(pattern)
	}
}

func (s *sender) runClosed(p *part, pattern *Pattern) {
	// How often to look up: seldom enough to cost nothing, often enough for a live display.
	tellEvery := uint64(max(64<<10/len(s.buf), 1))
	for !p.stopped.Load() && s.err == nil {
		s.send(pattern, 0)
		if s.sent%tellEvery == 0 {
			p.count.Add(tellEvery)
		}
	}
}

func (s *sender) runPlanned(p *part, pattern *Pattern, tickets <-chan ticket) {
	for !p.stopped.Load() && s.err == nil {
		t, ok, waited := next(tickets, s.conn.Flush)
		if s.err = waited; !ok || s.err != nil {
			return
		}
		s.sendPlanned(pattern, t)
		p.count.Add(uint64(t.n))
	}
}

// next takes a ticket. Before it waits for one it flushes, since there may be none for long.
func next(tickets <-chan ticket, flush func() error) (t ticket, ok bool, err error) {
	select {
	case t, ok = <-tickets:
		return t, ok, nil
	default:
	}
	if err := flush(); err != nil {
		return ticket{}, false, err
	}
	t, ok = <-tickets
	return t, ok, nil
}

func (s *sender) sendPlanned(pattern *Pattern, t ticket) {
	now := time.Now()
	if now.Sub(t.at) > lateAfter {
		s.late += uint64(t.n)
	}
	for i := 0; i < t.n && s.err == nil; i++ {
		s.send(pattern, newStamp(t.at.Add(time.Duration(i)*t.every), now))
	}
}

func (s *sender) send(pattern *Pattern, at stamp) {
	msg := s.buf[:s.sizes.pick(s.seq, s.stream)]
	pattern.Put(msg, Header{Seq: s.seq, Stamp: int64(at), Stream: s.stream})
	if s.err = s.conn.Send(msg); s.err == nil {
		s.seq++
		s.sent++
	}
}

// mark sends the message that ends a part: when it has arrived, so has everything before it.
func (s *sender) mark(pattern *Pattern) {
	pattern.Put(s.buf, Header{Seq: s.seq, Stream: s.stream, Mark: true})
	if s.err = s.conn.Send(s.buf); s.err == nil {
		s.seq++
		s.err = s.conn.Flush()
	}
}

// streamed is what came of a part of one-way messages.
type streamed struct {
	seconds float64 // until the last arrival
	end     [2]Usage
	arrived Snapshot
	sent    uint64
	planned uint64
	late    uint64
	unsent  uint64
}

// stream runs the senders for d, waits until everything has arrived, and adds what went wrong to the result.
func (b *Bench) stream(ctx context.Context, name string, d time.Duration, table timetable, senders []*sender) (out streamed, err error) {
	p := b.beginPlanned(ctx, name, d, table, nil)
	tickets := pace(p, table, len(senders), true)
	var workers sync.WaitGroup
	for _, s := range senders {
		workers.Go(func() { s.run(p, b.pattern, tickets) })
	}
	stuck := b.finish(p, &workers)
	if out, err = b.arrived(p.start, senders, stuck); err != nil {
		return out, err
	}
	out.planned, out.unsent = p.planned, p.unsent(out.sent)
	return out, b.Server.Reset()
}

// arrived waits for the marks and compares what was sent with what came.
func (b *Bench) arrived(start time.Time, senders []*sender, stuck bool) (out streamed, err error) {
	var marks uint64
	for _, s := range senders {
		out.sent += s.sent
		out.late += s.late
		if errors.Is(s.err, ErrCannot) {
			return out, s.err
		}
		if s.err != nil {
			b.result.fault("send", 1)
			continue
		}
		marks++
	}
	got, err := b.Server.Await(marks, b.patience())
	if err != nil {
		return out, err
	}
	out.seconds = time.Since(start).Seconds()
	if stuck || got < marks {
		b.result.fault("no_end", max(marks-got, 1))
	}
	if out.end, out.arrived, err = b.usage(); err != nil {
		return out, err
	}
	b.compare(out.sent, out.arrived.Counts)
	return out, nil
}

func (b *Bench) compare(sent uint64, c Counts) {
	for kind, n := range c.Errors {
		b.result.fault(kind, n)
	}
	switch {
	case len(c.Errors) > 0: // those say better what happened
	case c.Messages < sent:
		b.result.fault("lost", sent-c.Messages)
	case c.Messages > sent:
		b.result.fault("invented", c.Messages-sent)
	}
}

func (b *Bench) oneWay(ctx context.Context) error {
	if b.Server == nil {
		return ErrNoServer
	}
	if err := b.dial(ctx, b.Config.Conns); err != nil {
		return err
	}
	senders := b.senders(b.Config.sizes())
	if b.Config.Warmup > 0 {
		if _, err := b.stream(ctx, "warm-up", b.Config.Warmup, b.Config.warmTable(), senders); err != nil {
			return err
		}
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	out, err := b.stream(ctx, b.Config.Scenario, b.Config.Duration, b.Config.table(), senders)
	if err != nil {
		return err
	}
	b.keepStreamed(out)
	return b.sides(start, out.end)
}

// keepStreamed puts a part of one-way messages into the result.
func (b *Bench) keepStreamed(out streamed) {
	r := b.result
	r.Seconds, r.Planned, r.Late, r.Unsent = out.seconds, out.planned, out.late, out.unsent
	r.Messages = out.arrived.Counts.Messages
	r.BytesPerSecond = float64(out.arrived.Counts.Bytes) / out.seconds
	r.LatencyMicros, r.ServiceMicros = Summarize(out.arrived.Latency), Summarize(out.arrived.Service)
}
