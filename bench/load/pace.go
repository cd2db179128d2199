package load

import (
	"runtime"
	"time"
)

// A schedule says when messages should be sent: message k at k/rate after the start. Times are computed from k and not
// from the time before, so that an odd rate does not drift.
type schedule struct {
	rate float64 // per second, above 0
	sent int     // how many have been handed out
}

// at returns when message k should be sent.
func (s *schedule) at(k int) time.Duration {
	return time.Duration(float64(k) / s.rate * float64(time.Second))
}

// due returns how many should have been sent by now and have not been.
func (s *schedule) due(now time.Duration) int {
	k := int(now.Seconds() * s.rate)
	for s.at(k) <= now { // the product above may have been rounded down
		k++
	}
	return max(k-s.sent, 0)
}

// unsent returns how many messages of a part's timetable nobody got round to sending; 0 in a closed loop.
func unsent(p *part, rate float64, sent uint64) uint64 {
	if rate <= 0 {
		return 0
	}
	planned := uint64((&schedule{rate: rate}).due(p.lasted))
	return planned - min(sent, planned)
}

// A ticket is the order to send n messages, the first at a planned time, the others evenly after it.
type ticket struct {
	at    time.Time
	every time.Duration
	n     int
}

// ticketsLimit is how many tickets wait for a free worker before the pacer waits too. What waits is not forgotten: its planned
// time stands, and its latency grows.
const ticketsLimit = 1024

// pace hands out tickets until the part stops. Whoever is free takes the next one: so work does not wait for a busy
// worker while another is idle. With one ticket for each message (split false) n is always 1; else what is due is dealt
// out in about as many tickets as there are workers.
func pace(p *part, rate float64, workers int, split bool) <-chan ticket {
	tickets := make(chan ticket, ticketsLimit)
	p.watching.Go(func() {
		defer close(tickets)
		// A thread of its own, which sleeps in the kernel: the runtime's timers are a millisecond coarse while it is idle.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		s := schedule{rate: rate}
		for !p.stopped.Load() {
			due := s.due(time.Since(p.start))
			if due == 0 {
				sleepPrecisely(min(s.at(s.sent)-time.Since(p.start), stopLateness))
				continue
			}
			n := 1
			if split {
				n = (due + workers - 1) / workers
			}
			t := ticket{at: p.start.Add(s.at(s.sent)), every: s.at(1), n: n}
			select {
			case tickets <- t:
				s.sent += n
			case <-p.stop:
				return
			}
			if due == n {
				runtime.Gosched() // lets the worker go ahead before this thread sleeps
			}
		}
	})
	return tickets
}

// stopLateness is the longest a pacer sleeps before it looks whether its part has stopped.
const stopLateness = 20 * time.Millisecond
