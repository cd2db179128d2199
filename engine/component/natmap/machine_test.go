package natmap

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Who ends up mapping what, a moment and a while after the start.
func TestMachineFirst(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      func(*router)
		after  time.Duration
		mapped []string
		kind   Kind
	}{
		{"both answer: the simpler one", func(*router) {}, time.Second,
			[]string{"tcp/4001 25.64.0.10:4001 NAT-PMP", "udp/4001 25.64.0.10:4001 NAT-PMP"}, KindMapped},
		{"UPnP alone, NAT-PMP not there", func(r *router) { r.gone[PMP] = true }, time.Second,
			[]string{"tcp/4001 25.64.0.10:4001 UPnP", "udp/4001 25.64.0.10:4001 UPnP"}, KindMapped},
		{"UPnP alone, NAT-PMP silent", func(r *router) { r.silent[PMP] = true }, time.Second,
			[]string{"tcp/4001 25.64.0.10:4001 UPnP", "udp/4001 25.64.0.10:4001 UPnP"}, KindMapped},
		{"UPnP alone, NAT-PMP still has its chance", func(r *router) { r.silent[PMP] = true }, 700 * time.Millisecond, nil, KindLooking},
		{"NAT-PMP alone", func(r *router) { r.silent[UPnP] = true }, time.Second,
			[]string{"tcp/4001 25.64.0.10:4001 NAT-PMP", "udp/4001 25.64.0.10:4001 NAT-PMP"}, KindMapped},
		{"NAT-PMP refuses: the other", func(r *router) { r.refuses[PMP] = true }, time.Second,
			[]string{"tcp/4001 25.64.0.10:4001 UPnP", "udp/4001 25.64.0.10:4001 UPnP"}, KindMapped},
		{"both refuse", func(r *router) { r.refuses = [2]bool{true, true} }, time.Hour, nil, KindRefused},
		{"nobody there", func(r *router) { r.gone = [2]bool{true, true} }, time.Hour, nil, KindSilent},
		{"nobody answers", func(r *router) { r.silent = [2]bool{true, true} }, time.Hour, nil, KindSilent},
		{"a carrier's address", func(r *router) { r.address = home.Addr }, time.Hour, nil, KindStacked},
		{"no address", func(r *router) { r.address = Gateway{}.Addr }, time.Hour, nil, KindStacked},
		{"taken, NAT-PMP gives another", func(r *router) { r.table[entry{false, 4001}] = lease{5, never, true} }, time.Second,
			[]string{"tcp/4001 25.64.0.10:4002 NAT-PMP", "udp/4001 25.64.0.10:4001 NAT-PMP"}, KindMapped},
		{"taken, UPnP says no", func(r *router) {
			r.gone[PMP] = true
			r.table[entry{false, 4001}] = lease{5, never, true}
			r.table[entry{false, candidate(tcp4001, 1)}] = lease{5, never, true}
		}, time.Second, []string{"tcp/4001 25.64.0.10:54413 UPnP", "udp/4001 25.64.0.10:4001 UPnP"}, KindMapped},
		{"without an end only", func(r *router) { r.gone[PMP] = true; r.endless = true }, time.Hour,
			[]string{"tcp/4001 25.64.0.10:4001 UPnP", "udp/4001 25.64.0.10:4001 UPnP"}, KindMapped},
		{"every port taken", func(r *router) { r.gone[PMP] = true; r.full = true }, time.Second, nil, KindRefused},
		{"confirms and does nothing", func(r *router) { r.gone[PMP] = true; r.forgets = true }, 4 * checkEvery, nil, KindRefused},
		{"grants a second", func(r *router) { r.lifetime = time.Second }, time.Minute,
			[]string{"tcp/4001 25.64.0.10:4001 NAT-PMP", "udp/4001 25.64.0.10:4001 NAT-PMP"}, KindMapped},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRouter()
			c.r(r)
			s := begin(t, r, tcp4001, udp4001)
			s.run(c.after)
			if got := s.mapped(); !slices.Equal(got, c.mapped) {
				t.Errorf("mapped %q, want %q", got, c.mapped)
			}
			report := s.m.report(nil)
			if got := report.Kind(); got != c.kind {
				t.Errorf("kind %q, want %q: %+v", got, c.kind, report)
			}
		})
	}
}

