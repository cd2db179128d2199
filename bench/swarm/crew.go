package swarm

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/bench/swarm/host"
	"github.com/carrier-p2p/carrier/skad"
)

// A swarm is owned by the measuring goroutine, but for what its mutex guards.
type swarm struct {
	cfg      Config
	rnd      *rand.Rand
	fail     context.CancelCauseFunc
	sites    []*site
	stores   string    // directory; "": none
	index    uint64    // of the last broadcast
	fallen   []*member // who was killed
	begunAt  time.Time // when the last node was started to join
	joinedAt time.Time // when all had

	mu      sync.Mutex
	members map[int]*member // that live, by number; under mu
	next    int             // number of the next node; under mu
}

// A member is a node that lives. It does not change.
type member struct {
	host.Member
	site     *site
	joinedAt time.Time // zero: not yet
}

// open starts the hosts.
func (s *swarm) open(ctx context.Context, r *Result) (err error) {
	if s.cfg.Restart {
		if s.stores, err = os.MkdirTemp("", "swarm"); err != nil {
			return err
		}
	}
	for i := range max(1, s.cfg.Processes) {
		x, err := s.host(ctx, i)
		if err != nil {
			return err
		}
		s.sites = append(s.sites, x)
	}
	return nil
}

// host starts one host.
func (s *swarm) host(ctx context.Context, i int) (*site, error) {
	child := s.cfg.Child
	if s.cfg.Processes == 0 {
		child = nil
	}
	x, err := newSite(fmt.Sprintf("process %d", i+1), child, s.fail)
	if err != nil {
		return nil, err
	}
	err = x.call(ctx, "Open", host.Setup{Places: s.cfg.places(i), Seed: s.cfg.Seed, Loops: s.cfg.Loops,
		Stores: s.stores, Adversary: s.cfg.Adversary}, new(host.None))
	if err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

// close ends everything.
func (s *swarm) close() {
	var group sync.WaitGroup
	for _, x := range s.sites {
		group.Go(x.close)
	}
	group.Wait()
	if s.stores != "" {
		_ = os.RemoveAll(s.stores) // in the system's directory for such things: it will see to it
	}
}

// up are the sites that have not been killed.
func (s *swarm) up() []*site {
	return slices.DeleteFunc(slices.Clone(s.sites), func(x *site) bool { return x.down })
}

// hostiles draws which nodes are the adversary's; never the first, whom everybody trusts to join.
func (s *swarm) hostiles() map[int]bool {
	set := map[int]bool{}
	for _, i := range s.rnd.Perm(s.cfg.Nodes - 1)[:min(s.cfg.hostiles(), s.cfg.Nodes-1)] {
		set[i+1] = true
	}
	return set
}

// join starts all nodes, a few joining at a time.
func (s *swarm) join(ctx context.Context, r *Result) error {
	hostile, bootstrap := s.hostiles(), ""
	r.Hostile = len(hostile)
	began := time.Now()
	var joining sync.WaitGroup
	defer joining.Wait()
	room := make(chan struct{}, s.cfg.Joining)
	for i := range s.cfg.Nodes {
		room <- struct{}{}
		m, err := s.start(ctx, s.sites[i%len(s.sites)], host.Spec{Number: i, Bootstrap: bootstrap, Hostile: hostile[i]})
		if err != nil {
			return err
		}
		if i == 0 { // it joins when somebody calls
			bootstrap = m.Target
			s.joined(m)
			<-room
			continue
		}
		joining.Go(func() {
			defer func() { <-room }()
			_ = s.await(ctx, m) // a process that is gone says so itself
		})
		s.cfg.Progress("join", i+1, s.cfg.Nodes)
	}
	s.begunAt = time.Now()
	r.JoinSeconds = s.begunAt.Sub(began).Seconds()
	joining.Wait()
	s.joinedAt = time.Now()
	s.next = s.cfg.Nodes
	return s.meet(ctx)
}

// start starts one node.
func (s *swarm) start(ctx context.Context, x *site, spec host.Spec) (*member, error) {
	m := &member{site: x}
	if err := x.call(ctx, "Start", spec, &m.Member); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[m.Number] = m
	return m, nil
}

// await waits until a node has joined, or for so long that it counts as one that should have.
func (s *swarm) await(ctx context.Context, m *member) error {
	var ok bool
	if err := m.site.call(ctx, "Joined", host.Wait{Number: m.Number, Patience: s.cfg.Patience}, &ok); err != nil {
		return err
	}
	s.joined(m)
	return nil
}

// joined notes that a node has joined, unless it has gone meanwhile.
func (s *swarm) joined(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[m.Number] == m {
		with := *m
		with.joinedAt = time.Now()
		s.members[m.Number] = &with
	}
}

// meet tells the hosts who there is.
func (s *swarm) meet(ctx context.Context) error {
	var all []host.Member
	for _, m := range s.living() {
		all = append(all, m.Member)
	}
	for _, x := range s.up() {
		if err := x.call(ctx, "Meet", all, new(host.None)); err != nil {
			return err
		}
	}
	return nil
}

// living are all nodes, by number.
func (s *swarm) living() (list []*member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *member) int { return a.Number - b.Number })
	return list
}

