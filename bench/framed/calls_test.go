package framed

import (
	"errors"
	"sync"
	"testing"
)

// Answers find their callers, whatever their order, and each goes to one.
func TestCalls(t *testing.T) {
	var c Calls
	a, err := c.Begin(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := c.Begin(make([]byte, 5, 100))
	if a.ID == b.ID || a.ID == 0 || b.ID == 0 {
		t.Fatalf("ids %d and %d", a.ID, b.ID)
	}
	if !c.Answer(b.ID, []byte("second")) || !c.Answer(a.ID, []byte("first")) {
		t.Error("an answer found nobody")
	}
	for _, id := range []uint32{0, a.ID, 3, 1 << 31} {
		if c.Answer(id, nil) {
			t.Errorf("answer %d found somebody", id)
		}
	}
	if got, err := c.Wait(a); string(got) != "first" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := c.Wait(b); string(got) != "second" || err != nil {
		t.Errorf("%q, %v: what the caller's slice held must be gone", got, err)
	}
	again, _ := c.Begin(nil)
	if again != a && again != b {
		t.Error("a third slot for one call at a time")
	}
}

// When a connection ends, everybody who waits hears why, once, and so do those who come later.
func TestCallsFail(t *testing.T) {
	var c Calls
	first, second := errors.New("first"), errors.New("second")
	var waiting sync.WaitGroup
	for range 5 {
		slot, err := c.Begin(nil)
		if err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			if _, err := c.Wait(slot); err != first {
				t.Errorf("%v, want %v", err, first)
			}
		})
	}
	c.Fail(first)
	c.Fail(second)
	waiting.Wait()
	if _, err := c.Begin(nil); err != first {
		t.Errorf("after the end: %v, want %v", err, first)
	}
}

// A request on a connection that has been used allocates nothing here.
func TestCallsAllocs(t *testing.T) {
	var c Calls
	into, payload := make([]byte, 0, 64), make([]byte, 64)
	if n := testing.AllocsPerRun(1000, func() {
		slot, _ := c.Begin(into)
		c.Answer(slot.ID, payload)
		into, _ = c.Wait(slot)
	}); n != 0 {
		t.Errorf("%v allocations for each request, promised 0", n)
	}
}
