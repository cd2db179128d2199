package timer

import (
	"math"
	"time"
)

// Tick is the resolution. Deadlines are rounded up to it, so a timer fires up to one tick late and never early. 1 ms is
// finer than any deadline of the protocol needs and as fine as epoll_wait can sleep.
const Tick = time.Millisecond

// origin is the tick of time zero. It makes ticks of negative times positive and is aligned to every level, so that the
// slots lie the same on both sides of zero.
const origin = 1 << 44

// All of time.Duration, 9.3e12 ticks to either side of zero, lies within the levels; proved when compiling.
const (
	_ = uint64(origin - math.MaxInt64/int64(Tick) - 1)
	_ = uint64(1<<(levels*digitBits) - 2*origin)
)

// tickBefore is the last tick that has begun at d.
func tickBefore(d time.Duration) uint64 {
	q := d / Tick
	if d%Tick < 0 {
		q--
	}
	return uint64(q + origin)
}

// tickAfter is the first tick that does not begin before d.
func tickAfter(d time.Duration) uint64 {
	q := d / Tick
	if d%Tick > 0 {
		q++
	}
	return uint64(q + origin)
}

// timeOf is when tick begins. The tick after the last whole one begins after the end of time.Duration, and is given as the end.
func timeOf(tick uint64) time.Duration {
	q := int64(tick) - origin
	if q > math.MaxInt64/int64(Tick) {
		return math.MaxInt64
	}
	return time.Duration(q) * Tick
}
