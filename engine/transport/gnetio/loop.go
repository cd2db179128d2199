package gnetio

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A loop is one event loop of the reactor. Other goroutines reach it through its anchor: a descriptor in the loop's own
// epoll set, so that what they ask for is one event among the others. The reactor's task queue is not used for that: it
// is drained until empty, so that a task which queues itself keeps the loop from its sockets for ever; it allocates; and
// after the reactor has ended it writes to a descriptor number that may be someone else's by then.
type loop struct {
	t       *Transport
	index   int
	reactor gnet.EventLoop

	links atomic.Int64 // open on this loop, or being handed to it

	signalled atomic.Bool // the anchor has been rung and its turn has not come
	turnDue   atomic.Bool // Wake since the last turn
	rang      atomic.Bool // the alarm timer has rung since the last turn

	mu     sync.Mutex // guards what follows; held for a few instructions, and the anchor's write
	wakeFD int        // the anchor's outer end; -1 before the anchor is there and after Stop
	ended  bool       // Stop is done: nothing may ring any more
	posts  []*link    // links that want something of the loop

	// The loop's own, and Stop's when the loop has ended.
	timer   *time.Timer
	alarmAt time.Duration // when the Sink wants its turn
	armedAt time.Duration // when the timer rings; not later than alarmAt
	batch   []*link       // scratch of takePosts
}

func newLoop(t *Transport, reactor gnet.EventLoop, index int) *loop {
	return &loop{t: t, reactor: reactor, index: index, wakeFD: -1, alarmAt: transport.Never, armedAt: transport.Never}
}

// Index is the position in Transport.Loops.
func (lp *loop) Index() int { return lp.index }

// Now is the engine time.
func (lp *loop) Now() time.Duration { return lp.t.now() }

// Wake asks for one Turn at the next turn of the loop.
func (lp *loop) Wake() {
	if !lp.turnDue.Swap(true) {
		lp.signal()
	}
}

// signal rings the anchor unless it is ringing already. The lock keeps the descriptor from being closed, and its number
// from being used for something else, under the write.
func (lp *loop) signal() {
	if lp.signalled.Swap(true) {
		return
	}
	lp.mu.Lock()
	if lp.wakeFD >= 0 {
		ringAnchor(lp.wakeFD)
	}
	lp.mu.Unlock()
}

// attach gives the loop its anchor. Whatever was signalled before is rung now.
func (lp *loop) attach(wakeFD int) (taken bool) {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	if lp.wakeFD >= 0 || lp.ended {
		return false
	}
	lp.wakeFD = wakeFD
	if lp.signalled.Load() {
		ringAnchor(wakeFD)
	}
	return true
}

// post asks the loop to look at l: to close it, or to tell the Sink that it is writable.
func (lp *loop) post(l *link) {
	lp.mu.Lock()
	if !lp.ended {
		lp.posts = append(lp.posts, l)
	}
	lp.mu.Unlock()
	lp.signal()
}

// takePosts moves at most postBatch posts into lp.batch, and reports whether more are left.
func (lp *loop) takePosts() (more bool) {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	n := min(len(lp.posts), postBatch)
	lp.batch = append(lp.batch[:0], lp.posts[:n]...)
	left := copy(lp.posts, lp.posts[n:])
	clear(lp.posts[left:])
	lp.posts = lp.posts[:left]
	if left == 0 && cap(lp.posts) > postKeep {
		lp.posts = nil
	}
	return left > 0
}

// turn is what the loop does when its anchor has rung: the posts, then the Sink's turn if it is due. The flags are
// cleared before the work they stand for, so that what comes meanwhile rings again, for the next turn.
func (lp *loop) turn() {
	lp.signalled.Store(false)
	if lp.takePosts() {
		lp.signal()
	}
	for _, l := range lp.batch {
		l.posted()
	}
	clear(lp.batch)
	due := lp.turnDue.Swap(false)
	if lp.alarmDue() || due {
		lp.t.sink.Turn(lp)
	}
}

// WakeAt sets the alarm. The timer is left alone when it rings no later than at: then alarmDue sets it again. So an
// alarm that is put off over and over, as that of a busy loop is, costs no timer operation each time.
func (lp *loop) WakeAt(at time.Duration) {
	lp.alarmAt = at
	if at < lp.armedAt {
		lp.arm(at)
	}
}

// arm sets the timer to ring at. A span that is over counts as zero.
func (lp *loop) arm(at time.Duration) {
	lp.armedAt = at
	span := max(at-lp.Now(), 0)
	if lp.timer == nil {
		lp.timer = time.AfterFunc(span, lp.ring)
		return
	}
	lp.timer.Reset(span)
}

// ring is the timer's function; it runs on a goroutine of the runtime's.
func (lp *loop) ring() {
	lp.rang.Store(true)
	lp.signal()
}

// alarmDue reports whether the alarm is due now. The timer may have rung for an alarm that was moved since, so it is the
// clock that decides, and an alarm still ahead is armed again.
func (lp *loop) alarmDue() bool {
	if !lp.rang.Swap(false) {
		return false
	}
	lp.armedAt = transport.Never
	switch {
	case lp.alarmAt == transport.Never:
		return false
	case lp.alarmAt <= lp.Now():
		lp.alarmAt = transport.Never
		return true
	}
	lp.arm(lp.alarmAt)
	return false
}

// end lets go of what the loop holds outside the reactor, which has ended.
func (lp *loop) end() {
	if lp.timer != nil {
		lp.timer.Stop()
	}
	lp.mu.Lock()
	defer lp.mu.Unlock()
	lp.ended = true
	if lp.wakeFD >= 0 {
		closeFD(lp.wakeFD)
		lp.wakeFD = -1
	}
	lp.posts = nil
}

// A loopTable finds the loop that a connection was opened on. The reactor's loops become known one by one, while links
// may be opened on them already.
type loopTable struct {
	mu        sync.RWMutex
	byReactor map[gnet.EventLoop]*loop
	inOrder   []transport.Loop
}

// of returns the loop of a reactor's loop, new if it is the first time.
func (tab *loopTable) of(t *Transport, reactor gnet.EventLoop) *loop {
	tab.mu.RLock()
	lp := tab.byReactor[reactor]
	tab.mu.RUnlock()
	if lp != nil {
		return lp
	}
	tab.mu.Lock()
	defer tab.mu.Unlock()
	if lp = tab.byReactor[reactor]; lp == nil {
		lp = newLoop(t, reactor, len(tab.inOrder))
		tab.byReactor[reactor] = lp
		tab.inOrder = append(tab.inOrder, lp)
	}
	return lp
}

// list returns the loops; callers may keep it.
func (tab *loopTable) list() []transport.Loop {
	tab.mu.RLock()
	defer tab.mu.RUnlock()
	return tab.inOrder[:len(tab.inOrder):len(tab.inOrder)]
}

// quietest returns the loop with the fewest links.
func (tab *loopTable) quietest() *loop {
	tab.mu.RLock()
	defer tab.mu.RUnlock()
	var best *loop
	for _, l := range tab.inOrder {
		if lp := l.(*loop); best == nil || lp.links.Load() < best.links.Load() {
			best = lp
		}
	}
	return best
}
