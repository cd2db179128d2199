package transporttest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// spoil is what the recorder leaves in every slice it was lent: whoever goes on using that memory shows up as wrong
// bytes at the other end.
const spoil = 0xDB

// A recorder is the Sink of one transport under test. Hooks are set before the transport starts and are called on the
// loop, with no lock held, after the call was written down.
type recorder struct {
	t       testing.TB
	name    string
	changed chan struct{}

	onOpened   func(*end)
	onBytes    func(*end, []byte) // before the bytes are spoilt
	onWritable func(*end)
	onClosed   func(*end)
	onTurn     func(transport.Loop)

	busy sync.Map // transport.Loop -> *atomic.Bool: a call is being made on this loop

	mu       sync.Mutex // guards what follows
	ends     []*end     // in the order of their Opened
	byLink   map[transport.Link]*end
	outcomes map[any]int
	failures map[any]error
	turns    map[transport.Loop]int
	refused  int
	failed   []error
	stopped  bool // Stop has returned: nothing more may come
}

// An end is one end of a connection, as its recorder sees it.
type end struct {
	transport.Link
	rec *recorder
	tag any

	mu       sync.Mutex // guards what follows; never held while the transport is called
	got      int64      // bytes received
	wrong    int64      // of them, bytes that are not the pattern's
	expect   *pattern   // what should arrive; nil: anything
	awaiting bool       // a Write was short and Writable has not come
	closed   int
	closeErr error
}

func newRecorder(t testing.TB, name string, changed chan struct{}) *recorder {
	return &recorder{
		t: t, name: name, changed: changed,
		byLink:   make(map[transport.Link]*end),
		outcomes: make(map[any]int),
		failures: make(map[any]error),
		turns:    make(map[transport.Loop]int),
	}
}

// poke tells the waiting test that something has happened.
func (r *recorder) poke() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// enter holds the rule that a loop makes one call at a time; the returned function ends the call.
func (r *recorder) enter(lp transport.Loop, call string) (leave func()) {
	v, _ := r.busy.LoadOrStore(lp, new(atomic.Bool))
	flag := v.(*atomic.Bool)
	if !flag.CompareAndSwap(false, true) {
		r.t.Errorf("%s: %s on loop %d inside another call of that loop", r.name, call, lp.Index())
	}
	r.mu.Lock()
	if r.stopped {
		r.t.Errorf("%s: %s after Stop had returned", r.name, call)
	}
	r.mu.Unlock()
	return func() { flag.Store(false); r.poke() }
}

// end finds the end of l, and holds the rules about the order of calls.
func (r *recorder) end(l transport.Link, call string) *end {
	r.mu.Lock()
	e := r.byLink[l]
	r.mu.Unlock()
	if e == nil {
		r.t.Errorf("%s: %s before Opened", r.name, call)
		return &end{Link: l, rec: r}
	}
	e.mu.Lock()
	if e.closed > 0 {
		r.t.Errorf("%s: %s after Closed", r.name, call)
	}
	e.mu.Unlock()
	return e
}

func (r *recorder) Opened(l transport.Link, tag any) {
	defer r.enter(l.Loop(), "Opened")()
	e := &end{Link: l, rec: r, tag: tag}
	r.mu.Lock()
	if r.byLink[l] != nil {
		r.t.Errorf("%s: Opened twice", r.name)
	}
	r.byLink[l] = e
	r.ends = append(r.ends, e)
	if tag != nil {
		r.outcomes[tag]++
	}
	r.mu.Unlock()
	if r.onOpened != nil {
		r.onOpened(e)
	}
}

func (r *recorder) DialFailed(tag any, err error) {
	r.mu.Lock()
	r.outcomes[tag]++
	r.failures[tag] = err
	if r.stopped && !errors.Is(err, transport.ErrClosed) { // a Dial made after Stop still gets its answer
		r.t.Errorf("%s: DialFailed(%v) after Stop had returned", r.name, err)
	}
	r.mu.Unlock()
	if err == nil {
		r.t.Errorf("%s: DialFailed(%v) without an error", r.name, tag)
	}
	r.poke()
}

func (r *recorder) Bytes(l transport.Link, b []byte) {
	defer r.enter(l.Loop(), "Bytes")()
	e := r.end(l, "Bytes")
	if len(b) == 0 {
		r.t.Errorf("%s: Bytes with nothing in it", r.name)
	}
	e.mu.Lock()
	if e.expect != nil {
		e.wrong += e.expect.differs(e.got, b)
	}
	e.got += int64(len(b))
	e.mu.Unlock()
	if d, ok := l.(transport.DatagramLink); ok {
		d.Authentic(true)
	}
	if r.onBytes != nil {
		r.onBytes(e, b)
	}
	for i := range b {
		b[i] = spoil
	}
}

func (r *recorder) Writable(l transport.Link) {
	defer r.enter(l.Loop(), "Writable")()
	e := r.end(l, "Writable")
	e.mu.Lock()
	if !e.awaiting {
		r.t.Errorf("%s: Writable without a short Write before it", r.name)
	}
	e.awaiting = false
	e.mu.Unlock()
	if r.onWritable != nil {
		r.onWritable(e)
	}
}

func (r *recorder) Closed(l transport.Link, err error) {
	defer r.enter(l.Loop(), "Closed")()
	e := r.end(l, "Closed")
	e.mu.Lock()
	e.closed++
	e.closeErr = err
	e.mu.Unlock()
	if r.onClosed != nil {
		r.onClosed(e)
	}
}

func (r *recorder) Turn(lp transport.Loop) {
	defer r.enter(lp, "Turn")()
	r.mu.Lock()
	r.turns[lp]++
	r.mu.Unlock()
	if r.onTurn != nil {
		r.onTurn(lp)
	}
}

func (r *recorder) Refused(transport.Addr, error) {
	r.mu.Lock()
	r.refused++
	r.mu.Unlock()
	r.poke()
}

func (r *recorder) Failed(err error) {
	r.mu.Lock()
	r.failed = append(r.failed, err)
	r.mu.Unlock()
	r.poke()
}

// What the test goroutine asks.

func (r *recorder) opened() []*end {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ends)
}

func (r *recorder) outcome(tag any) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcomes[tag], r.failures[tag]
}

func (r *recorder) turnCount(lp transport.Loop) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.turns[lp]
}

func (e *end) received() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got
}

func (e *end) closing() (n int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed, e.closeErr
}

func (e *end) isClosed() bool { n, _ := e.closing(); return n > 0 }

// write is Link.Write with the rules around it: at most len(b), and a short write is remembered before the transport
// can answer it with Writable.
func (e *end) write(b []byte) (int, error) {
	e.mu.Lock()
	if e.awaiting {
		e.rec.t.Errorf("%s: the test wrote although it is waiting for Writable", e.rec.name)
	}
	e.awaiting = true // Writable may come before Write has returned
	e.mu.Unlock()
	n, err := e.Link.Write(b)
	if n < 0 || n > len(b) {
		e.rec.t.Errorf("%s: Write of %d bytes says it wrote %d", e.rec.name, len(b), n)
	}
	if n == len(b) || err != nil {
		e.mu.Lock()
		e.awaiting = false
		e.mu.Unlock()
	}
	return n, err
}

func (e *end) String() string { return fmt.Sprintf("%s %v<->%v", e.rec.name, e.Local(), e.Remote()) }
