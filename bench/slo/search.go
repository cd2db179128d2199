package slo

import "math"

// A Search finds the highest rate that meets some rules. It is told how each run went and says which rate to
// run next: first twice as much until one fails (or half as much until one is met), then between the two, and
// at last the best again, since one lucky run is no finding and one unlucky run is none either. A rate fails
// when it has failed twice; the best must be met twice.
type Search struct {
	precision float64
	next      float64
	met       float64 // the highest that was met; 0: none yet
	failed    float64 // the lowest that failed; 0: none yet
	left      int     // runs
	done      bool

	// Of the rate under trial.
	metRuns, failedRuns int
	confirm             bool // it is the best, and is tried until two runs agree
	step                float64
}

const (
	// runsLimit ends a search that noise keeps going. 60: 20 doublings span a million, 20 halvings as much,
	// and most need one run.
	runsLimit = 60

	// agree is how many runs decide.
	agree = 2
)

// NewSearch starts at a rate, and ends when the best and the first that failed are as close as precision: 0.05 for 5 %.
func NewSearch(start, precision float64) *Search {
	precision = max(precision, 0.001)
	return &Search{precision: precision, step: precision, next: max(start, 1), left: runsLimit}
}

// Next returns the rate to run; false: the search is over.
func (s *Search) Next() (rate float64, ok bool) { return s.next, !s.done }

// Best returns the highest rate that was met twice; 0: none was, or the search is not over.
func (s *Search) Best() float64 {
	if !s.done {
		return 0
	}
	return s.met
}

// Tell says whether the run at the rate of Next met the rules.
func (s *Search) Tell(met bool) {
	if met {
		s.metRuns++
	} else {
		s.failedRuns++
	}
	s.left--
	switch {
	case s.confirm && s.metRuns >= agree:
		s.done = true
	case s.left <= 0:
		s.met, s.done = 0, true // there is no time to be sure of any
	case s.failedRuns >= agree && s.confirm:
		s.down()
	case s.failedRuns >= agree:
		if s.failed == 0 || s.next < s.failed {
			s.failed = s.next
		}
		s.choose()
	case met && !s.confirm:
		s.met = max(s.met, s.next)
		s.choose()
	}
}

// try begins with another rate.
func (s *Search) try(rate float64) { s.next, s.metRuns, s.failedRuns = rate, 0, 0 }

func (s *Search) choose() {
	switch {
	case s.failed == 0:
		s.try(s.met * 2)
		return
	case s.met == 0 && s.failed <= 1:
		s.done = true // not even one a second
		return
	case s.met == 0:
		s.try(max(s.failed/2, 1))
		return
	}
	if middle := math.Round(math.Sqrt(s.met * s.failed)); s.failed/s.met > 1+s.precision && middle > s.met && middle < s.failed {
		s.try(middle)
		return
	}
	s.confirm = true
	s.try(s.met)
	s.metRuns = 1
}

// down leaves a best that did not hold, by more each time.
func (s *Search) down() {
	s.met = math.Floor(s.met * (1 - s.step))
	s.step = min(2*s.step, 0.5)
	if s.met < 1 {
		s.met, s.done = 0, true
	}
	s.try(s.met)
}
