package sim

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// run lets the network go on until stop says so, or until the given time, or until nothing is left to happen.
// stop is asked after every window and every errand, or, where the shards cannot be apart, after every event.
//
// A window begins with the next event of all and is as long as the shortest way between two sites: nothing
// that a shard does in it reaches another one before its end. So the shards go through it each for itself, in
// any order or at the same time. It ends sooner where an errand is due, which may look at everything.
func (w *Network) run(ctx context.Context, until time.Duration, stop func() bool) error {
	c := crew{w: w}
	defer c.dismiss()
	separable := w.separable()
	for turn := 0; !stop(); turn++ {
		if separable || turn%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		at := w.soon()
		due, called := w.queue.next(until)
		switch {
		case called && due <= at:
			w.now = due
			w.call()
		case at > until:
			w.now = max(w.now, until)
			return nil
		case separable:
			last := min(at+w.delays.shortest-1, until)
			if called {
				last = min(last, due-1)
			}
			w.window(&c, last)
		default:
			w.now = at
			s := w.next(at)
			s.look()
			s.step()
		}
	}
	return nil
}

func never() bool { return false }

// soon returns the instant of the next event, skad.Never if there is none.
func (w *Network) soon() time.Duration {
	at := w.soonest
	for _, s := range w.shards {
		at = min(at, s.queue.peek())
	}
	return at
}

// next returns the shard of the next event, which is at that instant.
func (w *Network) next(at time.Duration) (next *shard) {
	for _, s := range w.shards {
		if _, ok := s.queue.next(at); ok && (next == nil || compare(s.queue.head(), next.queue.head()) < 0) {
			next = s
		}
	}
	return next
}

// call runs the errand that is due.
func (w *Network) call() {
	e := w.queue.pop()
	w.called++
	f := w.errands[e.what]
	w.errands[e.what] = nil
	w.spare = append(w.spare, e.what)
	f()
}

// separable reports whether the shards may be apart. An adversary is of one mind, whatever nodes it owns; who
// is behind a router looks up what its peers know of it; a reset is an errand; broadcasts and routed messages
// are followed from node to node.
func (w *Network) separable() bool {
	return w.delays.shortest >= windowLeast && w.cfg.Adversary == nil && w.cfg.Homes == 0 && !w.cfg.Resets && !w.casting && w.passing == nil
}

// window lets happen what happens until then, that instant included.
func (w *Network) window(c *crew, last time.Duration) {
	before := w.happened()
	w.apart = true
	if w.busy {
		c.work(last)
	} else {
		for _, s := range w.shards {
			s.work(last)
		}
	}
	w.apart = false
	w.now = last
	w.busy = w.happened()-before >= sparse
	w.exchange()
	w.tell()
}

// work is what one worker does in a window.
func (s *shard) work(last time.Duration) {
	s.unload()
	for {
		if _, ok := s.queue.next(last); !ok {
			return
		}
		s.look()
		s.step()
	}
}

// exchange hands over what crosses from shard to shard, and takes back the memory of what has crossed before.
func (w *Network) exchange() {
	w.soonest = skad.Never
	for _, s := range w.shards {
		w.soonest = min(w.soonest, s.soonest)
		s.soonest = skad.Never
		for _, d := range w.shards {
			s.out[d.number], d.in[s.number] = d.in[s.number], s.out[d.number]
		}
	}
}

// tell lets the experiment know what the cores had for it in the window, in the order in which it happened.
func (w *Network) tell() {
	for _, s := range w.shards {
		w.hands = append(w.hands, s.hands...)
		clear(s.hands)
		s.hands = s.hands[:0]
	}
	if len(w.hands) == 0 {
		return
	}
	slices.SortStableFunc(w.hands, func(a, b hand) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.tie, b.tie)) })
	for _, h := range w.hands {
		w.atHand(h.at, h.node, h.action)
	}
	clear(w.hands)
	w.hands = w.hands[:0]
}

// happened returns how many events there have been in the shards.
func (w *Network) happened() (sum uint64) {
	for _, s := range w.shards {
		sum += s.events
	}
	return sum
}

// bytes returns how many bytes of messages have been counted.
func (w *Network) bytes() (sum uint64) {
	for _, s := range w.shards {
		sum += s.bytes
	}
	return sum
}
