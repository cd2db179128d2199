package simnet

import "time"

// An actor is what an event happens to.
type actor interface {
	// fire carries the event out, under the Net's lock. What the Sink is to be told it leaves in n.call.
	fire(n *Net, ev *pending)

	// runs is the host whose process has to run for that, under the Net's lock; nil: none has.
	runs(n *Net, ev *pending) *Host
}

// A pending is an event that can be put in the queue: at most once at a time. It lies inside the link, loop, dial or task it
// belongs to, so that scheduling allocates nothing.
type pending struct {
	owner      actor
	pos        int  // its index in the heap plus one; 0: not in the queue
	background bool // does not count as work under way; see Net.Quiesce
}

func (ev *pending) queued() bool { return ev.pos > 0 }

// A queue is a binary heap of events ordered by (at, seq): first come, first served within one instant.
//
// Invariant: heap[i].ev.pos == i+1; busy is the number of entries that are not background.
type queue struct {
	heap []entry
	seq  uint64
	busy int
}

type entry struct {
	at  time.Duration
	seq uint64
	ev  *pending
}

func (e *entry) before(o *entry) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

// set puts ev in the queue for at, behind everything that is there for at already. If it was queued it moves.
func (q *queue) set(ev *pending, at time.Duration) {
	q.stop(ev)
	q.seq++
	if !ev.background {
		q.busy++
	}
	q.heap = append(q.heap, entry{at, q.seq, ev})
	q.up(len(q.heap) - 1)
}

// stop takes ev out of the queue, if it is there.
func (q *queue) stop(ev *pending) {
	if ev.pos == 0 {
		return
	}
	q.remove(ev.pos - 1)
}

// head returns the time of the next event.
func (q *queue) head() (at time.Duration, ok bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

// pop takes out the next event. The queue must not be empty.
func (q *queue) pop() (at time.Duration, ev *pending) {
	at, ev = q.heap[0].at, q.heap[0].ev
	q.remove(0)
	return at, ev
}

func (q *queue) remove(i int) {
	ev := q.heap[i].ev
	ev.pos = 0
	if !ev.background {
		q.busy--
	}
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap[last] = entry{}
	q.heap = q.heap[:last]
	if i == last {
		return
	}
	q.heap[i] = moved
	if i > 0 && moved.before(&q.heap[(i-1)/2]) {
		q.up(i)
	} else {
		q.down(i)
	}
}

// up moves entry i towards the root until its parent is earlier. It leaves every pos right, that of i included.
func (q *queue) up(i int) {
	e := q.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		q.heap[i].ev.pos = i + 1
		i = parent
	}
	q.heap[i] = e
	e.ev.pos = i + 1
}

// down moves entry i towards the leaves until its children are later.
func (q *queue) down(i int) {
	e := q.heap[i]
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			break
		}
		if child+1 < len(q.heap) && q.heap[child+1].before(&q.heap[child]) {
			child++
		}
		if !q.heap[child].before(&e) {
			break
		}
		q.heap[i] = q.heap[child]
		q.heap[i].ev.pos = i + 1
		i = child
	}
	q.heap[i] = e
	e.ev.pos = i + 1
}
