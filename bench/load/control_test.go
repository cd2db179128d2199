package load

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// remote connects a Remote to a Sink through control lines.
func remote(t *testing.T, sink *Sink) *Remote {
	t.Helper()
	here, there := net.Pipe()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := WriteReady(there, Ready{Driver: "fake", Address: "nowhere:1"}); err != nil {
			t.Error(err)
		}
		if err := ServeControl(there, there, sink); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("ServeControl: %v", err)
		}
		_ = there.Close()
	})
	t.Cleanup(func() {
		_ = here.Close()
		serving.Wait()
	})
	c := NewRemote(here, here)
	ready, err := c.Ready()
	if err != nil || ready != (Ready{Driver: "fake", Address: "nowhere:1"}) {
		t.Fatalf("ready: %+v, %v", ready, err)
	}
	return c
}

// Through control lines a Sink looks as it does from nearby: counts, faults, marks, latencies.
func TestRemoteIsLikeLocal(t *testing.T) {
	p := NewPattern()
	sink := NewSink(p)
	c := remote(t, sink)
	r := sink.Open()
	msg := make([]byte, 64)
	put := func(h Header) {
		p.Put(msg, h)
		r.Message(msg)
	}
	put(Header{Seq: 0, Stamp: int64(newStamp(time.Now().Add(-time.Second), time.Now()))})
	put(Header{Seq: 2})
	put(Header{Seq: 3, Mark: true})
	r.Request(msg)
	if n, err := c.Await(1, time.Minute); n != 1 || err != nil {
		t.Errorf("Await: %d, %v; want 1, nil", n, err)
	}
	got, err := c.Snapshot(true)
	if err != nil {
		t.Fatal(err)
	}
	want := sink.Counts()
	if got.Counts.Messages != 1 || got.Counts.Bytes != 64 || got.Counts.Requests != 1 || got.Counts.Opened != 1 || got.Counts.Marks != 1 {
		t.Errorf("counts %+v", got.Counts)
	}
	if got.Counts.Errors["gap"] != want.Errors["gap"] || want.Errors["gap"] != 1 {
		t.Errorf("errors %v, want %v and one gap", got.Counts.Errors, want.Errors)
	}
	if l := Summarize(got.Latency); l == nil || l.P50 < 1e6 || l.P50 > 60e6 {
		t.Errorf("latency %+v, want a second or more", l)
	}
	if u := got.Usage; u.CPUSeconds <= 0 || u.HeapBytes == 0 || u.Goroutines == 0 || u.Mallocs == 0 {
		t.Errorf("usage %+v", u)
	}
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	if got, err = c.Snapshot(false); err != nil || got.Counts.Messages != 0 || got.Latency != nil || len(got.Counts.Errors) != 0 {
		t.Errorf("after Reset: %+v, %v", got, err)
	}
}

// Await gives up when its time is over and says how far it came; both ways.
func TestAwaitGivesUp(t *testing.T) {
	sink := NewSink(NewPattern())
	for _, c := range []Control{Local{Sink: sink}, remote(t, sink)} {
		if n, err := c.Await(3, 5*time.Millisecond); n != 0 || err != nil {
			t.Errorf("%T: %d, %v; want 0, nil", c, n, err)
		}
	}
}

// A wrong line, an unknown request, an answer that is none: errors, never a hang or a zero that looks like a figure.
func TestControlErrors(t *testing.T) {
	sink := NewSink(NewPattern())
	var out strings.Builder
	if err := ServeControl(strings.NewReader("{\"do\":\"dance\"}\n{\"do\":\"stop\"}\nnot reached"), &out, sink); err != nil {
		t.Errorf("stop: %v", err)
	}
	if want := "{\"error\":\"unknown request \\\"dance\\\"\"}\n{}\n"; out.String() != want {
		t.Errorf("answers %q, want %q", out.String(), want)
	}
	if err := ServeControl(strings.NewReader("hello\n"), io.Discard, sink); !errors.Is(err, ErrControl) {
		t.Errorf("a line that is no JSON: %v, want ErrControl", err)
	}
	if err := ServeControl(strings.NewReader(""), io.Discard, sink); err != nil {
		t.Errorf("the end of the input: %v, want nil", err)
	}
	for name, answer := range map[string]string{
		"no JSON":          "hello\n",
		"nothing":          "",
		"no snapshot":      "{}\n",
		"an error":         "{\"error\":\"no\"}\n",
		"a bad histogram":  "{\"snapshot\":{},\"latency\":{\"SignificantFigures\":9}}\n",
		"negative counts":  "{\"snapshot\":{},\"latency\":{\"LowestTrackableValue\":1,\"HighestTrackableValue\":100,\"SignificantFigures\":3,\"Counts\":[-1]}}\n",
		"a line too long":  strings.Repeat("x", lineLimit+1) + "\n",
		"a number too big": "{\"snapshot\":{\"counts\":{\"messages\":1e99}}}\n",
	} {
		c := NewRemote(strings.NewReader(answer), io.Discard)
		if s, err := c.Snapshot(false); !errors.Is(err, ErrControl) {
			t.Errorf("%s: %+v, %v; want ErrControl", name, s, err)
		}
	}
	if _, err := NewRemote(strings.NewReader("{}\n"), io.Discard).Ready(); !errors.Is(err, ErrControl) {
		t.Errorf("no address: %v, want ErrControl", err)
	}
}
