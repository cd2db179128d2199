package sim

import "time"

// An event is something that will happen: the arrival of flight number what, the deadline of a node, or a call of the experiment.
type event struct {
	at   time.Duration
	seq  uint32 // events of one instant happen in the order in which they were decided
	kind eventKind
	what uint32
}

type eventKind uint8

const (
	arrival eventKind = iota
	deadline
	delivery // of parcel number what
	beat     // the deadline of a node's broadcasts
	errand
)

// A queue holds the events to come, the next one first. It is a heap with four children to a node: a third less levels than with two, and the four lie in
// two cache lines. The zero queue is empty.
type queue struct {
	heap []event
	seq  uint32
}

// before compares two events. Numbers may wrap around: those in the queue at one time are never 2^31 apart.
func (e *event) before(f *event) bool {
	if e.at != f.at {
		return e.at < f.at
	}
	return int32(e.seq-f.seq) < 0
}

func (q *queue) push(at time.Duration, kind eventKind, what uint32) {
	e := event{at: at, seq: q.seq, kind: kind, what: what}
	q.seq++
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

// next returns the instant of the first event.
func (q *queue) next() (at time.Duration, ok bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

// pop takes the first event. The queue must not be empty.
func (q *queue) pop() event {
	top := q.heap[0]
	n := len(q.heap) - 1
	e := q.heap[n]
	q.heap = q.heap[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for child := first + 1; child < min(first+4, n); child++ {
			if q.heap[child].before(&q.heap[least]) {
				least = child
			}
		}
		if !q.heap[least].before(&e) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = e
	return top
}
