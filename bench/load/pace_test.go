package load

import (
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A schedule hands out each place once, at its time, for any rate and any pattern of looking; odd rates do not drift.
func TestSchedule(t *testing.T) {
	tests := []struct {
		rate  float64
		looks []time.Duration
		due   []int
	}{
		{1000, []time.Duration{0, 0, time.Millisecond, 1999 * time.Microsecond, 5 * time.Millisecond}, []int{1, 0, 1, 0, 4}},
		{1, []time.Duration{0, 999 * time.Millisecond, time.Second, time.Hour}, []int{1, 0, 1, 3599}},
		{3, []time.Duration{time.Hour}, []int{10801}},
		{1e6, []time.Duration{time.Microsecond, 10 * time.Microsecond, time.Second}, []int{2, 9, 999990}},
		{0.5, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, []int{1, 1, 1}},
		{1e6 / 3, []time.Duration{3 * time.Hour}, []int{3600000001}},
	}
	for _, test := range tests {
		s := newSchedule(steady(test.rate))
		for i, now := range test.looks {
			got := s.due(now)
			if got != test.due[i] {
				t.Errorf("rate %v, at %v: %d due, want %d", test.rate, now, got, test.due[i])
			}
			s.done(got)
			if s.sent > 0 && s.at(float64(s.sent-1)) > now {
				t.Errorf("rate %v: message %d was due at %v, before its time", test.rate, s.sent-1, now)
			}
			if s.place(0) <= now {
				t.Errorf("rate %v: message %d is planned for %v and was not due at %v", test.rate, s.sent, s.place(0), now)
			}
		}
	}
}

// A timetable of ramps and levels: the area under the rate, and its inverse.
func TestTimetable(t *testing.T) {
	table := timetable{stages: []Stage{{2 * time.Second, 0, 100}, {3 * time.Second, 100, 100}, {2 * time.Second, 100, 0}, {time.Second, 0, 0}, {time.Second, 7, 7}}}
	for _, test := range []struct {
		at      time.Duration
		planned float64
		rate    float64
	}{
		{0, 0, 0}, {time.Second, 25, 50}, {2 * time.Second, 100, 100}, {3500 * time.Millisecond, 250, 100}, {5 * time.Second, 400, 100},
		{6 * time.Second, 475, 50}, {7500 * time.Millisecond, 500, 0}, {8500 * time.Millisecond, 503.5, 7}, {time.Hour, 507, 0},
	} {
		if got := table.planned(test.at); math.Abs(got-test.planned) > 1e-6 {
			t.Errorf("by %v: %v planned, want %v", test.at, got, test.planned)
		}
		if got := table.rate(test.at); math.Abs(got-test.rate) > 1e-6 {
			t.Errorf("at %v: rate %v, want %v", test.at, got, test.rate)
		}
		back := table.at(test.planned)
		if past := test.at >= 7*time.Second; !past && (back-test.at).Abs() > time.Microsecond {
			t.Errorf("%v are planned by %v, want %v", test.planned, back, test.at)
		}
	}
	if at := table.at(508); at != forever {
		t.Errorf("more than the timetable holds is due at %v", at)
	}
}

// law: at is the inverse of planned, and never goes back, in any timetable.
func TestTimetableInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table timetable
		for range rapid.IntRange(1, 5).Draw(t, "stages") {
			table.stages = append(table.stages, Stage{
				For:  time.Duration(rapid.IntRange(1, 10_000).Draw(t, "ms")) * time.Millisecond,
				From: rapid.Float64Range(0, 1e6).Draw(t, "from"), To: rapid.Float64Range(0, 1e6).Draw(t, "to"),
			})
		}
		all := table.planned(forever)
		n := rapid.Float64Range(0, 1).Draw(t, "n") * all
		at := table.at(n)
		if got := table.planned(at); math.Abs(got-n) > 1e-6*all+1e-2 {
			t.Fatalf("%v places are due at %v, where %v have passed", n, at, got)
		}
		if later := table.at(n + 1); later < at {
			t.Fatalf("place %v is due at %v, the next one at %v", n, at, later)
		}
	})
}

// A ramp from nothing to next to nothing has an end as well.
func TestTimetableNextToNothing(t *testing.T) {
	table := timetable{stages: []Stage{{For: time.Millisecond, To: 1e-200}, {For: time.Second, From: 1, To: 1}}}
	if at := table.at(1e-300); at < 0 || at > time.Millisecond {
		t.Errorf("due at %v, in a stage of 1 ms", at)
	}
}

// Poisson arrivals come in the same number as even ones, at different gaps, in order, and the same in every run.
func TestPoisson(t *testing.T) {
	table := steady(1000)
	table.poisson = true
	s, again := newSchedule(table), newSchedule(table)
	due := s.due(100 * time.Second)
	if due < 99_000 || due > 101_000 { // three standard deviations are 950
		t.Errorf("%d arrivals in 100 s at 1000 a second", due)
	}
	last, short := time.Duration(-1), 0
	for now := time.Duration(0); now < time.Second; now += time.Millisecond {
		for range again.due(now) {
			at := again.place(0)
			if at < last || at > now || at != s.place(0) {
				t.Fatalf("an arrival at %v after one at %v, by %v; the other schedule has it at %v", at, last, now, s.place(0))
			}
			if at-last < 100*time.Microsecond {
				short++
			}
			last = at
			s.done(1)
			again.done(1)
		}
	}
	if short < 50 || short > 150 { // 1 - exp(-0.1) of 1000
		t.Errorf("%d gaps of 1000 below a tenth of the mean, want about 95", short)
	}
}

// What nobody took in time is counted, and a closed loop plans nothing.
func TestUnsent(t *testing.T) {
	for _, test := range []struct {
		table timetable
		sent  uint64
		want  uint64
	}{{timetable{}, 5, 0}, {steady(1000), 1001, 0}, {steady(1000), 1000, 1}, {steady(1000), 0, 1001}, {steady(1000), 5000, 0}} {
		p := &part{planned: uint64(newSchedule(test.table).due(time.Second))}
		if got := p.unsent(test.sent); got != test.want {
			t.Errorf("%v, %d sent: %d unsent, want %d", test.table, test.sent, got, test.want)
		}
	}
}

// The tickets of a part cover the timetable without a hole or a repeat, split or not, and stop with the part.
func TestPaceCoversTimetable(t *testing.T) {
	const rate = 20_000
	poisson := steady(rate)
	poisson.poisson = true
	for _, table := range []timetable{steady(rate), poisson, {stages: []Stage{{20 * time.Millisecond, 0, rate}, {time.Second, rate, 0}}}} {
		for _, split := range []bool{false, true} {
			b := &Bench{result: &Result{}}
			p := b.beginPlanned(t.Context(), "test", 30*time.Millisecond, table, nil)
			var workers sync.WaitGroup
			next := newSchedule(table)
			workers.Go(func() {
				for ticket := range pace(p, table, 3, split) {
					next.due(ticket.at.Sub(p.start) + time.Second)
					if want := p.start.Add(next.place(0)); !ticket.at.Equal(want) {
						t.Errorf("split %v: ticket for %v, want message %d's time %v", split, ticket.at, next.sent, want)
					}
					if !split && ticket.n != 1 || ticket.n < 1 {
						t.Errorf("split %v: ticket for %d messages", split, ticket.n)
					}
					next.done(ticket.n)
				}
			})
			b.finish(p, &workers)
			if next.sent == 0 || next.sent > rate || p.planned < uint64(next.sent) {
				t.Errorf("split %v: %d messages in 30 ms at %d a second, %d planned", split, next.sent, rate, p.planned)
			}
		}
	}
}
