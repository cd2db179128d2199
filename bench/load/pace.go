package load

import (
	"time"
)

// A timetable says when a worker should send. Of w workers that share a rate, worker i has every w-th place, so that
// together they are evenly spaced.
type timetable struct {
	start time.Time
	first time.Duration // of this worker, after start
	every time.Duration // between two of this worker; 0: no timetable, a closed loop
	sent  int64
}

func newTimetable(start time.Time, perSecond float64, worker, workers int) timetable {
	if perSecond <= 0 {
		return timetable{}
	}
	every := float64(time.Second) / perSecond
	return timetable{
		start: start,
		first: time.Duration(every * float64(worker)),
		every: max(time.Duration(every*float64(workers)), 1),
	}
}

func (t *timetable) open() bool { return t.every > 0 }

// at returns the planned time of the next sending.
func (t *timetable) at() time.Time {
	return t.start.Add(t.first + time.Duration(t.sent)*t.every)
}

// due returns the next planned time and takes it, if it is not after now.
func (t *timetable) due(now time.Time) (planned time.Time, ok bool) {
	planned = t.at()
	if planned.After(now) {
		return planned, false
	}
	t.sent++
	return planned, true
}

// waitUntil returns at the given time, or early with false when stop closes. timer is reused between calls.
func waitUntil(at time.Time, timer *time.Timer, stop <-chan struct{}) bool {
	timer.Reset(time.Until(at))
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}