// honest are those that had joined at a time.
func (s *swarm) honest(at time.Time) []*member {
	return slices.DeleteFunc(s.living(), func(m *member) bool { return m.Hostile || m.joinedAt.IsZero() || m.joinedAt.After(at) })
}

// drop forgets nodes that are gone.
func (s *swarm) drop(gone func(*member) bool) (dropped []*member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.members {
		if gone(m) {
			delete(s.members, i)
			dropped = append(dropped, m)
		}
	}
	return dropped
}

// doomed draws whom to kill: whole processes where they fit, the first one first, and then nodes within the others. The
// first node of all, which everybody has joined through, is always among them.
func (s *swarm) doomed(count int) (sites []*site, numbers map[*site][]int) {
	numbers = map[*site][]int{}
	for i, x := range s.sites {
		if x.cmd != nil && len(s.sites)-len(sites) > 1 && s.cfg.places(i) <= count {
			sites, count = append(sites, x), count-s.cfg.places(i)
		}
	}
	left := slices.DeleteFunc(s.living(), func(m *member) bool { return slices.Contains(sites, m.site) })
	s.rnd.Shuffle(len(left), func(i, k int) { left[i], left[k] = left[k], left[i] })
	if i := slices.IndexFunc(left, func(m *member) bool { return m.Number == 0 }); i >= 0 {
		left[0], left[i] = left[i], left[0]
	}
	for _, m := range left[:min(count, max(0, len(left)-2))] {
		numbers[m.site] = append(numbers[m.site], m.Number)
	}
	return sites, numbers
}

// end kills processes and nodes, all at the same moment.
func (s *swarm) end(ctx context.Context, sites []*site, numbers map[*site][]int) (killed int, err error) {
	errs := make(chan error, len(sites)+len(numbers))
	for _, x := range sites {
		go func() { errs <- x.kill() }()
	}
	for x, list := range numbers {
		go func() { errs <- x.call(ctx, "Kill", list, new(host.None)) }()
	}
	for range cap(errs) {
		if e := <-errs; e != nil {
			err = e
		}
	}
	s.fallen = s.drop(func(m *member) bool {
		return slices.Contains(sites, m.site) || slices.Contains(numbers[m.site], m.Number)
	})
	return len(s.fallen), err
}

// restart starts the killed processes again, with the nodes that they had, from their stores and without a bootstrap.
func (s *swarm) restart(ctx context.Context, r *Result) error {
	if !s.cfg.Restart {
		return nil
	}
	began, restored := time.Now(), 0
	var came []*member
	for i, old := range s.sites {
		if !old.down {
			continue
		}
		x, err := s.host(ctx, i)
		if err != nil {
			return err
		}
		s.sites[i] = x
		for _, was := range s.fallen {
			if was.site != old {
				continue
			}
			m, err := s.start(ctx, x, host.Spec{Number: was.Number, Hostile: was.Hostile})
			if err != nil {
				return err
			}
			came = append(came, m)
			restored += int(m.Restored)
			r.Restarted++
			s.cfg.Progress("restart", r.Restarted, r.Killed)
		}
	}
	for _, m := range came {
		if err := s.await(ctx, m); err != nil {
			return err
		}
	}
	r.Restored = restored / max(1, r.Restarted)
	if err := s.meet(ctx); err != nil {
		return err
	}
	seen, err := s.exactly(ctx, "back")
	if err != nil {
		return err
	}
	if seen.Exact == seen.Honest {
		r.BackSeconds = time.Since(began).Seconds()
	}
	if r.BackInformed, err = s.broadcasts(ctx, "broadcasts after the restart", func() error { return nil }); err != nil {
		return err
	}
	r.LookupsBack, err = s.lookups(ctx, "lookups after the restart")
	return err
}

// exact reports whether a lookup has found whom it should: those that had joined before it began and are still there.
func (s *swarm) exact(found []skad.ID, key, asker skad.ID, began time.Time) bool {
	settled := map[skad.ID]bool{}
	var all []host.Known
	for _, m := range s.living() {
		all = append(all, host.Known{ID: m.ID, Hostile: m.Hostile})
		settled[m.ID] = !m.joinedAt.IsZero() && m.joinedAt.Before(began)
	}
	return !slices.ContainsFunc(host.Truth(all, key, asker), func(id skad.ID) bool { return settled[id] && !slices.Contains(found, id) })
}

// part returns what n makes of a whole, NaN if there is none.
func part(n, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return float64(n) / float64(whole)
}
