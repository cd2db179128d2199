package natmap

import (
	"slices"
	"time"
)

func (a *agent) usable() bool { return a.state == ready && public(a.address) }

// plan chooses the holder and gives every agent that has nothing to do its next action.
func (m *machine) plan(now time.Duration) {
	m.choose(now)
	for i := range m.agents {
		a := &m.agents[i]
		if a.busy {
			continue
		}
		if act, ok := m.next(now, a); ok {
			act.Via, act.Gateway, act.turn = a.via, m.gateway, m.turn
			a.busy = true
			m.out = append(m.out, act)
		}
	}
}

// choose decides who makes the mappings. A holder stays one for as long as it answers and has not said no to all.
func (m *machine) choose(now time.Duration) {
	if m.stopping || m.holder != nil && m.holder.usable() && !m.holder.useless(now) {
		return
	}
	if m.waitsForPMP() && now < m.since+sideBySide {
		return
	}
	for i := range m.agents {
		if a := &m.agents[i]; a != m.holder && a.usable() && !a.useless(now) {
			m.holder = a
			a.doubt(now)
			return
		}
	}
}

// doubt has everything mapped again at that time: what was confirmed may be gone.
func (a *agent) doubt(at time.Duration) {
	for _, h := range a.holdings {
		h.nextAt = min(h.nextAt, at)
	}
}

// useless: it has said no, and holds nothing.
func (a *agent) useless(now time.Duration) bool {
	if a.noUntil <= now {
		return false
	}
	for _, h := range a.holdings {
		if h.mapped() {
			return false
		}
	}
	return true
}

// next is what an agent does next, if anything.
func (m *machine) next(now time.Duration, a *agent) (action, bool) {
	if m.gateway.isZero() {
		return action{}, false
	}
	if a.state == ready {
		if p, h, ok := m.stray(a); ok {
			return action{Verb: verbUnmap, Port: p, External: h.external}, true
		}
	}
	if m.stopping || len(m.ports) == 0 {
		return action{}, false
	}
	if a.probeAt <= now {
		return action{Verb: verbProbe, Held: a.held()}, true
	}
	if a != m.holder || !a.usable() || m.mapNothing {
		return action{}, false
	}
	for _, p := range m.ports {
		h := a.holdings[p]
		if h == nil {
			h = &holding{nextAt: now}
			a.holdings[p] = h
		}
		if h.nextAt <= now {
			return m.wish(p, h), true
		}
	}
	return action{}, false
}

// wish is the action that maps or renews.
func (m *machine) wish(p Port, h *holding) action {
	act := action{Verb: verbMap, Port: p, External: h.external, Lifetime: m.lifetime}
	if act.External == 0 {
		act.External = candidate(p, h.tries)
	}
	if h.endless {
		act.Lifetime = 0
	}
	return act
}

// candidate is the external port to try after this many were taken: first the port itself, then some of the dynamic ones,
// far apart, so that two nodes behind one router do not walk over the same.
func candidate(p Port, tries int) uint16 {
	if tries == 0 {
		return p.Number
	}
	const first, span = 49152, 16384
	return first + uint16((uint32(p.Number)*31+uint32(tries)*6151)%span)
}

// stray is a mapping that should not be there: nobody wants the port, or the holder has mapped it to another external one.
// Where it is the same external port the two may be one, which many routers make of both protocols' mappings; then it is
// left alone until nobody wants it.
func (m *machine) stray(a *agent) (Port, *holding, bool) {
	for _, p := range sorted(a.holdings) {
		h := a.holdings[p]
		if !h.mapped() {
			continue
		}
		if !slices.Contains(m.ports, p) {
			return p, h, true
		}
		if m.holder == nil || m.holder == a {
			continue
		}
		if their := m.holder.holdings[p]; their.mapped() && their.external != h.external {
			return p, h, true
		}
	}
	return Port{}, nil, false
}

func (a *agent) held() (all []held) {
	for _, p := range sorted(a.holdings) {
		if h := a.holdings[p]; h.mapped() {
			all = append(all, held{p, h.external})
		}
	}
	return all
}

// sorted are the ports of a table in an order that is the same every time.
func sorted(holdings map[Port]*holding) []Port {
	ports := make([]Port, 0, len(holdings))
	for p := range holdings {
		ports = append(ports, p)
	}
	slices.SortFunc(ports, func(x, y Port) int {
		if x.UDP != y.UDP {
			if y.UDP {
				return -1
			}
			return 1
		}
		return int(x.Number) - int(y.Number)
	})
	return ports
}
