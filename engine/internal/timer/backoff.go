package timer

import "time"

// A Backoff says how long to wait before something is tried again: First, doubled with each failure, to Max at most, and
// of that a random part, so that many who failed together do not come back together.
type Backoff struct {
	First, Max time.Duration

	// Jitter is the part of each wait that is left to chance, 0 to 1: the wait is between (1-Jitter) times the full one and
	// the full one. So Max holds.
	Jitter float64
}

// Wait is the time to wait after so many failures, of which the first is 1; chance is a random number.
func (b Backoff) Wait(failures int, chance uint64) time.Duration {
	full := b.First
	for ; failures > 1 && full < b.Max; failures-- {
		full *= 2
		if full <= 0 { // it does not fit
			full = b.Max
		}
	}
	full = min(full, b.Max)
	spread := time.Duration(b.Jitter * float64(full))
	if spread <= 0 {
		return full
	}
	return full - time.Duration(chance%uint64(spread+1))
}