// A gateway that gives nothing is asked rarely, one that works often enough to notice a restart within a minute.
func TestMachinePolite(t *testing.T) {
	for _, c := range []struct {
		name     string
		r        func(*router)
		min, max int // actions in the second hour
	}{
		{"works", func(*router) {}, 240 + 12 + 12, 280}, // probes, renewals of two ports, the spare's probes
		{"silent", func(r *router) { r.silent = [2]bool{true, true} }, 100, 125},
		{"gone", func(r *router) { r.gone = [2]bool{true, true} }, 100, 125},
		{"refuses", func(r *router) { r.refuses = [2]bool{true, true} }, 200, 400},
		{"has no port left", func(r *router) { r.gone[PMP] = true; r.full = true }, 400, 600},
		{"has no address", func(r *router) { r.address = home.Addr }, 200, 250},
		{"grants a second", func(r *router) { r.lifetime = time.Second }, 1400, 1800},
		{"restarts with each answer", func(r *router) { r.falls = 20 * time.Second }, 600, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRouter()
			c.r(r)
			s := begin(t, r, tcp4001, udp4001)
			s.run(time.Hour)
			before := s.done
			s.run(time.Hour)
			if got := s.done - before; got < c.min || got > c.max {
				t.Errorf("%d actions in an hour, want %d to %d", got, c.min, c.max)
			}
		})
	}
}

// What happens to a mapping that works: the same faults as in the lab, and what people are told.
func TestMachineLater(t *testing.T) {
	both := []string{"tcp/4001 25.64.0.10:4001 NAT-PMP"}
	for _, c := range []struct {
		name   string
		upnp   bool // alone
		strike func(s *stage)
		mapped []string
		said   []eventKind
	}{
		{"nothing", false, func(*stage) {}, both, nil},
		{"restart", false, func(s *stage) { s.r.restart(s.now) }, both, []eventKind{gatewayRestarted}},
		{"restart, without an epoch", true, func(s *stage) { s.r.restart(s.now) },
			[]string{"tcp/4001 25.64.0.10:4001 UPnP"}, []eventKind{mappingLost, mapped}},
		{"gone for a minute", false, func(s *stage) {
			s.r.gone = [2]bool{true, true}
			s.run(time.Minute)
			if got := s.mapped(); got != nil {
				s.Errorf("mapped at a gateway that has vanished: %q", got)
			}
			s.r.restart(s.now)
			s.r.gone = [2]bool{}
		}, both, []eventKind{gatewayLost, mappingLost, gatewayLost, gatewayRestarted, gatewayFound, mapped, gatewayRestarted, gatewayFound}},
		{"silent for a minute", false, func(s *stage) {
			s.r.silent = [2]bool{true, true}
			s.run(time.Minute)
			if got := s.mapped(); !slices.Equal(got, both) {
				s.Errorf("a silent gateway has its mappings still: %q", got)
			}
			s.r.silent = [2]bool{}
		}, []string{"tcp/4001 25.64.0.10:4001 UPnP"}, []eventKind{gatewayLost, gatewayLost, gatewayFound, mapped, gatewayFound}},
		{"silent until the mapping has ended", false, func(s *stage) {
			s.r.silent = [2]bool{true, true}
			s.run(LifetimeDefault)
			if got := s.mapped(); got != nil {
				s.Errorf("after its life: %q", got)
			}
			s.r.silent = [2]bool{}
		}, both, []eventKind{gatewayLost, gatewayLost, mappingLost, gatewayFound, mapped, gatewayFound}},
		{"another address", false, func(s *stage) { s.r.address = outside2; s.r.restart(s.now) },
			[]string{"tcp/4001 25.64.0.11:4001 NAT-PMP"}, []eventKind{gatewayRestarted, addressChanged}},
		{"the address becomes private", false, func(s *stage) { s.r.address = home.Addr }, nil, []eventKind{notPublic}},
		{"the protocol dies", false, func(s *stage) { s.r.silent[PMP] = true },
			[]string{"tcp/4001 25.64.0.10:4001 UPnP"}, []eventKind{gatewayLost, mapped}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRouter()
			r.gone[PMP] = c.upnp
			s := begin(t, r, tcp4001)
			s.run(11 * time.Minute)
			s.kinds()
			c.strike(s)
			s.run(time.Minute)
			if got := s.mapped(); !slices.Equal(got, c.mapped) {
				t.Errorf("a minute later: mapped %q, want %q", got, c.mapped)
			}
			if got := s.kinds(); !slices.Equal(got, c.said) {
				t.Errorf("said %v, want %v", got, c.said)
			}
			if len(c.mapped) > 0 && len(r.ours(s.now)) != 1 {
				t.Errorf("the router has %q", r.ours(s.now))
			}
		})
	}
}

