package load_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

// A run that lasts long enough has windows of both sides, which add up to its messages and lie one after the other.
func TestSeries(t *testing.T) {
	r := run(t, &fake{}, load.Config{Scenario: load.RPC, Rate: 2000, Duration: 700 * time.Millisecond, Warmup: 300 * time.Millisecond})
	var messages uint64
	at := 0.0
	parts := map[string]int{}
	for _, w := range r.Series.Windows {
		if w.AtSeconds-w.Seconds < at-1e-6 || w.Seconds <= 0 || w.Server == nil || w.Client.Goroutines == 0 || w.Client.HeapBytes == 0 {
			t.Errorf("after %v s: %+v", at, w)
		}
		at = w.AtSeconds
		parts[w.Part]++
		if w.Part == load.RPC {
			messages += w.Messages
			if w.Latency == nil || w.PlannedPer < 1 && w.AtSeconds < 0.9 {
				t.Errorf("a window without latency or plan: %+v", w)
			}
		}
	}
	if parts["warm-up"] < 1 || parts[load.RPC] < 2 || messages == 0 || messages > r.Messages {
		t.Errorf("parts %v, %d messages in windows, %d in all", parts, messages, r.Messages)
	}
}

// Answers of another size than the request's are checked byte by byte, and so is the request for them.
func TestAnswers(t *testing.T) {
	c := load.Config{Scenario: load.RPC, AnswerSize: 1000}
	if r := run(t, &fake{}, c); r.Failed() || r.Figures["answer_bytes_per_second"] == 0 {
		t.Errorf("errors %v, figures %v", r.Errors, r.Figures)
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"short": func(b []byte) []byte { return b[:999] }, "long": func(b []byte) []byte { return append(b, 0) }, "altered": func(b []byte) []byte { b[500] ^= 1; return b },
	} {
		f := &fake{answer: func(n int, right []byte) ([]byte, error) {
			if n == 3 {
				right = spoil(right)
			}
			return right, nil
		}}
		if r := run(t, f, c); r.Errors["wrong_answer"] != 1 {
			t.Errorf("%s: errors %v, want one wrong answer", name, r.Errors)
		}
	}
}

// A request that asks for an answer and is not what was sent is corrupt; one that asks for nothing is its sender's to check.
func TestRequestsAreChecked(t *testing.T) {
	p := load.NewPattern()
	ask := func(stamp int64, spoil bool) (answer []byte, corrupt uint64) {
		sink := load.NewSink(p)
		msg := make([]byte, 64)
		p.Put(msg, load.Header{Seq: 9, Stamp: stamp})
		if spoil {
			msg[40] ^= 1
		}
		answer = sink.Open().Request(msg)
		return answer, sink.Counts().Errors["corrupt"]
	}
	for _, test := range []struct {
		stamp   int64
		spoil   bool
		size    int
		corrupt uint64
	}{{0, false, 64, 0}, {0, true, 64, 0}, {500, false, 500, 0}, {load.SizeLimit, false, load.SizeLimit, 0}, {500, true, 64, 1}, {-1, false, 64, 1}, {load.SizeLimit + 1, false, 64, 1}} {
		if answer, corrupt := ask(test.stamp, test.spoil); len(answer) != test.size || corrupt != test.corrupt {
			t.Errorf("stamp %d, spoilt %v: %d bytes, %d corrupt; want %d, %d", test.stamp, test.spoil, len(answer), corrupt, test.size, test.corrupt)
		}
	}
	if got := load.NewSink(p).Open().Request([]byte{1, 2}); len(got) != 2 {
		t.Errorf("a request too short for a header is answered with %v", got)
	}
}

// Churn: what the dialling side failed at is counted, wrong answers too, and connections that the serving side keeps are a leak.
func TestChurnFaults(t *testing.T) {
	failing := &fake{dial: func(n int) error {
		if n > 10 && n%2 == 0 {
			return errors.New("refused")
		}
		return nil
	}}
	if r := run(t, failing, load.Config{Scenario: load.Churn, Conns: 2}); r.Errors["dial"] == 0 || r.Messages == 0 {
		t.Errorf("%d turns, errors %v; want failed dials", r.Messages, r.Errors)
	}
	lying := &fake{answer: func(_ int, right []byte) ([]byte, error) { return right[:10], nil }}
	if r := run(t, lying, load.Config{Scenario: load.Churn, Conns: 2}); r.Errors["wrong_answer"] == 0 {
		t.Errorf("errors %v, want wrong answers", r.Errors)
	}
	leaking := &fake{keepsClosed: true}
	if r := run(t, leaking, load.Config{Scenario: load.Churn, Conns: 2}); r.Errors["never_closed"] == 0 {
		t.Errorf("errors %v, want connections that were never closed", r.Errors)
	}
	if r := run(t, &fake{}, load.Config{Scenario: load.Churn, Conns: 2}); r.Failed() || r.Figures["left_goroutines"] > 2 {
		t.Errorf("errors %v, figures %v", r.Errors, r.Figures)
	}
}

// At a rate a round that does not reach everybody, or reaches somebody twice, is seen.
func TestBroadcastFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		copies int
		want   string
	}{{"loses", 0, "gap"}, {"doubles", 2, "repeat"}} {
		f := &fake{oneWay: func(n int, msg []byte, deliver func([]byte)) {
			copies := 1
			if n == 2 {
				copies = test.copies
			}
			for range copies {
				deliver(msg)
			}
		}}
		r := run(t, f, load.Config{Scenario: load.FanOut, Conns: 3, Rate: 500})
		if r.Errors[test.want] == 0 {
			t.Errorf("%s: errors %v, want %s", test.name, r.Errors, test.want)
		}
	}
	if r := run(t, &fake{}, load.Config{Scenario: load.FanOut, Conns: 3, Rate: 500}); r.Failed() || r.Figures["delivered"] != 1 || r.LatencyMicros == nil || r.ServiceMicros == nil {
		t.Errorf("errors %v, figures %v", r.Errors, r.Figures)
	}
}

// What a driver cannot do has no figures and no errors, in every scenario and wherever it says so.
func TestCannot(t *testing.T) {
	cannot := fmt.Errorf("%w: it is a test", load.ErrCannot)
	for _, scenario := range []string{load.OneWay, load.RPC, load.Stream, load.Hold, load.FanOut, load.Mixed} {
		r := run(t, &fake{dial: func(int) error { return cannot }}, load.Config{Scenario: scenario})
		if !strings.Contains(r.Cannot, "it is a test") || r.Failed() || r.Messages > 0 {
			t.Errorf("%s: %+v", scenario, r)
		}
	}
	calls := &fake{answer: func(int, []byte) ([]byte, error) { return nil, cannot }}
	if r := run(t, calls, load.Config{Scenario: load.RPC}); r.Cannot == "" || r.Failed() {
		t.Errorf("calls: %+v", r)
	}
	for _, c := range []load.Config{{Scenario: load.OneWay}, {Scenario: load.FanOut}, {Scenario: load.FanOut, Rate: 100}} {
		if r := run(t, &fake{send: cannot}, c); r.Cannot == "" || r.Failed() {
			t.Errorf("%s: %+v", c.Scenario, r)
		}
	}
	if r := run(t, &fake{}, load.Config{Scenario: load.Slow}); r.Cannot == "" {
		t.Errorf("a driver that cannot play a stopped reader: %+v", r)
	}
}
