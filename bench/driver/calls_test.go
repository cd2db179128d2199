package driver

import (
	"errors"
	"sync"
	"testing"
)

// Answers find their callers, whatever their order, and each goes to one.
func TestCalls(t *testing.T) {
	var c calls
	a, err := c.begin(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := c.begin(make([]byte, 5, 100))
	if a.id == b.id || a.id == 0 || b.id == 0 {
		t.Fatalf("ids %d and %d", a.id, b.id)
	}
	if !c.answer(b.id, []byte("second")) || !c.answer(a.id, []byte("first")) {
		t.Error("an answer found nobody")
	}
	for _, id := range []uint32{0, a.id, 3, 1 << 31} {
		if c.answer(id, nil) {
			t.Errorf("answer %d found somebody", id)
		}
	}
	if got, err := c.wait(a); string(got) != "first" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := c.wait(b); string(got) != "second" || err != nil {
		t.Errorf("%q, %v: what the caller's slice held must be gone", got, err)
	}
	again, _ := c.begin(nil)
	if again != a && again != b {
		t.Error("a third slot for one call at a time")
	}
}

// When a connection ends, everybody who waits hears why, once, and so do those who come later.
func TestCallsFail(t *testing.T) {
	var c calls
	first, second := errors.New("first"), errors.New("second")
	var waiting sync.WaitGroup
	for range 5 {
		slot, err := c.begin(nil)
		if err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			if _, err := c.wait(slot); err != first {
				t.Errorf("%v, want %v", err, first)
			}
		})
	}
	c.fail(first)
	c.fail(second)
	waiting.Wait()
	if _, err := c.begin(nil); err != first {
		t.Errorf("after the end: %v, want %v", err, first)
	}
}

// A request on a connection that has been used allocates nothing here.
func TestCallsAllocs(t *testing.T) {
	var c calls
	into, payload := make([]byte, 0, 64), make([]byte, 64)
	if n := testing.AllocsPerRun(1000, func() {
		slot, _ := c.begin(into)
		c.answer(slot.id, payload)
		into, _ = c.wait(slot)
	}); n != 0 {
		t.Errorf("%v allocations for each request, promised 0", n)
	}
}
