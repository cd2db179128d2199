package main

import "sync"

// windowBytes is how much a one-way sender of a library without backpressure may have under way between two signs of the
// receiver, and two of them may be awaited: half a megabyte, as much as the sockets of the others hold.
const windowBytes = 256 << 10

// A window keeps a sender from running ahead of its receiver. ask sends a sign that is answered when everything before it has
// been handled. Send belongs to one goroutine at a time.
type window struct {
	ask  func() error
	sent int
	open chan struct{} // signs under way
	mu   sync.Mutex
	err  error
}

func newWindow(ask func() error) *window { return &window{ask: ask, open: make(chan struct{}, 2)} }

// spent counts what was sent, and waits if it is too much.
func (w *window) spent(n int) error {
	if w.sent += n; w.sent < windowBytes {
		return nil
	}
	w.sent = 0
	w.open <- struct{}{}
	go func() {
		err := w.ask()
		w.mu.Lock()
		if w.err == nil {
			w.err = err
		}
		w.mu.Unlock()
		<-w.open
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