// A gateway that has only just booted may do so again without its clock showing it.
func TestMachineYoung(t *testing.T) {
	r := newRouter()
	r.gone[UPnP] = true
	s := begin(t, r, tcp4001)
	s.run(2 * time.Second)
	r.restart(s.now)
	s.run(time.Minute)
	if got := r.ours(s.now); len(got) != 1 {
		t.Errorf("the router has %q", got)
	}
}

// takenOver is a stage on which UPnP maps what NAT-PMP has mapped before it fell silent, and both know of it.
func takenOver(t *testing.T, r *router) *stage {
	s := begin(t, r, tcp4001)
	s.run(10 * time.Second)
	r.silent[PMP] = true
	s.run(time.Minute)
	if got := s.mapped(); !slices.Equal(got, []string{"tcp/4001 25.64.0.10:4001 UPnP"}) || !s.m.agents[PMP].holdings[tcp4001].mapped() {
		t.Fatalf("%q", got)
	}
	return s
}

// Who takes over again does not trust what it once mapped.
func TestMachineTakesOverAgain(t *testing.T) {
	r := newRouter()
	s := takenOver(t, r)
	clear(r.table)
	r.silent = [2]bool{false, true}
	s.run(2 * time.Minute)
	if got := r.ours(s.now); len(got) != 1 {
		t.Errorf("the router has %q, the machine says %q", got, s.mapped())
	}
}

// What the one that stands by once mapped is not published while the holder works and has nothing.
func TestMachineStale(t *testing.T) {
	r := newRouter()
	s := takenOver(t, r)
	clear(r.table)
	r.refuses[UPnP] = true
	s.run(time.Minute)
	if got := s.mapped(); got != nil {
		t.Errorf("published: %q", got)
	}
}

// A mapping that the other protocol's removal may have taken with it is made again.
func TestMachineSharedRemoval(t *testing.T) {
	r := newRouter()
	s := takenOver(t, r)
	r.silent[PMP] = false
	s.run(30 * time.Second)
	s.m.Want(s.now, nil)
	var late action
	for act, ok := s.m.Next(); ok; act, ok = s.m.Next() {
		if act.Verb != verbUnmap {
			t.Fatalf("%+v", act)
		}
		if act.Via == PMP {
			late = act
		} else {
			s.m.Receive(s.now, r.do(s.now, act))
		}
	}
	s.m.Want(s.now, []Port{tcp4001})
	act, ok := s.m.Next()
	if !ok || act.Verb != verbMap || act.Via != UPnP {
		t.Fatalf("%+v, %v", act, ok)
	}
	s.m.Receive(s.now, r.do(s.now, act))
	s.m.Receive(s.now, r.do(s.now, late))
	s.run(time.Second)
	if got := r.ours(s.now); len(got) != 1 {
		t.Errorf("the router has %q, the machine says %q", got, s.mapped())
	}
}

// Stop removes what is held, of all protocols and also if a mapping is on its way; a deaf gateway does not keep it.
func TestMachineStop(t *testing.T) {
	for _, c := range []struct {
		name  string
		r     func(*router)
		after time.Duration
		left  int
	}{
		{"two ports", func(*router) {}, time.Minute, 0},
		{"by UPnP", func(r *router) { r.gone[PMP] = true }, time.Minute, 0},
		{"without an end", func(r *router) { r.gone[PMP] = true; r.endless = true }, time.Minute, 0},
		{"before anything", func(*router) {}, 0, 0},
		{"while one is made", func(*router) {}, 15 * time.Millisecond, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRouter()
			c.r(r)
			s := begin(t, r, tcp4001, udp4001)
			if c.after > 0 {
				s.run(c.after)
			}
			s.m.Stop(s.now)
			s.run(time.Minute)
			if !s.m.Done() || len(r.ours(s.now)) != c.left || s.m.Deadline() != never {
				t.Errorf("done %v, deadline %v, the router has %q", s.m.Done(), s.m.Deadline(), r.ours(s.now))
			}
		})
	}
	t.Run("deaf", func(t *testing.T) {
		r := newRouter()
		s := begin(t, r, tcp4001, udp4001)
		s.run(time.Minute)
		r.silent = [2]bool{true, true}
		s.m.Stop(s.now)
		s.run(2 * silentTime)
		if !s.m.Done() {
			t.Error("it still waits for a deaf gateway")
		}
	})
}

