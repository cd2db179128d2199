package natmap

import (
	"net/netip"
	"slices"
	"time"
)

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// A machine decides: whom to ask, what to map, when to ask again. It makes no call, reads no clock and starts nothing; time is
// an argument, and what it wants done comes out of Next. One goroutine owns it.
//
//	Gateway, Want, Stop ─▶ ┌─────────┐ ─▶ Next: actions, at most one under way for each protocol
//	Receive (results)   ─▶ │ machine │ ─▶ Mappings, NextEvent
//	Expire (time)       ─▶ └─────────┘ ─▶ Deadline: when to come back
//
// Both protocols are asked side by side. One of them, the holder, makes the mappings; the other one stands
// by. An agent, which is one protocol at the gateway, is in one of these states:
//
//	asking ──answers──▶ ready ──twice silent, or gone──▶ waiting
//	   ▲                  ▲                                 │
//	   └──── never did ───┴──────────── answers ────────────┘
type machine struct {
	lifetime time.Duration
	gateway  Gateway
	turn     uint64 // counts gateways: results of an earlier one are known by it
	since    time.Duration
	ports    []Port
	agents   [protocols]agent
	holder   *agent // nil: none
	stopping bool

	mapNothing bool // only look; fixed before the first call

	out    []action
	events []event
}

// An agent is one protocol at the gateway.
type agent struct {
	via      Protocol
	state    agentState
	busy     bool // an action is under way
	ever     bool // it has answered
	suspect  bool // nobody listened: whoever answers next has forgotten all
	failures int  // in a row
	probeAt  time.Duration
	err      error // of the last action that failed, nil once one succeeds

	address  netip.Addr // external, as it says
	device   string
	others   []netip.Addr
	epoch    time.Duration // at epochAt
	epochAt  time.Duration // negative: none yet
	calmAt   time.Duration // before it no further restart has everything mapped again
	verdict  verdict       // about the address
	noUntil  time.Duration // it has said no to a mapping, and is not the first choice until then
	holdings map[Port]*holding
}

type verdict uint8

const (
	unknown verdict = iota
	reachable
	shut // no address, or none that the internet can reach
)

type agentState uint8

const (
	asking agentState = iota
	ready
	waiting
)

// A holding is a mapping, or the wish for one.
type holding struct {
	external uint16 // 0: not mapped
	until    time.Duration
	nextAt   time.Duration // when to map or renew
	endless  bool          // the gateway maps without an end only
	tries    int           // external ports that were taken
	losses   int           // times in a row that the gateway had forgotten it
	refused  bool          // the last answer was no
}

// newMachine makes a machine that asks for mappings of this lifetime; 0 means LifetimeDefault. It knows no gateway yet.
func newMachine(lifetime time.Duration) *machine {
	if lifetime == 0 {
		lifetime = LifetimeDefault
	}
	m := &machine{lifetime: lifetime}
	m.forget(0)
	return m
}

// forget begins anew with a gateway.
func (m *machine) forget(now time.Duration) {
	m.turn++
	m.since = now
	m.holder = nil
	for i := range m.agents {
		m.agents[i] = agent{via: Protocol(i), probeAt: now, epochAt: -1, holdings: map[Port]*holding{}}
	}
}

// Gateway says which router stands between this host and the world now; zero: none. What another one holds is removed
// there, as well as that can be done from where the host is now.
func (m *machine) Gateway(now time.Duration, g Gateway) {
	if g == m.gateway {
		return
	}
	if !m.gateway.isZero() {
		for i := range m.agents {
			a := &m.agents[i]
			if a.state != asking {
				m.tell(a, event{Kind: gatewayLost})
			}
			for _, held := range a.held() {
				m.abandon(a.via, held)
			}
		}
	}
	m.forget(now)
	m.gateway = g
	m.plan(now)
}

// abandon removes a mapping of a gateway that is not ours any more; nobody waits for the outcome.
func (m *machine) abandon(via Protocol, held held) {
	m.out = append(m.out, action{Verb: verbUnmap, Via: via, Gateway: m.gateway, Port: held.Port, External: held.External})
}

// Want says which ports are to be mapped; more than portLimit are cut off.
func (m *machine) Want(now time.Duration, ports []Port) {
	m.ports = slices.Clone(ports[:min(len(ports), portLimit)])
	for i := range m.agents {
		holdings := m.agents[i].holdings
		for p, h := range holdings {
			if !h.mapped() && !slices.Contains(m.ports, p) {
				delete(holdings, p)
			}
		}
	}
	m.plan(now)
}

