package quicio

import (
	"errors"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A writer is the sending side of a link. quic-go either takes a piece into its own queue at once (TryWriteAll), or keeps
// its caller waiting until it has sent nearly all of it (Write). So:
//
//	short, and little on the way ──▶ TryWriteAll, on the caller's goroutine
//	otherwise ──▶ pending ──▶ push: a goroutine, while there is something ──▶ Write
//
// What TryWriteAll takes may lie in quic-go for as long as the other side likes. Nobody says when it has left, but a Write
// that returns does: that is why only so much goes the first way (directBurst) before something goes the second.
type writer struct {
	link *link
	done chan struct{} // closed when our end has been given to quic-go, or cannot be

	mu      sync.Mutex // guards what follows
	pending []byte     // waits for push; lent by the transport's mem
	spare   []byte     // push's other buffer, when it is not in use
	away    int        // the size of that while it is
	burst   int        // given to TryWriteAll since the queue was last known to be empty
	pushing bool
	full    bool // the last write was short
	ended   bool // nothing more may be written
	failed  bool // the other side takes no more
	closed  bool // done is closed
}

func (w *writer) init(l *link) { w.link, w.done = l, make(chan struct{}) }

// write implements Link.Write.
func (w *writer) write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0, transport.ErrClosed
	}
	if len(b) == 0 || w.direct(b) {
		return len(b), nil
	}
	if w.ended {
		return 0, transport.ErrClosed
	}
	n := w.hold(b)
	w.full = n < len(b)
	switch {
	case w.pushing:
	case n > 0:
		w.pushing = true
		w.link.t.running.Go(w.push)
	default:
		time.AfterFunc(memoryAgain, w.again)
	}
	return n, nil
}

// hold adds to pending as much of b as there is room and memory for.
func (w *writer) hold(b []byte) int {
	n := min(len(b), sendBuffer-len(w.pending))
	w.pending, _ = w.link.t.mem.GrowToSend(w.pending, n) // without memory it is as it was
	n = min(n, cap(w.pending)-len(w.pending))
	w.pending = append(w.pending, b[:n]...)
	return n
}

// again has a write tried again that has found no memory.
func (w *writer) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roomLocked()
}

// roomLocked tells of room, if the last write has not found enough.
func (w *writer) roomLocked() {
	if w.full {
		w.full = false
		w.link.loop.Post(w.link.writableFunc)
	}
}

// direct gives b to quic-go's own queue, if that may be and there is room.
func (w *writer) direct(b []byte) bool {
	if w.pushing || len(b) > directWrite || w.burst+len(b) > directBurst {
		return false
	}
	err := w.link.stream.TryWriteAll(b)
	if err == nil {
		w.burst += len(b)
		return true
	}
	w.ended = !errors.Is(err, quic.ErrWouldBlock) // else the connection has ended, which the reader learns by itself
	return false
}

// push sends what is pending until nothing is.
func (w *writer) push() {
	for {
		piece := w.next()
		if piece == nil {
			return
		}
		_, err := w.link.stream.Write(piece)
		w.mu.Lock()
		w.spare, w.away = piece[:0], 0
		if err != nil {
			w.ended, w.failed = true, true
			w.pending = w.pending[:0]
		}
		w.mu.Unlock()
	}
}

// next is the next piece to send; nil: there is none, and push ends.
func (w *writer) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roomLocked()
	piece := w.pending
	w.pending, w.spare = w.spare, nil
	if len(piece) > 0 {
		w.away = cap(piece)
		return piece
	}
	w.link.t.mem.Put(piece)
	w.link.t.mem.Put(w.pending)
	w.pending, w.pushing, w.burst = nil, false, 0
	if w.ended {
		w.finish()
	}
	return nil
}

// end ends the direction: what is pending is sent, then our end.
func (w *writer) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if !w.pushing {
		w.finish()
	}
}

// finish gives our end to quic-go. Under mu; nothing is pending.
func (w *writer) finish() {
	if !w.closed {
		w.closed = true
		_ = w.link.stream.Close() // fails only if the connection has ended
		close(w.done)
	}
}

// kept is the memory that is lent to it.
func (w *writer) kept() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return cap(w.pending) + cap(w.spare) + w.away
}

// hasFailed reports whether what was written was not taken.
func (w *writer) hasFailed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// hasEnded reports whether end has been called.
func (w *writer) hasEnded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}
