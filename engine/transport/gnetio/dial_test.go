package gnetio

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// TestDialDeadline: a deadline ends a dial that nobody answers, and is recognised whoever noticed it first.
func TestDialDeadline(t *testing.T) {
	silent := silentNet(t)
	if silent == nil {
		t.Skip("no silent address here")
	}
	p := newProbe()
	tr, _ := start(t, Config{Loops: 1}, p)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	tr.Dial(ctx, silent(), nil)
	err := get(t, "a failed dial", p.failed)
	want(t, "dial", err, context.DeadlineExceeded)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v does not say that it is a time-out", err)
	}
}

// TestDialWaits: beyond DialLimit dials wait in order; the end of its context takes one out of the queue, wherever it
// stands; and each end of a dial under way lets the next one go.
func TestDialWaits(t *testing.T) {
	silent := silentNet(t)
	if silent == nil {
		t.Skip("no silent address here")
	}
	pa, pb := newProbe(), newProbe()
	_, bound := start(t, Config{Loops: 1}, pb, loopback())
	tr, _ := start(t, Config{Loops: 1, DialLimit: 2}, pa)
	hold, release := context.WithCancel(context.Background())
	defer release()
	for range 2 {
		tr.Dial(hold, silent(), nil)
	}
	waiting := func() int {
		tr.dials.mu.Lock()
		defer tr.dials.mu.Unlock()
		return tr.dials.waiting.Len()
	}
	middle, cancel := context.WithCancel(context.Background())
	defer cancel()
	tr.Dial(context.Background(), bound[0], "first")
	tr.Dial(middle, bound[0], "middle")
	soon, cancelSoon := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancelSoon()
	tr.Dial(soon, bound[0], "soon")
	tr.Dial(context.Background(), bound[0], "last")
	want(t, "the one with a deadline", get(t, "a failed dial", pa.failed), context.DeadlineExceeded)
	cancel()
	want(t, "the cancelled one", get(t, "a failed dial", pa.failed), context.Canceled)
	if n := waiting(); n != 2 {
		t.Errorf("%d dials wait, want 2", n)
	}
	if n := len(pa.opened); n != 0 {
		t.Errorf("%d links opened beyond the limit", n)
	}
	release()
	tags := map[any]bool{} // two places are free at once: the two may open in either order
	for range 2 {
		tags[get(t, "a dialled link", pa.opened).tag] = true
	}
	if !tags["first"] || !tags["last"] {
		t.Errorf("opened %v", tags)
	}
	for range 2 {
		want(t, "the ones that held the queue", get(t, "a failed dial", pa.failed), context.Canceled)
	}
	waitUntil(t, func() bool {
		tr.dials.mu.Lock()
		defer tr.dials.mu.Unlock()
		return tr.dials.running == 0
	})
	if n := waiting(); n != 0 {
		t.Errorf("%d dials still wait", n)
	}
}

// TestDialOrder: with one dial at a time the queue is in order.
func TestDialOrder(t *testing.T) {
	pa, pb := newProbe(), newProbe()
	_, bound := start(t, Config{Loops: 2}, pb, loopback())
	tr, _ := start(t, Config{Loops: 2, DialLimit: 1}, pa)
	for i := range 50 {
		tr.Dial(context.Background(), bound[0], i)
	}
	for i := range 50 {
		if o := get(t, "a link", pa.opened); o.tag != i {
			t.Fatalf("dial %v opened where %d was next", o.tag, i)
		}
	}
}

// TestDialersStay: a goroutine that has dialled takes the next dial; after many dials at once few stay, and still dial.
func TestDialersStay(t *testing.T) {
	p := newProbe()
	tr, _ := start(t, Config{Loops: 1}, p)
	to := refusing(t)
	dial := func(n int) (idle int) {
		for range n {
			tr.Dial(context.Background(), to, nil)
		}
		for range n {
			want(t, "dial", get(t, "a failed dial", p.failed), syscall.ECONNREFUSED)
		}
		waitUntil(t, func() bool {
			tr.dials.mu.Lock()
			defer tr.dials.mu.Unlock()
			idle = tr.dials.idle
			return tr.dials.running == 0
		})
		return idle
	}
	for i := range 20 {
		if idle := dial(1); idle != 1 {
			t.Fatalf("%d goroutines stay after dial %d of one at a time, want 1", idle, i)
		}
	}
	for range 5 {
		if idle := dial(20 * idleDials); idle < 1 || idle > idleDials {
			t.Errorf("%d goroutines stay after many dials at once, want 1 to %d", idle, idleDials)
		}
	}
	dial(1)
}

