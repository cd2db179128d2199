package natmap

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// A Machine decides: whom to ask, what to map, when to ask again. It makes no call, reads no clock and starts nothing; time is
// an argument, and what it wants done comes out of Next. One goroutine owns it.
//
//	Gateway, Want, Stop ─▶ ┌─────────┐ ─▶ Next: actions, at most one under way for each protocol
//	Receive (results)   ─▶ │ Machine │ ─▶ Mappings, NextEvent
//	Expire (time)       ─▶ └─────────┘ ─▶ Deadline: when to come back
//
// Both protocols are asked side by side. One of them, the holder, makes the mappings; the other one stands by. An agent, which is one
// protocol at the gateway, is in one of these states:
//
//	asking ──answers──▶ ready ──twice silent, or gone──▶ waiting
//	   ▲                  ▲                                 │
//	   └──── never did ───┴──────────── answers ────────────┘
type Machine struct {
	lifetime time.Duration
	gateway  Gateway
	turn     uint64 // counts gateways: results of an earlier one are known by it
	since    time.Duration
	ports    []Port
	agents   [protocols]agent
	holder   *agent // nil: none
	stopping bool

	mapNothing bool // only look; fixed before the first call

	out    []Action
	events []Event
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

// NewMachine makes a machine that asks for mappings of this lifetime; 0 means LifetimeDefault. It knows no gateway yet.
func NewMachine(lifetime time.Duration) *Machine {
	if lifetime == 0 {
		lifetime = LifetimeDefault
	}
	m := &Machine{lifetime: lifetime}
	m.forget(0)
	return m
}

// forget begins anew with a gateway.
func (m *Machine) forget(now time.Duration) {
	m.turn++
	m.since = now
	m.holder = nil
	for i := range m.agents {
		m.agents[i] = agent{via: Protocol(i), probeAt: now, epochAt: -1, holdings: map[Port]*holding{}}
	}
}

// Gateway says which router stands between this host and the world now; zero: none. What another one holds is removed
// there, as well as that can be done from where the host is now.
func (m *Machine) Gateway(now time.Duration, g Gateway) {
	if g == m.gateway {
		return
	}
	if !m.gateway.isZero() {
		for i := range m.agents {
			a := &m.agents[i]
			if a.state != asking {
				m.tell(a, Event{Kind: GatewayLost})
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
func (m *Machine) abandon(via Protocol, held Held) {
	m.out = append(m.out, Action{Verb: Unmap, Via: via, Gateway: m.gateway, Port: held.Port, External: held.External})
}

// Want says which ports are to be mapped; more than portLimit are cut off.
func (m *Machine) Want(now time.Duration, ports []Port) {
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
func (m *Machine) Stop(now time.Duration) {
	m.stopping = true
	m.ports = nil
	m.plan(now)
}

// Done reports whether a stopped machine has nothing under way and holds nothing that it could remove.
func (m *Machine) Done() bool {
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
func (m *Machine) Next() (Action, bool) {
	if len(m.out) == 0 {
		return Action{}, false
	}
	act := m.out[0]
	m.out = m.out[1:]
	return act, true
}

// NextEvent returns the oldest event that has not been taken.
func (m *Machine) NextEvent() (Event, bool) {
	if len(m.events) == 0 {
		return Event{}, false
	}
	e := m.events[0]
	m.events = m.events[1:]
	return e, true
}

func (m *Machine) tell(a *agent, e Event) {
	e.Via, e.Gateway = a.via, m.gateway.Addr
	m.events = append(m.events, e)
	if len(m.events) > eventsLimit {
		m.events = slices.Delete(m.events, 0, len(m.events)-eventsLimit)
	}
}

// Mappings are the ports that can be reached from outside at this moment, in their order. What the agent that stands by once
// mapped counts while the holder is out of order.
func (m *Machine) Mappings() []Mapping {
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
func (m *Machine) inOrder() [protocols]*agent {
	one, other := &m.agents[PMP], &m.agents[UPnP]
	if m.holder == other {
		one, other = other, one
	}
	return [protocols]*agent{one, other}
}

// Expire says that time has passed: mappings end, and what is due is asked for.
func (m *Machine) Expire(now time.Duration) {
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
func (m *Machine) lose(a *agent, p Port, now time.Duration, why error) {
	h := a.holdings[p]
	m.tell(a, Event{Kind: MappingLost, Port: p, External: netip.AddrPortFrom(a.address, h.external), Err: why})
	h.external = 0
	h.nextAt = min(h.nextAt, now)
}

// Deadline is when Expire wants to be called, never being the largest Duration.
func (m *Machine) Deadline() time.Duration {
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
func (m *Machine) waitsForPMP() bool {
	return m.holder == nil && m.agents[PMP].state == asking && m.agents[PMP].failures == 0 && m.agents[UPnP].usable()
}

func (a *agent) usable() bool { return a.state == ready && public(a.address) }

// plan chooses the holder and gives every agent that has nothing to do its next action.
func (m *Machine) plan(now time.Duration) {
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
func (m *Machine) choose(now time.Duration) {
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

// doubt has everything mapped again at once: what was confirmed may be gone.
func (a *agent) doubt(now time.Duration) {
	for _, h := range a.holdings {
		h.nextAt = min(h.nextAt, now)
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
func (m *Machine) next(now time.Duration, a *agent) (Action, bool) {
	if m.gateway.isZero() {
		return Action{}, false
	}
	if a.state == ready {
		if p, h, ok := m.stray(a); ok {
			return Action{Verb: Unmap, Port: p, External: h.external}, true
		}
	}
	if m.stopping || len(m.ports) == 0 {
		return Action{}, false
	}
	if a.probeAt <= now {
		return Action{Verb: Probe, Held: a.held()}, true
	}
	if a != m.holder || !a.usable() || m.mapNothing {
		return Action{}, false
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
	return Action{}, false
}

// wish is the action that maps or renews.
func (m *Machine) wish(p Port, h *holding) Action {
	act := Action{Verb: Map, Port: p, External: h.external, Lifetime: m.lifetime}
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
func (m *Machine) stray(a *agent) (Port, *holding, bool) {
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

func (a *agent) held() (held []Held) {
	for _, p := range sorted(a.holdings) {
		if h := a.holdings[p]; h.mapped() {
			held = append(held, Held{p, h.external})
		}
	}
	return held
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

// Receive takes the result of an action.
func (m *Machine) Receive(now time.Duration, r Result) {
	if r.Action.turn != m.turn {
		if r.Action.Verb == Map && r.Err == nil && r.External != 0 { // made at a gateway that is not ours any more
			r.Action.Verb, r.Action.External, r.Action.turn = Unmap, r.External, 0
			m.out = append(m.out, r.Action)
		}
		return
	}
	a := &m.agents[r.Action.Via]
	a.busy = false
	switch r.Action.Verb {
	case Probe:
		m.probed(now, a, &r)
	case Map:
		m.mapped(now, a, &r)
	case Unmap:
		m.unmapped(now, a, &r)
	}
	m.plan(now)
}

// answered is for everything that shows that the gateway is there.
func (m *Machine) answered(now time.Duration, a *agent, r *Result) {
	a.failures, a.err = 0, nil
	restarted := a.suspect
	if r.HasEpoch {
		restarted = restarted || a.fell(now, r.Epoch)
		a.epoch, a.epochAt = r.Epoch, now
	}
	a.suspect = false
	if restarted {
		m.restarted(now, a)
	}
}

// fell reports whether the gateway's clock shows that it has restarted: RFC 6886, section 3.6.
func (a *agent) fell(now, epoch time.Duration) bool {
	if a.epochAt < 0 {
		return false
	}
	expected := a.epoch + (now-a.epochAt)/8*7
	return epoch+2*time.Second < expected
}

// restarted: what the gateway held is gone, and is asked for again at once. It stays published for the moment that takes.
func (m *Machine) restarted(now time.Duration, a *agent) {
	m.tell(a, Event{Kind: GatewayRestarted})
	a.doubt(now)
}

func (m *Machine) probed(now time.Duration, a *agent, r *Result) {
	if r.Err != nil && !errors.Is(r.Err, ErrNoAddress) {
		a.others = r.Others
		m.failed(now, a, r.Err)
		return
	}
	m.answered(now, a, r)
	if a.state != ready {
		m.tell(a, Event{Kind: GatewayFound, External: netip.AddrPortFrom(r.Address, 0)})
	}
	a.state, a.ever, a.device, a.others = ready, true, r.Device, r.Others
	m.moved(now, a, r.Address)
	for p, h := range a.holdings {
		if !slices.Contains(r.Missing, p) {
			h.losses = 0
		}
	}
	for _, p := range r.Missing {
		m.missing(now, a, p)
	}
	a.probeAt = now + checkEvery
	switch {
	case !public(a.address):
		a.err = ErrNoAddress
		a.probeAt = now + noAddressEvery
	case m.holder != nil && m.holder != a && m.holder.usable():
		a.probeAt = now + spareEvery
	}
}

// moved notes the external address, and tells about it unless the other agent has done so or is the one to do so.
func (m *Machine) moved(now time.Duration, a *agent, address netip.Addr) {
	old, before := a.address, a.verdict
	a.address, a.verdict = address, shut
	if public(address) {
		a.verdict = reachable
	}
	other := &m.agents[UPnP-a.via]
	if m.holder == other && old != address {
		other.probeAt = min(other.probeAt, now)
		return
	}
	switch {
	case a.verdict == shut && before != shut && other.verdict != shut:
		m.tell(a, Event{Kind: NotPublic, External: netip.AddrPortFrom(address, 0)})
	case a.verdict == reachable && before != unknown && old != address:
		m.tell(a, Event{Kind: AddressChanged, External: netip.AddrPortFrom(address, 0)})
	}
}

// missing: the gateway does not have a mapping that it has confirmed.
func (m *Machine) missing(now time.Duration, a *agent, p Port) {
	h := a.holdings[p]
	if !h.mapped() {
		return
	}
	h.nextAt = now
	m.lose(a, p, now, ErrNonsense)
	if h.losses++; h.losses >= lossLimit {
		m.refused(now, a, p, ErrNonsense)
	}
}

// failed: no sensible answer. Mappings stay until they end by themselves: the gateway may only be deaf.
func (m *Machine) failed(now time.Duration, a *agent, err error) {
	a.err = err
	a.failures++
	a.probeAt = now + a.backoff()
	if errors.Is(err, ErrGone) {
		a.suspect = true
	}
	if a.state == ready && a.failures >= 2 {
		a.state = waiting
		m.tell(a, Event{Kind: GatewayLost, Err: err})
		m.wakeOther(now, a)
	}
	if a.suspect && a.failures >= 2 {
		for _, p := range sorted(a.holdings) {
			if a.holdings[p].mapped() {
				m.lose(a, p, now, err)
			}
		}
	}
}

// wakeOther has the protocol that stands by asked at once.
func (m *Machine) wakeOther(now time.Duration, a *agent) {
	if other := &m.agents[UPnP-a.via]; other.state == ready {
		other.probeAt = min(other.probeAt, now)
	}
}

func (a *agent) backoff() time.Duration {
	limit := retryMax
	if !a.ever {
		limit = absentMax
	}
	return min(limit, retryMin<<min(a.failures-1, 10))
}

func (m *Machine) mapped(now time.Duration, a *agent, r *Result) {
	p := r.Action.Port
	h := a.holdings[p]
	if h == nil { // the port was mapped by the other agent meanwhile
		h = &holding{}
		a.holdings[p] = h
	}
	if r.Err == nil && (r.External == 0 || r.Lifetime < 0) {
		r.Err = ErrNonsense
	}
	if r.Err != nil {
		m.notMapped(now, a, p, h, r.Err)
		return
	}
	m.answered(now, a, r)
	a.noUntil = 0
	fresh := h.external != r.External
	if fresh && h.external != 0 {
		m.tell(a, Event{Kind: MappingLost, Port: p, External: netip.AddrPortFrom(a.address, h.external)})
	}
	life := m.lifetime
	if r.Lifetime > 0 {
		life = min(life, r.Lifetime)
	}
	h.external, h.tries, h.refused = r.External, 0, false
	h.until, h.nextAt = now+life, now+max(life/2, renewMin)
	if r.HasEpoch && r.Epoch < youngGateway {
		h.nextAt = min(h.nextAt, now+checkEvery)
	}
	if r.Lifetime == 0 {
		h.until = never
	} else if h.until < h.nextAt {
		h.until = h.nextAt + renewMin // granted for less than it takes to renew: it comes back, with gaps
	}
	if fresh {
		m.tell(a, Event{Kind: Mapped, Port: p, External: netip.AddrPortFrom(a.address, r.External)})
	}
}

func (m *Machine) notMapped(now time.Duration, a *agent, p Port, h *holding, err error) {
	switch {
	case errors.Is(err, ErrTaken):
		if h.external != 0 { // what was ours is another's
			m.lose(a, p, now, err)
		}
		h.tries++
		h.nextAt = now
		if h.tries >= conflictLimit {
			m.refused(now, a, p, err)
		}
	case errors.Is(err, ErrPermanent) && !h.endless:
		h.endless, h.nextAt = true, now
	case errors.Is(err, ErrRefused), errors.Is(err, ErrNonsense), errors.Is(err, ErrPermanent):
		m.refused(now, a, p, err)
	case errors.Is(err, ErrNoAddress):
		h.nextAt = now + noAddressEvery
		a.probeAt = now // it tells what is the matter
		m.answered(now, a, &Result{})
	default:
		h.nextAt = now + retryMin
		m.failed(now, a, err)
	}
}

// refused: no. The other protocol may have its try; this one is asked again much later.
func (m *Machine) refused(now time.Duration, a *agent, p Port, err error) {
	h := a.holdings[p]
	if !h.refused {
		m.tell(a, Event{Kind: MappingRefused, Port: p, Err: err})
	}
	a.failures, a.err = 0, err
	h.tries, h.losses, h.refused = 0, 0, true
	h.nextAt = now + refusedEvery
	a.noUntil = h.nextAt
}

// unmapped: gone, or it ends by itself. Only one without an end is tried again, when the gateway answers.
func (m *Machine) unmapped(now time.Duration, a *agent, r *Result) {
	deaf := errors.Is(r.Err, ErrSilent) || errors.Is(r.Err, ErrGone)
	h := a.holdings[r.Action.Port]
	if h != nil && (!deaf || m.stopping || h.until != never) {
		delete(a.holdings, r.Action.Port)
	}
	if deaf {
		m.failed(now, a, r.Err)
	} else {
		m.agents[UPnP-a.via].doubt(now) // the other's mapping may have been the same
	}
}
