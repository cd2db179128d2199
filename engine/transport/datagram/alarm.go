package datagram

import (
	"container/heap"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// An alarm is when something a link is in the middle of goes on. The zero alarm is not set. It belongs to the loop.
type alarm struct {
	at    time.Duration
	place int // in the heap, plus one; 0: not set
	ring  func(now time.Duration)
}

// alarms are those that are set, the next one first. There is one for each dial, move or search under way: an idle link has
// none.
type alarms []*alarm

func (s *alarms) set(a *alarm, at time.Duration) {
	a.at = at
	if a.place == 0 {
		heap.Push(s, a)
		return
	}
	heap.Fix(s, a.place-1)
}

func (s *alarms) stop(a *alarm) {
	if a.place > 0 {
		heap.Remove(s, a.place-1)
	}
}

// due takes the next alarm whose time has come.
func (s *alarms) due(now time.Duration) *alarm {
	if len(*s) == 0 || (*s)[0].at > now {
		return nil
	}
	return heap.Pop(s).(*alarm)
}

func (s *alarms) next() time.Duration {
	if len(*s) == 0 {
		return transport.Never
	}
	return (*s)[0].at
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (s *alarms) Len() int           { return len(*s) }
func (s *alarms) Less(i, j int) bool { return (*s)[i].at < (*s)[j].at }

func (s *alarms) Swap(i, j int) {
	a := *s
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i+1, j+1
}

func (s *alarms) Push(x any) {
	a := x.(*alarm)
	*s = append(*s, a)
	a.place = len(*s)
}

func (s *alarms) Pop() any {
	last := len(*s) - 1
	a := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	a.place = 0
	return a
}