// Stop has every mapping removed. Done tells when nothing is left to do.
func (m *machine) Stop(now time.Duration) {
	m.stopping = true
	m.ports = nil
	m.plan(now)
}

// Done reports whether a stopped machine has nothing under way and holds nothing that it could remove.
func (m *machine) Done() bool {
	if !m.stopping || len(m.out) > 0 {
		return false
	}
	for i := range m.agents {
		if m.agents[i].busy {
			return false
		}
	}
	return true
}

// Next returns the next action to be done. Actions may be done at the same time.
func (m *machine) Next() (action, bool) {
	if len(m.out) == 0 {
		return action{}, false
	}
	act := m.out[0]
	m.out = m.out[1:]
	return act, true
}

// NextEvent returns the oldest event that has not been taken.
func (m *machine) NextEvent() (event, bool) {
	if len(m.events) == 0 {
		return event{}, false
	}
	e := m.events[0]
	m.events = m.events[1:]
	return e, true
}

func (m *machine) tell(a *agent, e event) {
	e.Via, e.Gateway = a.via, m.gateway.Addr
	m.events = append(m.events, e)
	if len(m.events) > eventsLimit {
		m.events = slices.Delete(m.events, 0, len(m.events)-eventsLimit)
	}
}

// Mappings are the ports that can be reached from outside at this moment, in their order. What the agent that stands by once
// mapped counts while the holder is out of order.
func (m *machine) Mappings() []Mapping {
	var out []Mapping
	for _, p := range m.ports {
		for _, a := range m.inOrder() {
			if h := a.holdings[p]; h.mapped() && public(a.address) {
				out = append(out, Mapping{Port: p, External: netip.AddrPortFrom(a.address, h.external), Via: a.via})
				break
			}
			if a == m.holder && a.usable() {
				break
			}
		}
	}
	return out
}

// mapped: the gateway has confirmed it. A nil holding is none.
func (h *holding) mapped() bool { return h != nil && h.external != 0 }

// inOrder are the agents, the holder first.
func (m *machine) inOrder() [protocols]*agent {
	one, other := &m.agents[PMP], &m.agents[UPnP]
	if m.holder == other {
		one, other = other, one
	}
	return [protocols]*agent{one, other}
}

// Expire says that time has passed: mappings end, and what is due is asked for.
func (m *machine) Expire(now time.Duration) {
	for i := range m.agents {
		a := &m.agents[i]
		for _, p := range sorted(a.holdings) {
			h := a.holdings[p]
			switch {
			case !h.mapped() || h.until > now:
			case m.holder != nil && m.holder != a && m.holder.holdings[p].mapped(): // the holder has it
				delete(a.holdings, p)
			default:
				m.lose(a, p, now, ErrSilent)
			}
		}
	}
	m.plan(now)
}

// lose notes that a mapping is not there any more; it is made again as soon as possible.
func (m *machine) lose(a *agent, p Port, now time.Duration, why error) {
	h := a.holdings[p]
	m.tell(a, event{Kind: mappingLost, Port: p, External: netip.AddrPortFrom(a.address, h.external), Err: why})
	h.external = 0
	h.nextAt = min(h.nextAt, now)
}

// Deadline is when Expire wants to be called, never being the largest Duration.
func (m *machine) Deadline() time.Duration {
	at := never
	if m.stopping || m.gateway.isZero() || len(m.ports) == 0 {
		return at
	}
	for i := range m.agents {
		a := &m.agents[i]
		for _, h := range a.holdings {
			if h.mapped() {
				at = min(at, h.until)
			}
		}
		if a.busy {
			continue // its result comes first
		}
		at = min(at, a.probeAt)
		if a == m.holder && a.usable() {
			for _, p := range m.ports {
				if h := a.holdings[p]; h != nil {
					at = min(at, h.nextAt)
				}
			}
		}
	}
	if m.waitsForPMP() {
		at = min(at, m.since+sideBySide)
	}
	return at
}

// waitsForPMP: UPnP would be ready, and NAT-PMP still has its chance.
func (m *machine) waitsForPMP() bool {
	return m.holder == nil && m.agents[PMP].state == asking && m.agents[PMP].failures == 0 && m.agents[UPnP].usable()
}
