package gnetio

import (
	"fmt"
	"sync"
)

// A watcher tells links when their full sockets have room again. gnet has no such notice, and its poller is not ours to
// ask; so the descriptors of full sockets are in a second set of our own, for one event each time. One goroutine waits
// on it for the whole transport and posts to the loops.
//
// An order carries a ticket: an event of an older order, or of the link that had the descriptor's number before, is
// known by it and dropped.
type watcher struct {
	poll poller

	mu     sync.Mutex // guards orders; taken inside a link's lock
	orders map[int32]order

	done chan struct{} // closed when the goroutine has ended
}

// An order is the last that was given for a descriptor. It stays until the link is gone.
type order struct {
	link   *link
	ticket uint32
}

func newWatcher() (*watcher, error) {
	p, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("gnetio: watcher: %w", err)
	}
	w := &watcher{poll: p, orders: make(map[int32]order), done: make(chan struct{})}
	go w.run()
	return w, nil
}

// watch orders one event for l, whose lock is held and whose ticket is new.
func (w *watcher) watch(l *link) error {
	w.mu.Lock()
	w.orders[l.fd] = order{l, l.ticket}
	w.mu.Unlock()
	first := !l.watched
	l.watched = true
	return w.poll.order(l.fd, l.ticket, first)
}

// forget drops the orders of l, before its descriptor is closed; closing takes it out of the poller's set.
func (w *watcher) forget(l *link) {
	w.mu.Lock()
	delete(w.orders, l.fd)
	w.mu.Unlock()
}

// run hands events to their links until the poller is closed.
func (w *watcher) run() {
	defer close(w.done)
	w.poll.wait(func(fd int32, ticket uint32, hasTicket bool) {
		w.mu.Lock()
		o, ok := w.orders[fd]
		w.mu.Unlock()
		if ok && (!hasTicket || o.ticket == ticket) {
			o.link.hasRoom(o.ticket)
		}
	})
}

// stop ends the goroutine and closes the poller. No order may be given any more.
func (w *watcher) stop() {
	w.poll.interrupt()
	<-w.done
	w.poll.close()
}
