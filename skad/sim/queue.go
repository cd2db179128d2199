package sim

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// An event is something that will happen: the arrival of flight number what, the deadline of the node at that
// seat, or a call of the experiment.
type event struct {
	at   time.Duration
	tie  uint64 // events of one instant happen in the order of their ties, see Node.tie
	kind eventKind
	what uint32
}

type eventKind uint8

const (
	arrival eventKind = iota
	deadline
	delivery // of parcel number what
	beat     // the deadline of the broadcasts of the node at that seat
	errand
)

// A queue holds the events to come, the next one first. It is a calendar: a wheel of days, each with its
// events in any order. The day that has come is sorted and then read from front to back, so an event costs
// two writes side by side instead of a way through a heap, and what happens next lies open for
// Network.foresee. What is farther away than the wheel reaches waits in a heap. The zero queue is empty.
//
//	     read │ to come
//	today ────┴──────      wheel: today+1 ... today+wheelDays-1      far: later
type queue struct {
	today []event // sorted
	read  int     // of today
	seen  int     // of today, by foreseeing
	day   int64   // number of today
	wheel [wheelDays][]event
	held  int // events in the wheel
	far   []event
}

// A day is a millisecond: of 10,000 nodes that serve it has some twenty events. The wheel of four seconds
// holds the time-outs of questions and nearly all deadlines of such nodes.
const (
	dayLength = 1 << 20 // ns
	wheelDays = 1 << 12
)

func dayOf(at time.Duration) int64 { return int64(at / dayLength) }

// compare orders events. Where they were pushed from, and in which order, makes no difference.
func compare(e, f event) int {
	if e.at != f.at {
		return cmp.Compare(e.at, f.at)
	}
	return cmp.Compare(e.tie, f.tie)
}

func (q *queue) push(at time.Duration, tie uint64, kind eventKind, what uint32) {
	e := event{at: at, tie: tie, kind: kind, what: what}
	switch day := dayOf(at); {
	case day <= q.day: // before all that is in the wheel
		rest := q.today[q.read:]
		i := sort.Search(len(rest), func(i int) bool { return compare(e, rest[i]) < 0 })
		q.today = slices.Insert(q.today, q.read+i, e)
	case day < q.day+wheelDays:
		q.enter(day, e)
	default:
		q.pushFar(e)
	}
}

// enter puts an event into the wheel.
func (q *queue) enter(day int64, e event) {
	list := &q.wheel[day%wheelDays]
	*list = append(*list, e)
	q.held++
}

// next returns the instant of the first event, if there is one that is not after until. Only so far is the calendar turned.
func (q *queue) next(until time.Duration) (at time.Duration, ok bool) {
	for q.read == len(q.today) {
		if !q.turn(dayOf(until)) {
			return 0, false
		}
	}
	at = q.today[q.read].at
	return at, at <= until
}

// turn goes on to the next day that has events, and reports whether there is one up to the last.
func (q *queue) turn(last int64) bool {
	if q.held == 0 {
		if len(q.far) == 0 || dayOf(q.far[0].at) > last {
			return false
		}
		q.day = max(q.day, dayOf(q.far[0].at)-wheelDays) // nothing until then: the wheel is turned past it
	}
	for q.day < last {
		q.day++
		for len(q.far) > 0 && dayOf(q.far[0].at) < q.day+wheelDays {
			e := q.popFar()
			q.enter(dayOf(e.at), e)
		}
		if list := &q.wheel[q.day%wheelDays]; len(*list) > 0 {
			q.held -= len(*list)
			q.today, *list, q.read, q.seen = *list, q.today[:0], 0, 0
			slices.SortFunc(q.today, compare)
			return true
		}
	}
	return false
}

// peek returns the instant of the first event without turning the calendar, skad.Never if there is none:
// whoever turned it there and then got events from others to come before would have to sort them in.
func (q *queue) peek() time.Duration {
	if q.read < len(q.today) {
		return q.today[q.read].at
	}
	for day := q.day + 1; q.held > 0 && day < q.day+wheelDays; day++ {
		if list := q.wheel[day%wheelDays]; len(list) > 0 {
			return slices.MinFunc(list, compare).at
		}
	}
	if len(q.far) > 0 {
		return q.far[0].at
	}
	return skad.Never
}

// head returns the first event, after next has said that there is one.
func (q *queue) head() event { return q.today[q.read] }

// pop takes the first event, after next has said that there is one.
func (q *queue) pop() event {
	q.read++
	return q.today[q.read-1]
}

// soon returns what comes next, as far as it is sorted and was not returned before, at most n events.
func (q *queue) soon(n int) []event {
	if q.read < q.seen {
		return nil
	}
	q.seen = min(q.read+n, len(q.today))
	return q.today[q.read:q.seen]
}

// pushFar and popFar keep the heap of what is far away.
func (q *queue) pushFar(e event) {
	q.far = append(q.far, e)
	i := len(q.far) - 1
	for i > 0 && compare(e, q.far[(i-1)/2]) < 0 {
		q.far[i] = q.far[(i-1)/2]
		i = (i - 1) / 2
	}
	q.far[i] = e
}

func (q *queue) popFar() event {
	top, n := q.far[0], len(q.far)-1
	e := q.far[n]
	q.far = q.far[:n]
	if n == 0 {
		return top
	}
	i := 0
	for child := 1; child < n; child = 2*i + 1 {
		if child+1 < n && compare(q.far[child+1], q.far[child]) < 0 {
			child++
		}
		if compare(e, q.far[child]) <= 0 {
			break
		}
		q.far[i] = q.far[child]
		i = child
	}
	q.far[i] = e
	return top
}
