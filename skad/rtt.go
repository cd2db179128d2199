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

// timeout returns how long to wait for an answer. The margin is at least half of the round trip: on a steady path the
// variation goes to nothing, and then the next answer that is a little late is missed (RFC 6298 2.4 has a least time-out of a
// second for the same reason). Without it 3 % of a young node's questions to honest contacts were given up.
func (r roundTrip) timeout() time.Duration {
	if r.srtt == 0 {
		return callTimeoutMost
	}
	units := int(r.srtt) + max(4*int(r.rttvar), int(r.srtt)/2)
	return max(callTimeoutLeast, min(callTimeoutMost, time.Duration(units)*rttUnit))
}

// measure notes a round trip to slot i.
func (c *Core) measure(i uint16, took time.Duration) {
	s := &c.slots[i]
	r := roundTrip{s.srtt, s.rttvar}.add(took)
	s.srtt, s.rttvar = r.srtt, r.rttvar
}

// timeout returns how long to wait for an answer of slot i. A contact that was never measured gets the most: the others'
// round trips say nothing about how far away it is. So does one that has just missed a question (RFC 6298 5.5 backs off as
// well): it may be busy, and asking it twice within a moment would tell nothing.
func (c *Core) timeout(i uint16) time.Duration {
	if c.slots[i].misses > 0 {
		return callTimeoutMost
	}
	return roundTrip{c.slots[i].srtt, c.slots[i].rttvar}.timeout()
}
