package load

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// law: a stamp gives back how long ago a message should have left, to the nanosecond or two, and how long ago it did, to a
// microsecond or two, for all latencies that are told apart; and is never 0, which would be none.
func TestStamp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		planned := time.Unix(0, rapid.Int64Range(0, 4e18).Draw(t, "planned"))
		late := time.Duration(rapid.Int64Range(0, int64(16*time.Second)).Draw(t, "late"))
		travelled := time.Duration(rapid.Int64Range(0, int64(latencyLimit)).Draw(t, "travelled"))
		s := newStamp(planned, planned.Add(late))
		if s == 0 {
			t.Fatal("a stamp that is none")
		}
		sincePlanned, sinceLeft := s.since(planned.Add(late + travelled))
		if off := sincePlanned - late - travelled; off.Abs() > 2 {
			t.Fatalf("%v since it should have left, want %v", sincePlanned, late+travelled)
		}
		if off := sinceLeft - travelled; off.Abs() > 2*time.Microsecond {
			t.Fatalf("%v since it left, want %v", sinceLeft, travelled)
		}
	})
}

// Beyond what fits it stays at the limit; a clock that was set back makes no time, and one that left early was not late.
func TestStampLimits(t *testing.T) {
	now := time.Now()
	if planned, left := newStamp(now.Add(-time.Minute), now).since(now); planned < time.Minute-time.Microsecond || left < 42*time.Second || left > 43*time.Second {
		t.Errorf("a minute late: %v and %v, want a minute, less at most 17.2 s", planned, left)
	}
	if planned, left := newStamp(now.Add(time.Second), now).since(now); planned != 0 || left != 0 {
		t.Errorf("planned for later: %v and %v, want nothing", planned, left)
	}
}
