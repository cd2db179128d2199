package postloop_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/postloop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A diary notes what happens on one loop, and when. Only the loop writes it; tests read it while the bubble is idle.
type diary struct {
	*postloop.Loop
	turns []time.Duration
	log   []string
	on    func(d *diary) // called for each turn
}

// in runs a test in a bubble with one loop. Time stands still until everybody waits.
func in(t *testing.T, test func(t *testing.T, d *diary)) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		ready := make(chan struct{})
		d.Loop = postloop.Start(3, time.Now(), func(lp transport.Loop) {
			<-ready
			if lp != transport.Loop(d.Loop) {
				t.Errorf("a turn for %v", lp)
			}
			d.turns = append(d.turns, lp.Now())
			d.log = append(d.log, "turn")
			if d.on != nil {
				d.on(d)
			}
		})
		close(ready)
		defer d.Stop()
		test(t, d)
	})
}

// say posts a function that notes word, and does more.
func (d *diary) say(word string, more func()) {
	d.Post(func() {
		d.log = append(d.log, word)
		if more != nil {
			more()
		}
	})
}

func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(d.log, want) {
		t.Errorf("the loop did %q, want %q", d.log, want)
	}
}

func (d *diary) wantTurns(t *testing.T, want ...time.Duration) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(d.turns, want) {
		t.Errorf("turns at %v, want %v", d.turns, want)
	}
}

func TestIndexAndClock(t *testing.T) {
	in(t, func(t *testing.T, d *diary) {
		if d.Index() != 3 || d.Now() != 0 {
			t.Errorf("index %d, now %v", d.Index(), d.Now())
		}
		time.Sleep(time.Second)
		if d.Now() != time.Second {
			t.Errorf("after a second it is %v", d.Now())
		}
	})
}

// A turn comes after the posts that the loop has taken, and posts that come later after the turn.
func TestPostsAndTurnsInOrder(t *testing.T) {
	in(t, func(t *testing.T, d *diary) {
		hold := make(chan struct{})
		d.say("first", func() { <-hold })
		synctest.Wait() // it runs
		d.Wake()
		d.say("second", nil)
		d.say("third", func() { d.say("posted within", nil) })
		close(hold)
		d.want(t, "first", "turn", "second", "third", "posted within")
	})
}

func TestPostFromEverywhere(t *testing.T) {
	in(t, func(t *testing.T, d *diary) {
		const each = 1000
		var got [8]int // no lock: the loop writes
		var all sync.WaitGroup
		for who := range got {
			all.Go(func() {
				for i := range each {
					d.Post(func() {
						if got[who] != i {
							t.Errorf("of %d: post %d runs as number %d", who, i, got[who])
						}
						got[who]++
					})
				}
			})
		}
		all.Wait()
		synctest.Wait()
		for who, n := range got {
			if n != each {
				t.Errorf("of %d: %d posts of %d have run", who, n, each)
			}
		}
	})
}

func TestWakesCountOnce(t *testing.T) {
	in(t, func(t *testing.T, d *diary) {
		d.say("busy", func() {
			for range 5 {
				d.Wake()
			}
		})
		d.want(t, "busy", "turn")
		d.Wake()
		d.want(t, "busy", "turn", "turn")
	})
}

// A loop that wakes itself in every turn still does what is posted.
func TestWakeWithinTurnIsForTheNext(t *testing.T) {
	in(t, func(t *testing.T, d *diary) {
		d.on = func(d *diary) {
			switch len(d.turns) {
			case 1:
				d.Wake()
				d.say("between", nil)
			case 2:
				d.on = nil
			}
		}
		d.Wake()
		d.want(t, "turn", "between", "turn")
	})
}

func TestAlarm(t *testing.T) {
	for _, c := range []struct {
		name string
		set  []time.Duration // one after the other, at the start
		want []time.Duration
	}{
		{"once", []time.Duration{5}, []time.Duration{5}},
		{"none", nil, nil},
		{"over already", []time.Duration{-1}, []time.Duration{0}},
		{"earlier", []time.Duration{9, 4}, []time.Duration{4}},
		{"later", []time.Duration{4, 9}, []time.Duration{9}},
		{"later twice", []time.Duration{4, 6, 9}, []time.Duration{9}},
		{"later, then earlier", []time.Duration{4, 9, 6}, []time.Duration{6}},
		{"cleared", []time.Duration{4, transport.Never}, nil},
		{"cleared and set", []time.Duration{4, transport.Never, 7}, []time.Duration{7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(t *testing.T, d *diary) {
				d.say("set", func() {
					for _, at := range c.set {
						d.WakeAt(at)
					}
				})
				time.Sleep(time.Second)
				d.wantTurns(t, c.want...)
			})
		})
	}
}

// An alarm rings once; the next is set in the turn, as the engine does.
func TestAlarmAgainAndAgain(t *testing.T) {
	in(t, func(t *testing.T, d *diary) {
		d.on = func(d *diary) {
			if at := d.Now() + time.Second; at <= 3*time.Second {
				d.WakeAt(at)
			}
		}
		d.say("set", func() { d.WakeAt(time.Second) })
		time.Sleep(time.Minute)
		d.wantTurns(t, time.Second, 2*time.Second, 3*time.Second)
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, ran := 0, 0
		l := postloop.Start(0, time.Now(), func(transport.Loop) { turns++ })
		hold := make(chan struct{})
		l.Post(func() { <-hold; ran++ })
		l.Post(func() { ran++; l.WakeAt(0); l.Wake() })
		go func() { synctest.Wait(); close(hold) }()
		l.Stop()
		l.Stop()
		if ran != 2 || turns != 0 {
			t.Errorf("%d posts and %d turns, want 2 and 0", ran, turns)
		}
		if l.Post(func() { ran++ }) {
			t.Error("a stopped loop has taken a post")
		}
		l.Wake()
		time.Sleep(time.Second)
		if ran != 2 || turns != 0 {
			t.Errorf("after the end: %d posts and %d turns", ran, turns)
		}
	})
}

// A burst leaves no memory behind, and nothing of it is lost.
func TestBurst(t *testing.T) {
	in(t, func(t *testing.T, d *diary) {
		ran := 0
		for range 3 {
			hold := make(chan struct{})
			d.Post(func() { <-hold })
			for range 10_000 {
				d.Post(func() { ran++ })
			}
			close(hold)
			synctest.Wait()
		}
		if ran != 30_000 {
			t.Errorf("%d of 30000 posts have run", ran)
		}
	})
}

func TestPostAllocatesNothing(t *testing.T) {
	l := postloop.Start(0, time.Now(), func(transport.Loop) {})
	defer l.Stop()
	done := make(chan struct{})
	f := func() { done <- struct{}{} }
	if n := testing.AllocsPerRun(1000, func() { l.Post(f); <-done }); n != 0 {
		t.Errorf("a post of a kept function costs %v allocations", n)
	}
}

func BenchmarkPost(b *testing.B) {
	l := postloop.Start(0, time.Now(), func(transport.Loop) {})
	defer l.Stop()
	done := make(chan struct{})
	f := func() { done <- struct{}{} }
	b.ReportAllocs()
	for b.Loop() {
		l.Post(f)
		<-done
	}
}
