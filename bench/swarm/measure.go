package swarm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/bench/swarm/host"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/sim"
)

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lookEvery is how often the nodes' tables are compared with the truth, which costs a hundredth of a core.
const lookEvery = 50 * time.Millisecond

// exactly waits until every honest node knows its nearest exactly, and returns what was seen last.
func (s *swarm) exactly(ctx context.Context, phase string) (seen host.Seen, err error) {
	for began := time.Now(); ; {
		seen = host.Seen{}
		for _, x := range s.up() {
			var one host.Seen
			if err := x.call(ctx, "Look", host.None(false), &one); err != nil {
				return seen, err
			}
			seen.Honest, seen.Exact, seen.Connections = seen.Honest+one.Honest, seen.Exact+one.Exact, seen.Connections+one.Connections
		}
		s.cfg.Progress(phase, seen.Exact, seen.Honest)
		if seen.Exact == seen.Honest || time.Since(began) > s.cfg.Patience {
			return seen, nil
		}
		if err := pause(ctx, lookEvery); err != nil {
			return seen, err
		}
	}
}

// converge waits until everybody knows each other.
func (s *swarm) converge(ctx context.Context, r *Result) error {
	seen, err := s.exactly(ctx, "converge")
	if seen.Exact == seen.Honest {
		r.ConvergedSeconds = time.Since(s.begunAt).Seconds()
	}
	r.Connections = part(seen.Connections, seen.Honest)
	return err
}

// errNobody says that all honest nodes have been killed.
var errNobody = errors.New("swarm: no honest node is left")

// lookupsAtOnce is how many lookups are under way.
const lookupsAtOnce = 8

// A tally of lookups. Under its mutex.
type tally struct {
	mu                      sync.Mutex
	done, exact, hops, asks int
	took                    []time.Duration
}

func (t *tally) result() Lookups {
	l := Lookups{Count: t.done, Success: part(t.exact, t.done), Hops: part(t.hops, len(t.took)), Asked: part(t.asks, len(t.took))}
	l.P50, l.P99, _ = percentiles(t.took)
	return l
}

// lookups looks up random keys.
func (s *swarm) lookups(ctx context.Context, phase string) (Lookups, error) {
	type job struct {
		by  *member
		key skad.ID
	}
	jobs := make(chan job)
	var t tally
	var group sync.WaitGroup
	for range lookupsAtOnce {
		group.Go(func() {
			for j := range jobs {
				s.lookup(ctx, &t, j.by, j.key)
			}
		})
	}
	for i := 0; i < s.cfg.Lookups && ctx.Err() == nil; i++ {
		askers := s.honest(time.Now())
		if len(askers) == 0 {
			s.fail(errNobody)
			break
		}
		jobs <- job{askers[s.rnd.IntN(len(askers))], randomKey(s.rnd)}
		s.cfg.Progress(phase, i+1, s.cfg.Lookups)
	}
	close(jobs)
	group.Wait()
	return t.result(), context.Cause(ctx)
}

// lookup makes one and judges it, unless the node that makes it has gone meanwhile.
func (s *swarm) lookup(ctx context.Context, t *tally, by *member, key skad.ID) {
	began := time.Now()
	var f host.Found
	err := by.site.call(ctx, "Lookup", host.Quest{Number: by.Number, Key: key, Patience: s.cfg.Patience}, &f)
	exact := err == nil && s.exact(f.Closest, key, by.ID, began)
	if !s.lives(by) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	if err == nil {
		t.took = append(t.took, f.Took)
		t.hops, t.asks = t.hops+f.Hops, t.asks+f.Asked
	}
	if exact {
		t.exact++
	}
}

func (s *swarm) lives(m *member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.members[m.Number]
	return now != nil && now.ID == m.ID
}

// broadcastsApart spaces broadcasts, so that each is measured alone.
const broadcastsApart = 50 * time.Millisecond

// repairWithin is how long a broadcast is given: repair ends within some seconds.
const repairWithin = 15 * time.Second

// hearEvery is how often it is looked who has heard a broadcast.
const hearEvery = 5 * time.Millisecond

