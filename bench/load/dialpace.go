package load

import (
	"context"
	"sync"
	"time"
)

// A dialPace says how many connections may be in the making at once. Both sides have to keep up with those there are, too: each
// has its keepalives. So the number is halved when dials take longer than dialSoon, for then somebody's loop, or its processor,
// is behind; it grows by one for each that many that come about soon. Any goroutine.
type dialPace struct {
	mu     sync.Mutex
	window int // may be under way: 1 to dialsLimit
	out    int // are under way
	soon   int // have come about soon since the window changed
	cutAt  time.Time
	freed  chan struct{} // closed and made anew when a place may have become free
}

func newDialPace() *dialPace { return &dialPace{window: dialsLimit, freed: make(chan struct{})} }

// begin waits for a place. It reports false if ctx ends first.
func (p *dialPace) begin(ctx context.Context) bool {
	for {
		p.mu.Lock()
		ok, freed := p.out < p.window, p.freed
		if ok {
			p.out++
		}
		p.mu.Unlock()
		if ok {
			return ctx.Err() == nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// end gives the place back after a dial that began at one moment and ended at another.
func (p *dialPace) end(began, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	switch {
	case now.Sub(began) <= dialSoon:
		if p.soon++; p.soon >= p.window {
			p.window, p.soon = min(p.window+1, dialsLimit), 0
		}
	case !began.Before(p.cutAt): // it was dialled with the window as it is
		p.window, p.soon, p.cutAt = max(p.window/2, 1), 0, now
	}
	close(p.freed)
	p.freed = make(chan struct{})
}
