package load

import "time"

// A stamp is what a planned one-way message carries in its header: when it should have left, in the low 40 bits, as Unix
// nanoseconds modulo 2^40 (18 minutes, far beyond latencyLimit), and above them how much later it did, in units of 1.024 us up to
// 17 s. 0 is no stamp.
type stamp int64

const (
	stampBits     = 40
	stampMask     = 1<<stampBits - 1
	stampLateUnit = 10 // a shift: 1024 ns
	stampLateMax  = 1<<(64-stampBits) - 1
)

func newStamp(planned, left time.Time) stamp {
	late := min(max(left.Sub(planned), 0)>>stampLateUnit, stampLateMax)
	return stamp(uint64(late)<<stampBits | uint64(planned.UnixNano())&stampMask | 1)
}

// since returns how long before now the message should have left, and how long before it did.
func (s stamp) since(now time.Time) (planned, left time.Duration) {
	planned = time.Duration((uint64(now.UnixNano()) - uint64(s)) & stampMask)
	if planned > stampMask/2 {
		planned = 0 // from the future: a wall clock was set back
	}
	return planned, max(planned-time.Duration(uint64(s)>>stampBits<<stampLateUnit), 0)
}