// Another gateway: what the old one holds is removed there, a late answer of the old one is not taken for the new one's, and
// a mapping that it tells of is removed.
func TestMachineMoves(t *testing.T) {
	r := newRouter()
	s := begin(t, r, tcp4001)
	s.run(time.Minute)
	elsewhere := home
	elsewhere.Addr = elsewhere.Addr.Next()
	s.m.Gateway(s.now, elsewhere)
	var verbs []verb
	var late action
	for act, ok := s.m.Next(); ok; act, ok = s.m.Next() {
		verbs = append(verbs, act.Verb)
		if act.Verb == verbUnmap && act.Gateway != home {
			t.Errorf("unmapped at %v", act.Gateway)
		}
		if act.Verb == verbProbe && act.Gateway != elsewhere {
			t.Errorf("probed %v", act.Gateway)
		}
		late = act
	}
	if !slices.Equal(verbs, []verb{verbUnmap, verbProbe, verbProbe}) {
		t.Errorf("%v", verbs)
	}
	late.turn--
	late.Verb, late.Gateway, late.Port = verbMap, home, tcp4001
	s.m.Receive(s.now, result{Action: late, External: 7, Lifetime: time.Minute})
	if act, ok := s.m.Next(); !ok || act.Verb != verbUnmap || act.External != 7 || act.Gateway != home {
		t.Errorf("a mapping made too late: %+v, %v", act, ok)
	}
	if got := s.m.Mappings(); got != nil {
		t.Errorf("mapped: %v", got)
	}
	s.m.Gateway(s.now, Gateway{})
	if at := s.m.Deadline(); at != never {
		t.Errorf("without a gateway it wants to be called at %v", at)
	}
}

// Ports come and go.
func TestMachineWant(t *testing.T) {
	r := newRouter()
	s := begin(t, r, tcp4001)
	s.run(time.Minute)
	s.m.Want(s.now, []Port{udp4001})
	s.run(time.Second)
	if got := r.ours(s.now); !slices.Equal(got, []string{"udp/4001 4001"}) {
		t.Errorf("the router has %q", got)
	}
	many := make([]Port, 100)
	for i := range many {
		many[i].Number = uint16(5000 + i)
	}
	s.m.Want(s.now, many)
	s.run(time.Minute)
	if got := len(r.ours(s.now)); got != portLimit {
		t.Errorf("%d ports mapped, limit %d", got, portLimit)
	}
	s.m.Want(s.now, nil)
	s.run(time.Minute)
	if got := r.ours(s.now); got != nil || len(s.m.agents[PMP].holdings) != 0 {
		t.Errorf("nothing is wanted, the router has %q, the machine %v", got, s.m.agents[PMP].holdings)
	}
}

