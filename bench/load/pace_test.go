package load

import (
	"sync"
	"testing"
	"time"
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
		s := schedule{rate: test.rate}
		for i, now := range test.looks {
			got := s.due(now)
			if got != test.due[i] {
				t.Errorf("rate %v, at %v: %d due, want %d", test.rate, now, got, test.due[i])
			}
			s.sent += got
			if s.sent > 0 && s.at(s.sent-1) > now {
				t.Errorf("rate %v: message %d is planned for %v and was due at %v", test.rate, s.sent-1, s.at(s.sent-1), now)
			}
			if s.at(s.sent) <= now {
				t.Errorf("rate %v: message %d is planned for %v and was not due at %v", test.rate, s.sent, s.at(s.sent), now)
			}
		}
	}
}

// What nobody took in time is counted, and a closed loop plans nothing.
func TestUnsent(t *testing.T) {
	p := &part{lasted: time.Second}
	for _, test := range []struct {
		rate float64
		sent uint64
		want uint64
	}{{0, 5, 0}, {1000, 1001, 0}, {1000, 1000, 1}, {1000, 0, 1001}, {1000, 5000, 0}} {
		if got := unsent(p, test.rate, test.sent); got != test.want {
			t.Errorf("rate %v, %d sent: %d unsent, want %d", test.rate, test.sent, got, test.want)
		}
	}
}

// The tickets of a part cover the timetable without a hole or a repeat, split or not, and stop with the part.
func TestPaceCoversTimetable(t *testing.T) {
	for _, split := range []bool{false, true} {
		b := &Bench{}
		p := b.begin(t.Context(), "test", 30*time.Millisecond)
		const rate = 20_000
		var workers sync.WaitGroup
		next := 0
		workers.Go(func() {
			for ticket := range pace(p, rate, 3, split) {
				if want := p.start.Add((&schedule{rate: rate}).at(next)); !ticket.at.Equal(want) {
					t.Errorf("split %v: ticket for %v, want message %d's time %v", split, ticket.at, next, want)
				}
				if !split && ticket.n != 1 || ticket.n < 1 {
					t.Errorf("split %v: ticket for %d messages", split, ticket.n)
				}
				next += ticket.n
			}
		})
		b.finish(p, &workers)
		if next == 0 || next > rate {
			t.Errorf("split %v: %d messages in 30 ms at %d a second", split, next, rate)
		}
	}
}
