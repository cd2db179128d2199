package simnet_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// TestServeInBubble: in a synctest bubble blocking code and the network share one clock that runs by itself.
func TestServeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1, simnet.Weather{Latency: 40 * time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		var serving sync.WaitGroup
		serving.Go(func() { n.Serve(ctx) })

		a, b := newNode(t, n, ipA), newNode(t, n, ipB)
		b.onBytes = func(e *end, in []byte) { e.write(in) }
		opened, answered := make(chan *end), make(chan string)
		a.onOpened = func(e *end) { opened <- e }
		a.onBytes = func(e *end, in []byte) { answered <- string(in) }

		start := time.Now()
		time.Sleep(time.Second) // the bubble's clock moves without an event
		if now := n.Now(); now != time.Second {
			t.Errorf("the net says %v after a second", now)
		}
		a.Dial(t.Context(), tcp(ipB, port), nil)
		e := <-opened
		if took := time.Since(start); took != 1080*time.Millisecond {
			t.Errorf("the dial was done at %v, want a round trip after 1s", took)
		}
		time.Sleep(time.Hour)
		e.write([]byte("hello"))
		if got := <-answered; got != "hello" {
			t.Errorf("answer %q", got)
		}
		if took := time.Since(start); took != time.Hour+1160*time.Millisecond {
			t.Errorf("the answer came at %v, want a round trip after the write", took)
		}

		// A deadline of package time is one of virtual time here.
		n.Partition([]netip.Addr{ipA})
		short, done := context.WithTimeout(t.Context(), 3*time.Second)
		defer done()
		at := time.Now()
		a.Dial(short, tcp(ipB, port), nil)
		<-short.Done()
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if len(a.fails) != 1 {
			t.Errorf("%v after the dial: %v, want it failed with its context", time.Since(at), a.fails)
		}

		if err := a.Stop(); err != nil || !e.closed {
			t.Errorf("Stop: %v, closed: %v", err, e.closed)
		}
		cancel()
		serving.Wait()
		if n.Run(time.Minute); n.Now() < time.Hour+time.Minute {
			t.Errorf("after Serve the net stands at %v", n.Now())
		}
	})
}

// TestSettle: with Settle, goroutines that block on the network are part of the one deterministic run, whether it is driven
// by hand or by Serve.
func TestSettle(t *testing.T) {
	run := func(t *testing.T, seed uint64, serve bool) (trace uint64) {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(seed, simnet.Weather{Jitter: 10 * time.Millisecond, Cut: 0.3})
			n.Settle(synctest.Wait)
			b := newNode(t, n, ipC)
			b.onBytes = func(e *end, in []byte) { e.push(in) }
			var callers, serving sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			left := 10
			for i := range left {
				callers.Go(func() {
					time.Sleep(time.Duration(i)) // one at a time
					a := newCaller(t, n)
					a.Dial(t.Context(), tcp(ipC, port), i)
					e := <-a.opened
					for round := range 10 {
						e.write(text(100 + round))
						for want := 100 + round; want > 0; {
							want -= <-a.got
						}
					}
					if left--; left == 0 {
						cancel()
					}
				})
			}
			time.Sleep(time.Second)
			if serve {
				serving.Go(func() { n.Serve(ctx) })
			} else {
				n.RunUntil(func() bool { return left == 0 }, time.Hour)
			}
			callers.Wait()
			serving.Wait()
			trace = n.Trace()
			cancel()
		})
		return trace
	}
	for _, serve := range []bool{false, true} {
		first, other := run(t, 1, serve), run(t, 2, serve)
		for range 5 {
			if again := run(t, 1, serve); again != first {
				t.Errorf("serve %v: trace %x, and %x before", serve, again, first)
			}
		}
		if first == other {
			t.Errorf("serve %v: two seeds, one trace", serve)
		}
	}
}

// A caller is a node whose bytes are waited for.
type caller struct {
	*node
	opened chan *end
	got    chan int
}

func newCaller(t *testing.T, n *simnet.Net) *caller {
	a := &caller{&node{Host: n.Host(ipA), t: t, net: n}, make(chan *end, 1), make(chan int, 1000)}
	a.onOpened = func(e *end) { a.opened <- e }
	a.onBytes = func(_ *end, in []byte) { a.got <- len(in) }
	if _, err := a.Start(a, nil); err != nil {
		t.Error(err)
	}
	return a
}

// TestServePoke: an event that becomes the next one while Serve sleeps is carried out in time.
func TestServePoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1, simnet.Weather{})
		ctx, cancel := context.WithCancel(t.Context())
		var serving sync.WaitGroup
		serving.Go(func() { n.Serve(ctx) })
		a := newNode(t, n, ipA)
		turned := make(chan time.Duration, 1)
		a.onTurn = func(lp transport.Loop) {
			lp.WakeAt(lp.Now() + time.Hour) // what Serve then sleeps for
			turned <- lp.Now()
		}
		a.Loops()[0].Wake()
		<-turned
		for range 3 {
			time.Sleep(time.Minute)
			asked := n.Now()
			a.Loops()[0].Wake()
			if late := <-turned - asked; late < time.Microsecond || late > 20*time.Microsecond {
				t.Errorf("the turn came %v after Wake", late)
			}
		}
		cancel()
		serving.Wait()
	})
}

// TestServeManyGoroutines: calls from many goroutines at once; each gets its answers.
func TestServeManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1, simnet.Weather{Jitter: 10 * time.Millisecond, Cut: 0.3})
		ctx, cancel := context.WithCancel(t.Context())
		var serving, callers sync.WaitGroup
		serving.Go(func() { n.Serve(ctx) })
		b := newNode(t, n, ipC)
		b.onBytes = func(e *end, in []byte) { e.write(in) }
		for i := range 20 {
			callers.Go(func() {
				a := newCaller(t, n)
				a.Dial(t.Context(), tcp(ipC, port), i)
				e := <-a.opened
				for round := range 20 {
					e.write(text(100 + round))
					for left := 100 + round; left > 0; {
						left -= <-a.got
					}
				}
				if err := a.Stop(); err != nil || !e.closed {
					t.Errorf("Stop: %v, closed: %v", err, e.closed)
				}
			})
		}
		callers.Wait()
		cancel()
		serving.Wait()
	})
}
