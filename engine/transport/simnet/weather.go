package simnet

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"
)

// A Weather says what the network does to bytes. The zero Weather is a calm day: a millisecond each way, nothing lost,
// nothing cut, no limit of rate.
type Weather struct {
	// Latency is what a packet takes one way. 0 means 1 ms.
	Latency time.Duration

	// Jitter is added to Latency, anew for each piece of up to 16 KiB: anything from 0 to Jitter. Bytes of one
	// direction of a link do not overtake each other; those of different links do.
	Jitter time.Duration

	// Loss is the part of packets of 1,460 bytes that do not arrive the first time, 0 to 1. On a stream it shows as
	// delay: 200 ms, doubled for each further loss of the same packet, and what comes behind waits too.
	Loss float64

	// Twice and Short are the parts of datagrams, 0 to 1, that come twice, and that arrive cut at a random byte. Of datagrams
	// Loss is the part that never arrives, and Jitter lets them overtake each other; Rate and Cut do not concern them.
	Twice, Short float64

	// Cut is the part of reads, 0 to 1, that end at a random byte; the rest comes up to 1 ms later. It makes records
	// span reads.
	Cut float64

	// Rate is the bandwidth of each direction of each link, in bytes a second. 0 means no limit.
	Rate int64

	// ResetAfter is how long bytes are sent again and again to a host that cannot be reached before their link gives
	// up with ErrTimeout. 0 means 924.6 s, as Linux.
	ResetAfter time.Duration

	// DialTimeout is how long a dial that nobody answers lasts before it fails with ErrTimeout, if its context has
	// not ended. 0 means 127 s, as Linux.
	DialTimeout time.Duration

	// HardClose makes bytes that reach an end already closed by Close break the link: the other side gets ErrReset
	// and loses what was still on the way to it. Linux does this, and a farewell is lost that way. Without it such
	// bytes are swallowed and everything written before Close arrives.
	HardClose bool
}

// Validate reports everything that is wrong with w.
func (w Weather) Validate() error {
	var errs []error
	for _, s := range []struct {
		name string
		span time.Duration
	}{{"Latency", w.Latency}, {"Jitter", w.Jitter}, {"ResetAfter", w.ResetAfter}, {"DialTimeout", w.DialTimeout}} {
		if s.span < 0 || s.span > spanLimit {
			errs = append(errs, fmt.Errorf("simnet: weather: %s is %v, want 0 to %v", s.name, s.span, spanLimit))
		}
	}
	for _, p := range []struct {
		name string
		part float64
	}{{"Loss", w.Loss}, {"Cut", w.Cut}, {"Twice", w.Twice}, {"Short", w.Short}} {
		if !(p.part >= 0 && p.part <= 1) {
			errs = append(errs, fmt.Errorf("simnet: weather: %s is %v, want 0 to 1", p.name, p.part))
		}
	}
	if w.Rate < 0 {
		errs = append(errs, fmt.Errorf("simnet: weather: Rate is %d, want 0 or more", w.Rate))
	}
	return errors.Join(errs...)
}

// A climate is a Weather with its defaults filled in and its fractions as thresholds. All that follows is integer
// arithmetic: floating point may differ in the last bit from one processor to another, and so would the run.
type climate struct {
	latency, jitter, resetAfter, dialTimeout time.Duration
	loss, cut, twice, short                  uint64 // of 1<<32
	rate                                     uint64
	hardClose                                bool
}

func (w Weather) climate() *climate {
	if err := w.Validate(); err != nil {
		panic(err)
	}
	or := func(d, def time.Duration) time.Duration {
		if d == 0 {
			return def
		}
		return d
	}
	return &climate{
		latency:     or(w.Latency, latencyDefault),
		jitter:      w.Jitter,
		resetAfter:  or(w.ResetAfter, resetAfterDefault),
		dialTimeout: or(w.DialTimeout, dialTimeoutDefault),
		loss:        uint64(w.Loss * (1 << 32)),
		cut:         uint64(w.Cut * (1 << 32)),
		twice:       uint64(w.Twice * (1 << 32)),
		short:       uint64(w.Short * (1 << 32)),
		rate:        uint64(w.Rate),
		hardClose:   w.HardClose,
	}
}

// lineTime is how long the line is busy with n bytes.
func (c *climate) lineTime(n int) time.Duration {
	if c.rate == 0 {
		return 0
	}
	return time.Duration(mulDiv(uint64(n), uint64(time.Second), c.rate))
}

// lineBytes is how many bytes keep the line busy for d.
func (c *climate) lineBytes(d time.Duration) int {
	if c.rate == 0 || d <= 0 {
		return 0
	}
	return int(mulDiv(uint64(d), c.rate, uint64(time.Second)))
}

// mulDiv is a*b/c, or a very large number where that does not fit.
func mulDiv(a, b, c uint64) uint64 {
	const large = uint64(spanLimit)
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return large
	}
	q, _ := bits.Div64(hi, lo, c)
	return min(q, large)
}

// A path is one direction between two hosts.
type path struct{ from, to netip.Addr }

// SetWeather changes the weather everywhere but on the paths that have their own. What is on its way is not changed. It
// panics if w is not valid. Any goroutine.
func (n *Net) SetWeather(w Weather) {
	c := w.climate()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.climate = c
	n.climateSeq++
}

// SetPath gives the direction from one host to another a weather of its own, for links of today and tomorrow: call it
// twice for both directions. ResetAfter, DialTimeout and HardClose of w count for what is sent this way. It panics if w is
// not valid. Any goroutine.
func (n *Net) SetPath(from, to netip.Addr, w Weather) {
	c := w.climate()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paths[path{from.Unmap(), to.Unmap()}] = c
	n.climateSeq++
}

func (n *Net) climateOf(from, to netip.Addr) *climate {
	if c := n.paths[path{from, to}]; c != nil {
		return c
	}
	return n.climate
}

// The dice. Each throw moves the one generator, so the order of throws is part of what the seed decides.

// between throws a span in [least, most].
func (n *Net) between(least, most time.Duration) time.Duration {
	return least + time.Duration(n.below(uint64(most-least)+1))
}

// below throws a number in [0, limit).
func (n *Net) below(limit uint64) uint64 {
	hi, _ := bits.Mul64(n.dice.Uint64(), limit)
	return hi
}

// chance throws whether something of probability part/2^32 happens. The impossible needs no throw.
func (n *Net) chance(part uint64) bool {
	return part > 0 && n.dice.Uint64()>>32 < part
}

// travel throws what one packet, or a piece of size bytes, takes on a path once it has left, losses included.
func (n *Net) travel(c *climate, size int, again time.Duration) time.Duration {
	d := c.latency
	if c.jitter > 0 {
		d += n.between(0, c.jitter)
	}
	if c.loss == 0 {
		return d
	}
	worst := time.Duration(0)
	for left := size; ; left -= packetSize {
		late, wait := time.Duration(0), again
		for try := 0; try < lossTries && n.chance(c.loss); try++ {
			late += wait
			wait *= 2
		}
		worst = max(worst, late)
		if left <= packetSize {
			return d + worst
		}
	}
}
