// Package postloop is an event loop for transports that have no poller of their own: those whose bytes come out of a
// library's goroutines, or out of other connections.
//
//	library goroutines ── Post ──▶ ┌──────┐ f(), f(), …   each in its order
//	engine ───── Wake, WakeAt ───▶ │ Loop │ ──▶ turn       then the Sink's turn, if one is due
//	                               └──────┘
//
// A Loop is one goroutine and implements transport.Loop. A transport starts as many as it wants, gives each of its links
// to one of them, and makes every call of the Sink about that link in a function it posts there; so the rule that a Sink
// is called on the link's loop, one call at a time, holds by itself.
//
// Post never waits and has no limit of its own: whoever posts keeps count. A link that posts again only after its last
// post has run, as a reader does that hands over its buffer and waits to get it back, needs one place in the list.
package postloop

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A Loop is one event loop. Make it with Start, end it with Stop.
type Loop struct {
	index int
	epoch time.Time
	turn  func(transport.Loop)
	bell  chan struct{} // rung when there is something to do; holds one ring
	over  chan struct{} // closed when the goroutine has ended

	turnDue atomic.Bool // Wake since the last turn
	rang    atomic.Bool // the alarm has rung since the last turn

	mu       sync.Mutex
	posted   []func() // under mu
	stopping bool     // under mu: nothing may be posted any more

	// The loop's own.
	spare   []func()
	timer   *time.Timer
	alarmAt time.Duration // when the turn is wanted
	armedAt time.Duration // when the timer rings; not later than alarmAt
}

var _ transport.Loop = (*Loop)(nil)

// Start starts a loop. index is its place in Transport.Loops, epoch the instant that all loops of the transport count from,
// turn what a due turn calls: the Sink's Turn.
func Start(index int, epoch time.Time, turn func(transport.Loop)) *Loop {
	l := &Loop{
		index: index, epoch: epoch, turn: turn, bell: make(chan struct{}, 1), over: make(chan struct{}),
		alarmAt: transport.Never, armedAt: transport.Never,
	}
	go l.run()
	return l
}

// Index implements transport.Loop.
func (l *Loop) Index() int { return l.index }

// Now implements transport.Loop: the time since the epoch.
func (l *Loop) Now() time.Duration { return time.Since(l.epoch) }

// Post has f run on the loop, after what was posted before and not within the function that is running now. It reports
// false, and f will never run, once Stop has been called. Any goroutine; it does not wait. A function value that is kept
// and posted again and again costs no allocation.
func (l *Loop) Post(f func()) bool {
	l.mu.Lock()
	if l.stopping {
		l.mu.Unlock()
		return false
	}
	l.posted = append(l.posted, f)
	first := len(l.posted) == 1
	l.mu.Unlock()
	if first {
		l.ring()
	}
	return true
}

// Wake implements transport.Loop.
func (l *Loop) Wake() {
	if !l.turnDue.Swap(true) {
		l.ring()
	}
}

// WakeAt implements transport.Loop. The timer is left alone when it rings no later than at: an alarm that is put off over
// and over, as that of a busy loop is, costs no timer operation each time.
func (l *Loop) WakeAt(at time.Duration) {
	l.alarmAt = at
	if at < l.armedAt {
		l.arm(at)
	}
}

// Stop runs what has been posted, without turns, and ends the loop. It returns when the loop has ended; what is posted
// after it has begun never runs. It is idempotent and must not be called on the loop.
func (l *Loop) Stop() {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	l.ring()
	<-l.over
}

func (l *Loop) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

func (l *Loop) run() {
	defer close(l.over)
	for range l.bell {
		tasks, last := l.take()
		for i, f := range tasks {
			tasks[i] = nil
			f()
		}
		if l.spare = nil; cap(tasks) <= postKeep {
			l.spare = tasks[:0]
		}
		if last {
			break
		}
		// Each flag is cleared before the turn it stands for: a Wake within it is for the next one.
		due := l.turnDue.Swap(false)
		if l.alarmDue() || due {
			l.turn(l)
			if l.turnDue.Load() { // a sink that always wants another turn must not keep the processor from those who post
				runtime.Gosched()
			}
		}
	}
	if l.timer != nil {
		l.timer.Stop()
	}
}

// take empties the list. last: nothing can be posted any more.
func (l *Loop) take() (tasks []func(), last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tasks, l.posted = l.posted, l.spare
	return tasks, l.stopping
}

// arm sets the timer to ring at. A span that is over counts as zero.
func (l *Loop) arm(at time.Duration) {
	l.armedAt = at
	span := max(at-l.Now(), 0)
	if l.timer == nil {
		l.timer = time.AfterFunc(span, l.alarm)
		return
	}
	l.timer.Reset(span)
}

// alarm is the timer's function; it runs on a goroutine of the runtime's.
func (l *Loop) alarm() {
	l.rang.Store(true)
	l.ring()
}

// alarmDue reports whether the alarm is due now. The timer may have rung for an alarm that was moved since, so it is the
// clock that decides, and an alarm still ahead is armed again.
func (l *Loop) alarmDue() bool {
	if !l.rang.Swap(false) {
		return false
	}
	l.armedAt = transport.Never
	switch {
	case l.alarmAt == transport.Never:
		return false
	case l.alarmAt <= l.Now():
		l.alarmAt = transport.Never
		return true
	}
	l.arm(l.alarmAt)
	return false
}
