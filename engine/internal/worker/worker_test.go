package worker

import (
	"slices"
	"sync"
	"testing"
)

// A recorder is a loop that notes what is posted to it, and runs it at once.
type recorder struct {
	mu    sync.Mutex
	sizes []int // of each PostAll
	ran   []int // what the results say
	there chan struct{}
}

func newRecorder() *recorder { return &recorder{there: make(chan struct{}, 1000)} }

func (r *recorder) PostAll(fs []func()) {
	r.mu.Lock()
	r.sizes = append(r.sizes, len(fs))
	for _, f := range fs {
		f()
	}
	r.mu.Unlock()
	for range fs {
		r.there <- struct{}{}
	}
}

// wait returns when n more results have come.
func (r *recorder) wait(n int) {
	for range n {
		<-r.there
	}
}

// job returns a task whose result is n.
func (r *recorder) job(n int) func() func() {
	return func() func() { return func() { r.ran = append(r.ran, n) } }
}

// held is a Crew of one whose worker is inside a task until release is called; what it returns goes to r as -1.
func held(t *testing.T, r *recorder, queue int) (c *Crew, release func()) {
	c = Start(1, queue)
	t.Cleanup(c.Stop)
	inside, gate := make(chan struct{}), make(chan struct{})
	if !c.Try(r, func() func() { close(inside); <-gate; return r.job(-1)() }) {
		t.Fatal("an empty queue is full")
	}
	<-inside
	t.Cleanup(func() {
		select {
		case <-gate:
		default:
			close(gate)
		}
	})
	return c, func() { close(gate) }
}

func must(t *testing.T, c *Crew, to Loop, task func() func()) {
	t.Helper()
	if !c.Try(to, task) {
		t.Fatal("full")
	}
}

// While more waits, a worker computes that first, and brings results back together: in order, each to its loop, no more than
// batchLimit kept back.
func TestBatches(t *testing.T) {
	a, b := newRecorder(), newRecorder()
	c, release := held(t, a, 100)
	const each = 10
	for n := range each {
		must(t, c, a, a.job(n))
		must(t, c, b, b.job(n))
	}
	release()
	a.wait(each + 1)
	b.wait(each)
	// 21 results, a's first one ahead of ten pairs: 8, of which 3 are b's; 8; the last 5.
	if want := []int{5, 4, 2}; !slices.Equal(a.sizes, want) {
		t.Errorf("a got its results by %v, want %v", a.sizes, want)
	}
	if want := []int{3, 4, 3}; !slices.Equal(b.sizes, want) {
		t.Errorf("b got its results by %v, want %v", b.sizes, want)
	}
	if want := []int{-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(a.ran, want) || !slices.Equal(b.ran, want[1:]) {
		t.Errorf("results in the order %v and %v", a.ran, b.ran)
	}
}

// Where nothing waits, a result goes back at once.
func TestAlone(t *testing.T) {
	r := newRecorder()
	c := Start(2, 10)
	defer c.Stop()
	for n := range 5 {
		must(t, c, r, r.job(n))
		r.wait(1)
	}
	if !slices.Equal(r.sizes, []int{1, 1, 1, 1, 1}) || !slices.Equal(r.ran, []int{0, 1, 2, 3, 4}) {
		t.Errorf("by %v: %v", r.sizes, r.ran)
	}
}

// A task without a loop may take long, so what has been computed does not wait for it.
func TestNothingWaitsForForeignTasks(t *testing.T) {
	r := newRecorder()
	c, release := held(t, r, 10)
	seen, done := 0, make(chan struct{})
	must(t, c, r, r.job(1))
	must(t, c, nil, func() func() {
		r.mu.Lock()
		seen = len(r.ran)
		r.mu.Unlock()
		close(done)
		return nil
	})
	must(t, c, r, r.job(2))
	release()
	<-done
	r.wait(3)
	if seen != 2 || !slices.Equal(r.ran, []int{-1, 1, 2}) {
		t.Errorf("%d results were there when the task began, in the end %v", seen, r.ran)
	}
}

// A task that has nothing to bring back brings nothing back.
func TestNoResult(t *testing.T) {
	r := newRecorder()
	c, release := held(t, r, 10)
	must(t, c, r, func() func() { return nil })
	must(t, c, r, r.job(1))
	release()
	r.wait(2)
	if !slices.Equal(r.sizes, []int{2}) {
		t.Errorf("by %v", r.sizes)
	}
}

// A full queue sheds the newest, and says so.
func TestFull(t *testing.T) {
	r := newRecorder()
	c, release := held(t, r, 2)
	must(t, c, r, r.job(0))
	must(t, c, r, r.job(1))
	if c.Try(r, r.job(2)) {
		t.Error("three tasks in a queue of two")
	}
	release()
	r.wait(3)
	if !slices.Equal(r.ran, []int{-1, 0, 1}) {
		t.Errorf("ran %v", r.ran)
	}
}

// Stop may be called twice, posts what has been computed, and leaves nobody running.
func TestStop(t *testing.T) {
	r := newRecorder()
	c, release := held(t, r, 10)
	stopped := make(chan struct{})
	go func() { c.Stop(); close(stopped) }()
	<-c.quit
	release()
	<-stopped
	c.Stop()
	if !slices.Equal(r.ran, []int{-1}) {
		t.Errorf("ran %v", r.ran)
	}
	must(t, c, r, r.job(1)) // queued, and never done
	if len(r.ran) != 1 || len(c.queue) != 1 {
		t.Errorf("ran %v after Stop", r.ran)
	}
}

// However many workers, each task is done once and each result comes back once.
func TestEachOnce(t *testing.T) {
	loops := []*recorder{newRecorder(), newRecorder(), newRecorder()}
	const each = 300
	c := Start(4, len(loops)*each)
	defer c.Stop()
	for n := range each {
		for _, r := range loops {
			must(t, c, r, r.job(n))
		}
	}
	for i, r := range loops {
		r.wait(each)
		slices.Sort(r.ran)
		for n, got := range r.ran {
			if n != got {
				t.Fatalf("loop %d: result %d is %d", i, n, got)
			}
		}
	}
}