// broadcasts sends messages to everybody. before is called just before the first.
func (s *swarm) broadcasts(ctx context.Context, phase string, before func() error) (b Broadcasts, err error) {
	if err := before(); err != nil {
		return b, err
	}
	first, err := s.count(ctx)
	if err != nil {
		return b, err
	}
	reached, wanted, hops, pushed := 0, 0, 0, 0
	var all, p50s, p90s []time.Duration
	b.Worst = 1
	for i := range s.cfg.Broadcasts {
		list, want, err := s.oneBroadcast(ctx)
		if err != nil {
			return b, err
		}
		reached, wanted = reached+len(list), wanted+want
		b.Worst = min(b.Worst, part(len(list), want))
		var direct []time.Duration
		for _, d := range list {
			all = append(all, d.Took)
			if d.Hops == 1 {
				direct = append(direct, d.Took)
			}
			if d.Hops > 0 {
				hops, pushed = hops+d.Hops, pushed+1
			}
		}
		if len(direct) > 0 {
			p50s, p90s = append(p50s, quantile(direct, .5)), append(p90s, quantile(direct, .9))
		}
		s.cfg.Progress(phase, i+1, s.cfg.Broadcasts)
		if err := pause(ctx, broadcastsApart); err != nil {
			return b, err
		}
	}
	last, err := s.count(ctx)
	b.Copies = part(int(last.Doubled)-int(first.Doubled), int(last.Delivered)-int(first.Delivered))
	b.Count, b.Coverage, b.Hops = s.cfg.Broadcasts, part(reached, wanted), part(hops, pushed)
	b.P50, b.P99, b.Max = percentiles(all)
	b.Delays = sim.DelaysOf(quantile(p50s, .5), quantile(p90s, .5)) // of a usual one: what makes a whole broadcast slow is not uneven
	return b, err
}

// oneBroadcast has a random honest node say something, and waits until all honest nodes have heard it that were there all
// the time, or for as long as repair takes. It returns their deliveries, and how many there should be.
func (s *swarm) oneBroadcast(ctx context.Context) (list []host.Delivery, want int, err error) {
	began := time.Now()
	origins := s.honest(began)
	if len(origins) == 0 {
		return nil, 0, errNobody
	}
	by := origins[s.rnd.IntN(len(origins))]
	s.index++
	if err := by.site.call(ctx, "Broadcast", host.Shout{Number: by.Number, Index: s.index, Size: s.cfg.Payload}, new(host.None)); err != nil {
		if s.lives(by) {
			return nil, 0, err
		}
		return nil, 0, nil // it has left with what it had to say
	}
	for {
		if list, err = s.heard(ctx); err != nil {
			return nil, 0, err
		}
		due := map[int]bool{}
		for _, m := range s.honest(began) {
			due[m.Number] = m.Number != by.Number
		}
		delete(due, by.Number)
		list = slices.DeleteFunc(list, func(d host.Delivery) bool { return !due[d.Number] })
		if len(list) >= len(due) || time.Since(began) > repairWithin {
			return list, len(due), nil
		}
		if err := pause(ctx, hearEvery); err != nil {
			return nil, 0, err
		}
	}
}

// heard collects deliveries of the last broadcast.
func (s *swarm) heard(ctx context.Context) (all []host.Delivery, err error) {
	for _, x := range s.up() {
		var list []host.Delivery
		if err := x.call(ctx, "Heard", s.index, &list); err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// count adds up the counters of honest nodes.
func (s *swarm) count(ctx context.Context) (sum host.Sum, err error) {
	for _, x := range s.up() {
		var one host.Sum
		if err := x.call(ctx, "Count", host.None(false), &one); err != nil {
			return sum, err
		}
		sum.BytesOut += one.BytesOut
		sum.Delivered += one.Delivered
		sum.Doubled += one.Doubled
		sum.Forged += one.Forged
		sum.Banned += one.Banned
		sum.Flood += one.Flood
	}
	return sum, nil
}

// idle measures what nodes send while nobody wants anything: first those that have joined a moment ago, then those that have
// been there for a while.
func (s *swarm) idle(ctx context.Context, r *Result) (err error) {
	if left := s.cfg.Rest - time.Since(s.joinedAt); left > 0 {
		if r.Settling, err = s.upkeep(ctx, "settle", left); err != nil {
			return err
		}
	}
	r.Upkeep, err = s.upkeep(ctx, "idle", s.cfg.Idle)
	return err
}

// upkeep measures what an honest node sends for some time.
func (s *swarm) upkeep(ctx context.Context, phase string, span time.Duration) (u Upkeep, err error) {
	first, err := s.count(ctx)
	if err != nil {
		return u, err
	}
	began := time.Now()
	if err := s.wait(ctx, phase, span); err != nil {
		return u, err
	}
	last, err := s.count(ctx)
	u.From, u.Until = began.Sub(s.joinedAt), time.Since(s.joinedAt)
	u.Bytes = float64(last.BytesOut-first.BytesOut) / (u.Until - u.From).Seconds() / float64(len(s.honest(began)))
	return u, err
}

// wait lets time pass.
func (s *swarm) wait(ctx context.Context, phase string, span time.Duration) error {
	began := time.Now()
	for passed := time.Duration(0); passed < span; passed = time.Since(began) {
		s.cfg.Progress(phase, int(passed/time.Second), int(span/time.Second))
		if err := pause(ctx, min(time.Second, span-passed)); err != nil {
			return err
		}
	}
	return nil
}

func percentiles(spans []time.Duration) (p50, p99, most time.Duration) {
	return quantile(spans, .5), quantile(spans, .99), quantile(spans, 1)
}

// quantile is the span that this part of all is below; 0 if there is none.
func quantile(spans []time.Duration, p float64) time.Duration {
	if len(spans) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(spans))
	return s[min(len(s)-1, int(p*float64(len(s))))]
}
