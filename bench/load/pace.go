package load

import (
	"math"
	"math/rand/v2"
	"runtime"
	"time"
)

// A timetable says how many sendings are planned by when: stages one after the other, each with a rate that goes evenly from
// one value to another. It has no state. The zero timetable plans nothing: a closed loop.
type timetable struct {
	stages  []Stage
	poisson bool // arrivals as of strangers who know nothing of each other; false: evenly
}

// forever is the length of a stage without an end. 10 years: times in it still fit a Duration.
const forever = 10 * 365 * 24 * time.Hour

func steady(rate float64) timetable {
	if rate <= 0 {
		return timetable{}
	}
	return timetable{stages: []Stage{{For: forever, From: rate, To: rate}}}
}

func (t timetable) open() bool { return len(t.stages) > 0 }

// planned returns how many sendings' worth of rate has passed by now: the area under the rate.
func (t timetable) planned(now time.Duration) (n float64) {
	for _, s := range t.stages {
		x := min(now, s.For).Seconds()
		n += x * (s.From + x*(s.To-s.From)/(2*s.For.Seconds()))
		if now -= s.For; now <= 0 {
			break
		}
	}
	return n
}

// at is the inverse of planned: when the area reaches n. It is forever if it never does.
func (t timetable) at(n float64) time.Duration {
	var before time.Duration
	for _, s := range t.stages {
		length := s.For.Seconds()
		if area := length * (s.From + s.To) / 2; n > area {
			n -= area
			before += s.For
			continue
		}
		if n <= 0 {
			return before
		}
		// n = From x + slope x^2 / 2, solved for x without taking one large number from another. Rates so small that
		// their squares are zero reach n at the end of the stage.
		slope := (s.To - s.From) / length
		x := length
		if twice := s.From + math.Sqrt(max(s.From*s.From+2*slope*n, 0)); twice > 0 {
			x = min(2*n/twice, length)
		}
		return before + time.Duration(x*float64(time.Second))
	}
	return forever
}

// rate returns the planned rate at a moment; 0 after the last stage.
func (t timetable) rate(now time.Duration) float64 {
	for _, s := range t.stages {
		if now < s.For {
			return s.From + (s.To-s.From)*float64(now)/float64(s.For)
		}
		now -= s.For
	}
	return 0
}

// A schedule hands out the places of a timetable. Times are computed from a place's number and not from the time before,
// so that an odd rate does not drift.
type schedule struct {
	timetable
	sent int // how many have been handed out

	// Poisson only: where in the area each place lies, from the first that was not handed out; there is
	// always one more than is due.
	areas []float64
	rng   *rand.Rand
}

// poissonSeed makes arrivals of one timetable the same in every run.
const poissonSeed = 0x9E3779B97F4A7C15

func newSchedule(t timetable) *schedule {
	s := &schedule{timetable: t}
	if t.poisson {
		s.rng = rand.New(rand.NewPCG(poissonSeed, 0))
		s.areas = []float64{s.rng.ExpFloat64()}
	}
	return s
}

// place returns when the k-th sending that was not handed out yet should begin.
func (s *schedule) place(k int) time.Duration {
	if s.rng != nil {
		return s.at(s.areas[k])
	}
	return s.at(float64(s.sent + k))
}

// due returns how many should have been sent by now and have not been.
func (s *schedule) due(now time.Duration) int {
	if !s.open() {
		return 0
	}
	area := s.planned(now)
	if s.rng != nil {
		for last := s.areas[len(s.areas)-1]; last <= area; last = s.areas[len(s.areas)-1] {
			s.areas = append(s.areas, last+s.rng.ExpFloat64())
		}
		return len(s.areas) - 1
	}
	k := max(int(area), s.sent)
	for s.at(float64(k)) <= now { // the area may have been rounded down
		k++
	}
	return k - s.sent
}

// ticket is the order for the next n places, which must be due; done strikes them out.
func (s *schedule) ticket(start time.Time, n int) ticket {
	first := s.place(0)
	t := ticket{at: start.Add(first), n: n}
	if n > 1 {
		t.every = (s.place(n-1) - first) / time.Duration(n-1)
	}
	return t
}

func (s *schedule) done(n int) {
	s.sent += n
	if s.rng != nil {
		s.areas = s.areas[n:]
	}
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

// pace hands out tickets until the part stops; nil for a closed loop. Whoever is free takes the next one: so
// work does not wait for a busy worker while another is idle. With one ticket for each message (split false)
// n is always 1; else what is due is dealt out in about as many tickets as there are workers.
func pace(p *part, table timetable, workers int, split bool) <-chan ticket {
	if !table.open() {
		return nil
	}
	tickets := make(chan ticket, ticketsLimit)
	p.watching.Go(func() {
		defer close(tickets)
		// A thread of its own, which sleeps in the kernel: the runtime's timers are a millisecond coarse while it is idle.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		s := newSchedule(table)
		s.deal(p, tickets, workers, split)
		p.planned = uint64(s.sent + s.due(p.lasted-lateAfter)) // what was due a moment before the end could not be begun
	})
	return tickets
}

func (s *schedule) deal(p *part, tickets chan<- ticket, workers int, split bool) {
	for !p.stopped.Load() {
		due := s.due(time.Since(p.start))
		if due == 0 {
			p.sleep(min(s.place(0)-time.Since(p.start), stopLateness))
			continue
		}
		n := 1
		if split {
			n = (due + workers - 1) / workers
		}
		select {
		case tickets <- s.ticket(p.start, n):
			s.done(n)
		case <-p.stop:
			return
		}
		if due == n {
			runtime.Gosched() // lets the worker go ahead before this thread sleeps
		}
	}
}

// stopLateness is the longest a pacer sleeps before it looks whether its part has stopped.
const stopLateness = 20 * time.Millisecond

// unsent returns how many places of a part's timetable nobody got round to; 0 in a closed loop. After the part's end.
func (p *part) unsent(sent uint64) uint64 { return p.planned - min(sent, p.planned) }