// Whatever a router does, and when: never two actions at once, never a spin, nothing reachable that the router has not
// confirmed; within a minute of its last fault the ports are mapped; and at the end nothing is left in a router that answers.
func TestMachineLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRouter()
		s := begin(t, r, tcp4001, udp4001)
		faults := map[string]func(){
			"restart":  func() { r.restart(s.now) },
			"pmp":      func() { r.silent[PMP] = !r.silent[PMP] },
			"upnp":     func() { r.silent[UPnP] = !r.silent[UPnP] },
			"pmp dead": func() { r.gone[PMP] = !r.gone[PMP]; r.restart(s.now) },
			"no upnp":  func() { r.gone[UPnP] = !r.gone[UPnP] },
			"number": func() {
				r.address = rapid.SampledFrom([]Gateway{{Addr: outside1}, {Addr: outside2}, home, {}}).Draw(rt, "address").Addr
			},
			"endless": func() { r.endless = !r.endless },
			"taken": func() {
				if e := (entry{false, 4001}); r.table[e] == (lease{}) {
					r.table[e] = lease{9, never, true}
				}
			},
			"short": func() { r.lifetime = 30 * time.Second },
			"ports": func() {
				s.m.Want(s.now, rapid.SampledFrom([][]Port{{tcp4001}, {tcp4001, udp4001}, {udp4001}}).Draw(rt, "ports"))
			},
		}
		var names []string
		for name := range faults {
			names = append(names, name)
		}
		slices.Sort(names)
		for range rapid.IntRange(0, 20).Draw(rt, "faults") {
			faults[rapid.SampledFrom(names).Draw(rt, "fault")]()
			before := s.done
			span := time.Duration(rapid.IntRange(0, 300).Draw(rt, "seconds")) * time.Second
			s.run(span)
			if got, limit := s.done-before, 60+int(span/time.Second)*2; got > limit {
				rt.Fatalf("%d actions in %v", got, span)
			}
			if len(s.m.agents[PMP].holdings)+len(s.m.agents[UPnP].holdings) > 4 {
				rt.Fatalf("more holdings than ports and protocols: %v %v", s.m.agents[PMP].holdings, s.m.agents[UPnP].holdings)
			}
		}
		r.silent, r.gone, r.address, r.endless = [2]bool{}, [2]bool{}, outside1, false
		s.m.Want(s.now, []Port{tcp4001, udp4001})
		s.run(time.Minute)
		if len(s.m.Mappings()) != 2 || len(r.ours(s.now)) < 2 {
			rt.Fatalf("a minute after the last fault: %q, the router has %q: %+v", s.mapped(), r.ours(s.now), s.m.report(nil))
		}
		for _, m := range s.m.Mappings() {
			if l := r.table[entry{m.Port.UDP, m.External.Port()}]; l.other || l.internal != m.Port.Number {
				rt.Fatalf("%v is said to be mapped, the router has %+v", m, l)
			}
		}
		s.m.Stop(s.now)
		s.run(time.Minute)
		if !s.m.Done() {
			rt.Fatal("not done")
		}
		s.run(LifetimeDefault)
		if left := r.ours(s.now); left != nil {
			rt.Fatalf("left in the router for ever: %q", left)
		}
	})
}

// Law: no sequence of results, sensible or not, makes it panic, spin, keep more than its bounds or publish an address that
// the internet cannot reach.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 250, 7, 9})
	f.Add([]byte("any bytes are a sequence of results and waits"))
	f.Fuzz(func(t *testing.T, in []byte) {
		in = in[:min(len(in), 2000)]
		m := newMachine(0)
		var now time.Duration
		m.Gateway(now, home)
		m.Want(now, []Port{tcp4001, udp4001})
		errs := []error{nil, nil, nil, ErrSilent, ErrGone, ErrRefused, ErrTaken, ErrNoAddress, ErrPermanent, ErrNonsense}
		addresses := []Gateway{{Addr: outside1}, {Addr: outside2}, home, {}, {Addr: netip.IPv4Unspecified()}}
		next := func() byte {
			if len(in) == 0 {
				return 0
			}
			b := in[0]
			in = in[1:]
			return b
		}
		for len(in) > 0 {
			act, ok := m.Next()
			if !ok {
				now += time.Duration(next()) * time.Second / 4
				m.Expire(now)
				if m.Deadline() <= now {
					if act, ok = m.Next(); !ok {
						t.Fatalf("at %v it wants to be called at %v, and has nothing to do", now, m.Deadline())
					}
				} else {
					continue
				}
			}
			b := next()
			r := result{Action: act, Err: errs[int(b)%len(errs)], Address: addresses[int(next())%len(addresses)].Addr,
				Epoch: time.Duration(next()) * time.Hour, HasEpoch: b&16 != 0, External: uint16(next()) << 8,
				Lifetime: time.Duration(int8(next())) * time.Minute}
			if b&32 != 0 {
				for _, h := range act.Held {
					r.Missing = append(r.Missing, h.Port)
				}
			}
			switch b >> 6 {
			case 3:
				m.Gateway(now, addresses[int(b)%2*2])
			case 2:
				m.Stop(now)
			}
			m.Receive(now, r)
			if len(m.out) > protocols*(portLimit+2) || len(m.events) > eventsLimit {
				t.Fatalf("%d actions and %d events are kept", len(m.out), len(m.events))
			}
			for _, x := range m.Mappings() {
				if !public(x.External.Addr()) || x.External.Port() == 0 {
					t.Fatalf("published: %v", x)
				}
			}
		}
	})
}
