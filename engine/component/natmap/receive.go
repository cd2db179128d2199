package natmap

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Receive takes the result of an action.
func (m *machine) Receive(now time.Duration, r result) {
	if r.Action.turn != m.turn {
		if r.Action.Verb == verbMap && r.Err == nil && r.External != 0 { // made at a gateway that is not ours any more
			r.Action.Verb, r.Action.External, r.Action.turn = verbUnmap, r.External, 0
			m.out = append(m.out, r.Action)
		}
		return
	}
	a := &m.agents[r.Action.Via]
	a.busy = false
	switch r.Action.Verb {
	case verbProbe:
		m.probed(now, a, &r)
	case verbMap:
		m.mapped(now, a, &r)
	case verbUnmap:
		m.unmapped(now, a, &r)
	}
	m.plan(now)
}

// answered is for everything that shows that the gateway is there.
func (m *machine) answered(now time.Duration, a *agent, r *result) {
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

// restarted: what the gateway held is gone, and is asked for again at once. It stays published for the
// moment that takes. A gateway whose clock falls with each answer is not asked faster than it is checked.
func (m *machine) restarted(now time.Duration, a *agent) {
	m.tell(a, event{Kind: gatewayRestarted})
	a.doubt(max(now, a.calmAt))
	if a.calmAt <= now {
		a.calmAt = now + checkEvery
	}
}

func (m *machine) probed(now time.Duration, a *agent, r *result) {
	if r.Err != nil && !errors.Is(r.Err, ErrNoAddress) {
		a.others = r.Others
		m.failed(now, a, r.Err)
		return
	}
	m.answered(now, a, r)
	if a.state != ready {
		m.tell(a, event{Kind: gatewayFound, External: netip.AddrPortFrom(r.Address, 0)})
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
func (m *machine) moved(now time.Duration, a *agent, address netip.Addr) {
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
		m.tell(a, event{Kind: notPublic, External: netip.AddrPortFrom(address, 0)})
	case a.verdict == reachable && before != unknown && old != address:
		m.tell(a, event{Kind: addressChanged, External: netip.AddrPortFrom(address, 0)})
	}
}

// missing: the gateway does not have a mapping that it has confirmed.
func (m *machine) missing(now time.Duration, a *agent, p Port) {
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
func (m *machine) failed(now time.Duration, a *agent, err error) {
	a.err = err
	a.failures++
	a.probeAt = now + a.backoff()
	if errors.Is(err, ErrGone) {
		a.suspect = true
	}
	if a.state == ready && a.failures >= 2 {
		a.state = waiting
		m.tell(a, event{Kind: gatewayLost, Err: err})
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
func (m *machine) wakeOther(now time.Duration, a *agent) {
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

func (m *machine) mapped(now time.Duration, a *agent, r *result) {
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
		m.tell(a, event{Kind: mappingLost, Port: p, External: netip.AddrPortFrom(a.address, h.external)})
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
		m.tell(a, event{Kind: mapped, Port: p, External: netip.AddrPortFrom(a.address, r.External)})
	}
}

func (m *machine) notMapped(now time.Duration, a *agent, p Port, h *holding, err error) {
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
		m.answered(now, a, &result{})
	default:
		h.nextAt = now + retryMin
		m.failed(now, a, err)
	}
}

// refused: no. The other protocol may have its try; this one is asked again much later.
func (m *machine) refused(now time.Duration, a *agent, p Port, err error) {
	h := a.holdings[p]
	if !h.refused {
		m.tell(a, event{Kind: mappingRefused, Port: p, Err: err})
	}
	a.failures, a.err = 0, err
	h.tries, h.losses, h.refused = 0, 0, true
	h.nextAt = now + refusedEvery
	a.noUntil = h.nextAt
}

// unmapped: gone, or it ends by itself. Only one without an end is tried again, when the gateway answers.
func (m *machine) unmapped(now time.Duration, a *agent, r *result) {
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
