package swarm

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/bench/swarm/host"
)

// churn lets nodes leave without a word and new ones come, at the places of those that left, while lookups and broadcasts
// are made. The first node stays: newcomers need somebody to join through.
func (s *swarm) churn(ctx context.Context, r *Result) (err error) {
	if s.cfg.Churn == 0 {
		return nil
	}
	over, stop := context.WithCancel(ctx)
	changed := make(chan error, 1)
	began := time.Now()
	go func() { changed <- s.change(ctx, over, &r.Replaced) }() // ends with over
	r.ChurnLookups, err = s.lookups(ctx, "lookups while nodes come and go")
	if err == nil {
		r.ChurnBroadcasts, err = s.broadcasts(ctx, "broadcasts while nodes come and go", func() error { return nil })
	}
	if err == nil {
		err = s.wait(ctx, "churn", s.cfg.Churning-time.Since(began))
	}
	stop()
	if e := <-changed; err == nil {
		err = e
	}
	r.ChurnBroadcasts.Copies = math.NaN() // those who left have taken their counters with them
	if err == nil {
		err = s.meet(ctx)
	}
	return err
}

// change replaces one node after the other until over ends.
func (s *swarm) change(ctx, over context.Context, count *int) error {
	rnd := rand.New(rand.NewPCG(s.cfg.Seed, 2))
	every := time.Duration(float64(time.Minute) / (s.cfg.Churn * float64(s.cfg.Nodes)))
	tick := time.NewTicker(every)
	defer tick.Stop()
	var joining sync.WaitGroup
	defer joining.Wait()
	for {
		select {
		case <-tick.C:
		case <-over.Done():
			return nil
		}
		m, err := s.replace(ctx, rnd)
		if err != nil {
			return err
		}
		joining.Go(func() {
			if s.await(ctx, m) == nil { // else its process is gone, which is said elsewhere, or it is replaced already
				_ = s.meet(ctx) // likewise
			}
		})
		*count++
	}
}

// replace ends a random node and starts another one, of the same kind, in its place.
func (s *swarm) replace(ctx context.Context, rnd *rand.Rand) (*member, error) {
	all := s.living()
	bootstrap := all[0].Target
	old := all[1+rnd.IntN(len(all)-1)]
	if err := old.site.call(ctx, "Kill", []int{old.Number}, new(host.None)); err != nil {
		return nil, err
	}
	s.drop(func(m *member) bool { return m.Number == old.Number })
	s.mu.Lock()
	number := s.next
	s.next++
	s.mu.Unlock()
	return s.start(ctx, old.site, host.Spec{Number: number, Bootstrap: bootstrap, Hostile: old.Hostile})
}
