package skad

import "time"

// rttUnit is the resolution of remembered round trips: two bytes then hold 6.5 s.
const rttUnit = 100 * time.Microsecond

// A roundTrip is the smoothed round trip time and its variation, in rttUnit, as RFC 6298 (2.2, 2.3) computes them. srtt
// 0: not measured.
type roundTrip struct{ srtt, rttvar uint16 }

// add takes a measurement.
func (r roundTrip) add(took time.Duration) roundTrip {
	v := int(max(1, min(took/rttUnit, 1<<16-1)))
	if r.srtt == 0 {
		return roundTrip{uint16(v), uint16(v / 2)}
	}
	srtt, rttvar := int(r.srtt), int(r.rttvar)
	rttvar += (max(srtt-v, v-srtt) - rttvar) / 4
	srtt += (v - srtt) / 8
	return roundTrip{uint16(max(1, srtt)), uint16(rttvar)}
}

// timeout returns how long to wait for an answer.
func (r roundTrip) timeout() time.Duration {
	if r.srtt == 0 {
		return callTimeoutMost
	}
	return max(callTimeoutLeast, min(callTimeoutMost, (time.Duration(r.srtt)+4*time.Duration(r.rttvar))*rttUnit))
}

// measure notes a round trip to slot i.
func (c *Core) measure(i uint16, took time.Duration) {
	s := &c.slots[i]
	r := roundTrip{s.srtt, s.rttvar}.add(took)
	s.srtt, s.rttvar = r.srtt, r.rttvar
	c.rtt = c.rtt.add(took)
}

// timeout returns how long to wait for an answer of slot i; a contact that was never measured is expected to be like
// the others.
func (c *Core) timeout(i uint16) time.Duration {
	if s := &c.slots[i]; s.srtt != 0 {
		return roundTrip{s.srtt, s.rttvar}.timeout()
	}
	return c.rtt.timeout()
}
