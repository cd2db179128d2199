package transporttest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A kit is what one test works with. It belongs to the test's goroutine.
type kit struct {
	*testing.T
	net     *Net
	changed chan struct{}
	started []*node

	datagrams bool // links carry datagrams: the far end opens with the first that arrives

	tags int
}

// A node is a transport with its recorder.
type node struct {
	transport.Transport
	*recorder
	bound []transport.Addr
}

// node makes a transport that is not started yet, so that the test can set hooks.
func (k *kit) node(name string) *node {
	return &node{Transport: k.net.New(), recorder: newRecorder(k, name, k.changed)}
}

// start starts n on listen.
func (k *kit) start(n *node, listen ...transport.Addr) *node {
	k.Helper()
	bound, err := n.Start(n.recorder, listen)
	if err != nil {
		k.Fatalf("%s: Start(%v): %v", n.name, listen, err)
	}
	n.bound = bound
	k.started = append(k.started, n)
	return n
}

// pair starts a listening node b and a dialling node a.
func (k *kit) pair() (a, b *node) {
	k.Helper()
	return k.startPair(k.node("a"), k.node("b"))
}

func (k *kit) startPair(a, b *node) (*node, *node) {
	k.Helper()
	k.start(b, k.net.Listen())
	k.start(a)
	return a, b
}

// tag returns a new dial tag.
func (k *kit) tag() any { k.tags++; return k.tags }

// dial calls n.Dial holding a lock that DialFailed needs, as a Sink might: a Dial that calls the Sink hangs here.
func (k *kit) dial(ctx context.Context, n *node, to transport.Addr) (tag any) {
	tag = k.tag()
	n.recorder.mu.Lock()
	defer n.recorder.mu.Unlock()
	n.Dial(ctx, to, tag)
	return tag
}

// connect dials from a to b and returns both ends.
func (k *kit) connect(a, b *node) (ea, eb *end) {
	k.Helper()
	before := len(b.opened())
	tag := k.dial(context.Background(), a, b.bound[0])
	k.await("both ends opened", func() bool {
		if _, err := a.outcome(tag); err != nil {
			k.Fatalf("dial to %v: %v", b.bound[0], err)
		}
		ea = a.endOf(tag)
		return ea != nil && (k.datagrams || len(b.opened()) > before)
	})
	if k.datagrams {
		if n, err := ea.write([]byte{1}); n != 1 || err != nil {
			k.Fatalf("%v: the first datagram: wrote %d, %v", ea, n, err)
		}
		k.await("the first datagram", func() bool { return len(b.opened()) > before && b.opened()[before].received() > 0 })
	}
	return ea, b.opened()[before]
}

// endOf finds the dialled end with this tag.
func (r *recorder) endOf(tag any) *end {
	for _, e := range r.opened() {
		if e.tag == tag {
			return e
		}
	}
	return nil
}

// await lets things happen until cond holds.
func (k *kit) await(what string, cond func() bool) {
	k.Helper()
	for !cond() {
		if !k.net.Step(k.changed) && !cond() {
			k.Fatalf("still waiting: %s", what)
		}
	}
}

// awaitClosed waits until e is closed and holds that it was closed with want.
func (k *kit) awaitClosed(e *end, want error) {
	k.Helper()
	k.await("Closed at "+e.rec.name, e.isClosed)
	if n, err := e.closing(); n != 1 || !errors.Is(err, want) {
		k.Errorf("%s: %d times Closed(%v), want once %v", e.rec.name, n, err, want)
	}
}

// awaitGone is awaitClosed for an end whose other side was closed with bytes still on the way: the kernel may turn that
// into a reset, so any reason will do, but not the nil of a local Close.
func (k *kit) awaitGone(e *end) {
	k.Helper()
	k.await("Closed at "+e.rec.name, e.isClosed)
	if n, err := e.closing(); n != 1 || err == nil {
		k.Errorf("%s: %d times Closed(%v), want once with a reason", e.rec.name, n, err)
	}
}