// TestStopFailsWaiting: Stop fails what waits and what is under way, and returns after the last of them.
func TestStopFailsWaiting(t *testing.T) {
	silent := silentNet(t)
	if silent == nil {
		t.Skip("no silent address here")
	}
	p := newProbe()
	tr, _ := start(t, Config{Loops: 1, DialLimit: 3}, p)
	for range 10 {
		tr.Dial(context.Background(), silent(), nil)
	}
	tr.Stop()
	if len(p.failed) != 10 {
		t.Fatalf("%d of 10 dials had failed when Stop returned", len(p.failed))
	}
	for range 10 {
		want(t, "a dial", <-p.failed, transport.ErrClosed)
	}
}

// TestDialBeforeStart: a bug of ours, not a condition; after a Start that failed it is only closed.
func TestDialBeforeStart(t *testing.T) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Dial before Start was taken")
			}
		}()
		New(Config{}).Dial(context.Background(), loopback(), nil)
	}()
	p := newProbe()
	tr := New(Config{Loops: -1})
	if _, err := tr.Start(p, nil); err == nil {
		t.Fatal("started")
	}
	tr.Dial(context.Background(), loopback(), nil)
	want(t, "dial", get(t, "a failed dial", p.failed), transport.ErrClosed)
}

// TestDialSpreads: dialled links go to the loop with the fewest.
func TestDialSpreads(t *testing.T) {
	pa, pb := newProbe(), newProbe()
	_, bound := start(t, Config{Loops: 1}, pb, loopback())
	tr, _ := start(t, Config{Loops: 3}, pa)
	each := func(want int64) {
		for _, lp := range tr.Loops() {
			if n := lp.(*loop).links.Load(); n != want {
				t.Errorf("loop %d has %d links, want %d", lp.Index(), n, want)
			}
		}
	}
	var links []*link
	for range 30 {
		la, _ := connect(t, tr, pa, pb, bound[0])
		links = append(links, la)
	}
	each(10)
	for _, l := range links {
		l.Close()
		get(t, "its end", pa.closed)
	}
	each(0)
}

// TestExpireTooLate: a context that ends at the moment its dial leaves the queue does not end it a second time.
func TestExpireTooLate(t *testing.T) {
	p := newProbe()
	tr := New(Config{DialLimit: 1})
	tr.sink = p
	q := &tr.dials
	q.begin()
	q.running = 1
	q.add(context.Background(), loopback(), nil)
	d := q.next()
	q.expire(d)
	if len(p.failed) != 0 || d.place != nil {
		t.Error("a dial that is under way was failed by the queue")
	}
}

// TestHiddenListener: a node that only dials cannot be connected to, although its reactor listens.
func TestHiddenListener(t *testing.T) {
	p := newProbe()
	tr, _ := start(t, Config{Loops: 1}, p)
	fd, err := tr.engine.Dup()
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(fd)
	at := localAddr(fd)
	if at.Port() == 0 {
		t.Fatal("the hidden listener cannot be found")
	}
	c, err := net.DialTimeout("tcp", at.AddrPort.String(), 50*time.Millisecond)
	if err == nil {
		// Only where it cannot be made deaf: then it hangs up.
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read %d, %v", n, err)
		}
		c.Close()
	}
	if silentNet(t) != nil && err == nil {
		t.Error("connected to the hidden listener")
	}
	tr.Stop()
	if n := len(p.opened) + len(p.refused); n != 0 {
		t.Errorf("the sink was told %d things of it", n)
	}
}
