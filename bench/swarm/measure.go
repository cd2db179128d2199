package swarm

import (
	"context"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
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

// truth returns the living nodes nearest to key, without the asker.
func (s *swarm) truth(key, asker skad.ID) []skad.ID {
	ids := slices.DeleteFunc(slices.Clone(s.ids), func(id skad.ID) bool { return id == asker })
	slices.SortFunc(ids, func(a, b skad.ID) int { return a.Xor(key).Compare(b.Xor(key)) })
	return ids[:min(len(ids), nearest)]
}

// same reports whether contacts are exactly these nodes, in this order.
func same(list []*skad.Contact, ids []skad.ID) bool {
	return slices.EqualFunc(list, ids, func(c *skad.Contact, id skad.ID) bool { return c.ID == id })
}

// converge waits until every node knows its nearest exactly.
func (s *swarm) converge(ctx context.Context, r *Result) error {
	began := time.Now()
	truth := make([][]skad.ID, len(s.nodes))
	for i, n := range s.nodes {
		truth[i] = s.truth(n.id, n.id)
	}
	for {
		exact, connections := 0, 0
		for i, n := range s.nodes {
			if same(n.disc.View().Closest(n.id, nearest, nil), truth[i]) {
				exact++
			}
			all, _ := n.net.ConnMgr().Count()
			connections += all
		}
		s.cfg.Progress("converge", exact, len(s.nodes))
		took := time.Since(began)
		r.Connections = float64(connections) / float64(len(s.nodes))
		if exact == len(s.nodes) {
			r.ConvergedSeconds = took.Seconds()
			return nil
		}
		if took > s.cfg.Patience {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// lookupsAtOnce is how many lookups are under way.
const lookupsAtOnce = 8

// lookups looks up random keys.
func (s *swarm) lookups(ctx context.Context, phase string) (Lookups, error) {
	type job struct {
		by  *node
		key skad.ID
	}
	jobs := make(chan job)
	var mu sync.Mutex
	var exact, hops, asked, done int
	var took []time.Duration
	var group sync.WaitGroup
	for range lookupsAtOnce {
		group.Go(func() {
			for j := range jobs {
				c, cancel := context.WithTimeout(ctx, s.cfg.Patience)
				r, err := j.by.disc.Closest(c, j.key, skad.LookupOptions{Count: nearest})
				cancel()
				mu.Lock()
				done++
				if err == nil {
					took = append(took, r.Took)
					hops += r.Hops
					asked += r.Asked
					if same(r.Closest, s.truth(j.key, j.by.id)) {
						exact++
					}
				}
				mu.Unlock()
			}
		})
	}
	alive := s.alive()
	for i := range s.cfg.Lookups {
		if ctx.Err() != nil {
			break
		}
		jobs <- job{alive[s.rnd.IntN(len(alive))], randomKey(s.rnd)}
		s.cfg.Progress(phase, i+1, s.cfg.Lookups)
	}
	close(jobs)
	group.Wait()
	if ctx.Err() != nil {
		return Lookups{}, context.Cause(ctx)
	}
	l := Lookups{Count: done, Success: part(exact, done), Hops: part(hops, len(took)), Asked: part(asked, len(took))}
	l.P50, l.P99, _ = percentiles(took)
	return l, nil
}

// deliveries are what nodes got of the broadcasts. Any goroutine.
type deliveries struct {
	mu    sync.Mutex
	begun []time.Time       // by number
	took  [][]time.Duration // by number: one for each node
}

func newDeliveries() *deliveries { return &deliveries{} }

// begin makes the payload of the next broadcast.
func (d *deliveries) begin(size int) (number int, payload []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	number = len(d.begun)
	d.begun = append(d.begun, time.Now())
	d.took = append(d.took, nil)
	payload = make([]byte, size)
	binary.LittleEndian.PutUint64(payload, uint64(number))
	return number, payload
}

// take is every node's broadcast.Config.Deliver.
func (d *deliveries) take(m broadcast.Message) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := binary.LittleEndian.Uint64(m.Payload); i < uint64(len(d.begun)) {
		d.took[i] = append(d.took[i], time.Since(d.begun[i]))
	}
	return true
}

func (d *deliveries) of(number int) []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.took[number])
}

// broadcastsApart spaces broadcasts, so that each is measured alone.
const broadcastsApart = 50 * time.Millisecond

// repairWithin is how long a broadcast is given: repair ends within some seconds.
const repairWithin = 15 * time.Second

// broadcasts sends messages to everybody. before is called just before the first.
func (s *swarm) broadcasts(ctx context.Context, phase string, before func()) (b Broadcasts, err error) {
	before()
	alive := s.alive()
	reached, wanted := 0, 0
	delivered, doubled := copies(alive)
	var all []time.Duration
	b.Worst = 1
	for i := range s.cfg.Broadcasts {
		number, payload := s.deliveries.begin(s.cfg.Payload)
		if _, err := alive[s.rnd.IntN(len(alive))].cast.Broadcast(ctx, payload); err != nil {
			return b, err
		}
		want := len(alive) - 1
		got := s.deliveries.of(number)
		for giveUp := time.Now().Add(repairWithin); len(got) < want && time.Now().Before(giveUp); got = s.deliveries.of(number) {
			if err := pause(ctx, 2*time.Millisecond); err != nil {
				return b, err
			}
		}
		reached, wanted = reached+len(got), wanted+want
		b.Worst = min(b.Worst, part(len(got), want))
		all = append(all, got...)
		s.cfg.Progress(phase, i+1, s.cfg.Broadcasts)
		if err := pause(ctx, broadcastsApart); err != nil {
			return b, err
		}
	}
	nowDelivered, nowDoubled := copies(alive)
	b.Copies = part(nowDoubled-doubled, nowDelivered-delivered)
	b.Count, b.Coverage = s.cfg.Broadcasts, part(reached, wanted)
	b.P50, b.P99, b.Max = percentiles(all)
	return b, nil
}

// copies counts the messages that nodes have had, and what came of them beside the first copy.
func copies(nodes []*node) (delivered, doubled int) {
	for _, n := range nodes {
		c := n.cast.Stats()
		delivered += int(c.Delivered)
		doubled += int(c.Dropped[spread.Duplicate])
	}
	return delivered, doubled
}

// idle measures what nodes send while nobody wants anything.
func (s *swarm) idle(ctx context.Context, r *Result) error {
	sent := func() (sum int64) {
		for _, n := range s.alive() {
			sum += n.net.Stats().BytesOut
		}
		return sum
	}
	if err := s.wait(ctx, "rest", s.cfg.Rest); err != nil {
		return err
	}
	before, began := sent(), time.Now()
	if err := s.wait(ctx, "idle", s.cfg.Idle); err != nil {
		return err
	}
	r.UpkeepBytes = float64(sent()-before) / time.Since(began).Seconds() / float64(len(s.alive()))
	return nil
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

// account measures memory, and sums up how the tasks have held the loops.
func (s *swarm) account(r *Result) {
	s.ending.Wait()
	alive := s.alive()
	if now := heap(); now > s.heap {
		r.HeapBytes = float64(now-s.heap) / float64(len(alive))
	}
	for _, n := range alive {
		for _, t := range n.net.Stats().Tasks {
			r.Tasks.Runs += t.Runs
			r.Tasks.Longest = max(r.Tasks.Longest, t.Longest)
			r.Tasks.Over += overMillisecond(t.Held)
			r.Tasks.LongestWork = max(r.Tasks.LongestWork, t.LongestWork)
			r.Tasks.OverWork += overMillisecond(t.Worked)
		}
	}
}

// overMillisecond counts the runs that took more than a millisecond.
func overMillisecond(runs [len(engine.TaskBounds) + 1]int64) (n int64) {
	for i, bound := range engine.TaskBounds {
		if bound >= time.Millisecond {
			n += runs[i+1]
		}
	}
	return n
}

// heap is the memory in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// part returns what n makes of a whole, NaN if there is none.
func part(n, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return float64(n) / float64(whole)
}

func percentiles(spans []time.Duration) (p50, p99, most time.Duration) {
	if len(spans) == 0 {
		return 0, 0, 0
	}
	s := slices.Sorted(slices.Values(spans))
	at := func(p float64) time.Duration { return s[min(len(s)-1, int(p*float64(len(s))))] }
	return at(.5), at(.99), s[len(s)-1]
}