// barrier returns when what was under way on both ends has been carried through: a byte has gone from a to b and one
// back, count times. It needs ends whose recorders have no byte hook.
func (k *kit) barrier(ea, eb *end, count int) {
	k.Helper()
	for range count {
		for _, way := range [][2]*end{{ea, eb}, {eb, ea}} {
			before := way[1].received()
			if n, err := way[0].write([]byte{1}); n != 1 || err != nil {
				k.Fatalf("%v: one byte: wrote %d, %v", way[0], n, err)
			}
			k.await("one byte", func() bool { return way[1].received() > before })
		}
	}
}

// stop stops n: from here on its recorder accepts no call.
func (k *kit) stop(n *node) {
	k.Helper()
	if err := n.Stop(); err != nil {
		k.Errorf("%s: Stop: %v", n.name, err)
	}
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
}

// stopAll ends the test: every transport is stopped, and what must hold at the end of every test is held.
func (k *kit) stopAll() {
	for _, n := range k.started {
		k.stop(n)
		for _, e := range n.opened() {
			if c, err := e.closing(); c != 1 {
				k.Errorf("%s: a link was Closed %d times (%v) by the end of the test, want 1", n.name, c, err)
			}
			e.mu.Lock()
			if e.wrong > 0 {
				k.Errorf("%s: %d of %d bytes are not what was written", n.name, e.wrong, e.got)
			}
			e.mu.Unlock()
		}
		n.mu.Lock()
		for tag, c := range n.outcomes {
			if c != 1 {
				k.Errorf("%s: dial %v had %d outcomes, want 1", n.name, tag, c)
			}
		}
		if len(n.failed) > 0 {
			k.Errorf("%s: Failed: %v", n.name, n.failed)
		}
		n.mu.Unlock()
	}
}

// A pattern is an endless stream of bytes that does not repeat where buffers do: byte i is a mix of i and the seed.
type pattern struct{ seed uint64 }

func (p pattern) at(i int64) byte {
	x := (uint64(i) + p.seed) * 0x9E3779B97F4A7C15
	return byte(x >> 56)
}

// fill writes the pattern from offset into b.
func (p pattern) fill(offset int64, b []byte) {
	for i := range b {
		b[i] = p.at(offset + int64(i))
	}
}

// differs counts the bytes of b that are not the pattern's from offset on.
func (p pattern) differs(offset int64, b []byte) (n int64) {
	for i := range b {
		if b[i] != p.at(offset+int64(i)) {
			n++
		}
	}
	return n
}

// A pump writes size bytes of a pattern to an end, in writes of changing length or all that is left at once, and goes on
// at each Writable. run may be called by the test and by the recorder's onWritable.
type pump struct {
	e       *end
	p       pattern
	size    int64
	mu      sync.Mutex // guards what follows and the writing
	sent    int64
	shorts  int
	err     error
	done    func() // called once, when everything is written
	scratch []byte
	whole   []byte // if set, the filled pattern, offered as it is
}

func (p *pump) run() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.sent < p.size && p.err == nil {
		b := p.next()
		n, err := p.e.write(b)
		p.sent += int64(n)
		for i := range n {
			b[i] = spoil // Write keeps nothing of b
		}
		p.err = err
		if err == nil && n < len(b) {
			p.shorts++
			return // Writable calls run again, on the loop: it waits for the lock if it comes early
		}
	}
	if p.done != nil && p.err == nil {
		p.done()
		p.done = nil
	}
}

// next is what the next write offers.
func (p *pump) next() []byte {
	if p.whole != nil {
		return p.whole[p.sent:]
	}
	// Lengths from 1 byte to 300 KiB, longer than one read and not a multiple of anything.
	length := min(1+(p.sent*7919)%(300<<10), p.size-p.sent)
	if int64(cap(p.scratch)) < length {
		p.scratch = make([]byte, length)
	}
	b := p.scratch[:length]
	p.p.fill(p.sent, b)
	return b
}

func (p *pump) state() (sent int64, shorts int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent, p.shorts, p.err
}
