package natmap

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var (
	home     = Gateway{Addr: netip.MustParseAddr("192.168.1.1"), Local: netip.MustParseAddr("192.168.1.7")}
	outside1 = netip.MustParseAddr("25.64.0.10")
	outside2 = netip.MustParseAddr("25.64.0.11")
	tcp4001  = Port{Number: 4001}
	udp4001  = Port{UDP: true, Number: 4001}
)

// A router is a model of a gateway: one table of mappings, two protocols, everything that goes wrong with them.
type router struct {
	address  netip.Addr
	booted   time.Duration
	silent   [protocols]bool
	gone     [protocols]bool
	refuses  [protocols]bool
	endless  bool // UPnP knows no lease times
	forgets  bool // UPnP confirms and does not map
	full     bool // every external port is another host's
	lifetime time.Duration
	falls    time.Duration // its clock goes back by as much with each answer
	table    map[entry]lease
}

// An entry is an external port.
type entry struct {
	udp  bool
	port uint16
}

type lease struct {
	internal uint16
	until    time.Duration
	other    bool // of another host
}

func newRouter() *router { return &router{address: outside1, table: map[entry]lease{}} }

func (r *router) restart(now time.Duration) {
	r.booted = now
	for e, l := range r.table {
		if !l.other {
			delete(r.table, e)
		}
	}
}

func (r *router) do(now time.Duration, act action) result {
	for e, l := range r.table {
		if l.until <= now {
			delete(r.table, e)
		}
	}
	out := result{Action: act, HasEpoch: act.Via == PMP, Epoch: (now - r.booted).Truncate(time.Second)}
	if r.falls > 0 {
		r.booted += r.falls
		out.Epoch = 1<<30*time.Second - r.booted
	}
	switch {
	case r.gone[act.Via]:
		out.Err = ErrGone
		return out
	case r.silent[act.Via]:
		out.Err = ErrSilent
		return out
	}
	switch act.Verb {
	case verbProbe:
		r.probe(act, &out)
	case verbMap:
		r.mapPort(now, act, &out)
	case verbUnmap:
		for e, l := range r.table {
			if !l.other && e.udp == act.Port.UDP && l.internal == act.Port.Number && (act.Via == PMP || e.port == act.External) {
				delete(r.table, e)
			}
		}
	}
	return out
}

func (r *router) probe(act action, out *result) {
	out.Address = r.address
	if !r.address.IsValid() {
		out.Err = ErrNoAddress
	}
	if act.Via == UPnP {
		for _, h := range act.Held {
			if l, ok := r.table[entry{h.Port.UDP, h.External}]; !ok || l.other || l.internal != h.Port.Number {
				out.Missing = append(out.Missing, h.Port)
			}
		}
	}
}

func (r *router) mapPort(now time.Duration, act action, out *result) {
	e := entry{act.Port.UDP, act.External}
	taken := r.table[e].other
	life := act.Lifetime
	if r.lifetime > 0 {
		life = min(life, r.lifetime)
	}
	switch {
	case r.refuses[act.Via]:
		out.Err = ErrRefused
		return
	case !public(r.address):
		out.Err = ErrNoAddress
		return
	case (taken || r.full) && act.Via == UPnP:
		out.Err = ErrTaken
		return
	case r.endless && act.Via == UPnP && life != 0:
		out.Err = ErrPermanent
		return
	case taken:
		for r.table[e].other {
			e.port++
		}
	}
	out.External, out.Lifetime = e.port, life
	until := now + life
	if life == 0 {
		until = never
	}
	if !(r.forgets && act.Via == UPnP) {
		r.table[e] = lease{internal: act.Port.Number, until: until}
	}
}

// ours are the external ports that lead to this host.
func (r *router) ours(now time.Duration) (out []string) {
	for e, l := range r.table {
		if !l.other && l.until > now {
			out = append(out, fmt.Sprintf("%v %d", Port{e.udp, l.internal}, e.port))
		}
	}
	slices.Sort(out)
	return out
}

// A stage runs a machine against a router in virtual time.
type stage struct {
	testing.TB
	m      *machine
	r      *router
	now    time.Duration
	out    [protocols]int // under way
	done   int            // actions
	probes [protocols]int
	line   []pending
	said   []event
}

const (
	answerTime = 10 * time.Millisecond
	silentTime = 2 * time.Second
)

// begin is a machine that has just been told of its gateway and ports.
func begin(t testing.TB, r *router, ports ...Port) *stage {
	s := &stage{TB: t, m: newMachine(0), r: r}
	s.m.Gateway(0, home)
	s.m.Want(0, ports)
	return s
}

// A pending is an action on its way back.
type pending struct {
	at time.Duration
	r  result
}

// run lets d pass.
func (s *stage) run(d time.Duration) {
	s.Helper()
	end := s.now + d
	for {
		s.take()
		s.hear()
		at := s.m.Deadline()
		for _, p := range s.line {
			at = min(at, p.at)
		}
		if at > end {
			s.now = end
			return
		}
		s.now = max(s.now, at)
		if i := slices.IndexFunc(s.line, func(p pending) bool { return p.at <= s.now }); i >= 0 {
			p := s.line[i]
			s.line = slices.Delete(s.line, i, i+1)
			if p.r.Action.turn == s.m.turn {
				s.out[p.r.Action.Via]--
			}
			s.m.Receive(s.now, p.r)
		} else {
			s.m.Expire(s.now)
		}
	}
}

// take makes the calls that the machine wants made.
func (s *stage) take() {
	s.Helper()
	for act, ok := s.m.Next(); ok; act, ok = s.m.Next() {
		s.done++
		if act.turn == s.m.turn {
			s.out[act.Via]++
			if s.out[act.Via] > 1 {
				s.Fatalf("at %v: two actions under way by %v: %+v", s.now, act.Via, act)
			}
		}
		if act.Verb == verbProbe {
			s.probes[act.Via]++
		}
		if s.done > 1_000_000 {
			s.Fatalf("at %v: it spins: %+v", s.now, act)
		}
		res := s.r.do(s.now, act)
		took := answerTime
		if res.Err == ErrSilent {
			took = silentTime
		}
		s.line = append(s.line, pending{s.now + took, res})
	}
}

func (s *stage) hear() {
	for e, ok := s.m.NextEvent(); ok; e, ok = s.m.NextEvent() {
		s.said = append(s.said, e)
	}
}

// kinds are the events so far, and forgets them.
func (s *stage) kinds() (out []eventKind) {
	for _, e := range s.said {
		out = append(out, e.Kind)
	}
	s.said = nil
	return out
}

// mapped are the mappings in the form "tcp/4001 25.64.0.10:4001 NAT-PMP".
func (s *stage) mapped() (out []string) {
	for _, m := range s.m.Mappings() {
		out = append(out, fmt.Sprintf("%v %v %v", m.Port, m.External, m.Via))
	}
	return out
}
