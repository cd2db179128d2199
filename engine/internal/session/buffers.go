package session

import (
	"errors"
	"math/bits"
	"sync"
	"sync/atomic"
)

// ErrMemory says that the node's memory limit for buffers is reached. It is nobody's fault but the limit's.
var ErrMemory = errors.New("session: the node's buffer memory is used up")

const (
	smallestClass = 10 // 1 KiB: a handful of small frames
	largestClass  = 20 // 1 MiB: a full send lane; larger buffers are made and dropped singly
)

// Buffers lends byte slices in sizes that are powers of two, and counts what is out. One serves a whole Network; all
// methods are safe for concurrent use.
//
// A general pool hands a buffer that once held a megabyte to a peer that wants sixty bytes. With ten thousand peers
// that each send a keepalive now and then, the size classes are what keeps idle memory idle.
type Buffers struct {
	limit   int64
	out     atomic.Int64
	classes [largestClass + 1]sync.Pool // of *[]byte
	boxes   sync.Pool                   // of *[]byte that hold nothing, so that Put need not make one
}

// NewBuffers returns Buffers that lend at most limit bytes at a time.
func NewBuffers(limit int64) *Buffers { return &Buffers{limit: limit} }

// Lent is how many bytes are out at the moment.
func (s *Buffers) Lent() int64 { return s.out.Load() }

// Limit is the most that may be out.
func (s *Buffers) Limit() int64 { return s.limit }

// Reserve counts n bytes that the caller keeps outside the pool, Release gives them back.
func (s *Buffers) Reserve(n int) error {
	if s.out.Add(int64(n)) > s.limit {
		s.out.Add(-int64(n))
		return ErrMemory
	}
	return nil
}

// Release undoes a Reserve of n bytes.
func (s *Buffers) Release(n int) { s.out.Add(-int64(n)) }

// Get lends an empty slice with room for at least n bytes. It must be given back with Put by its present capacity.
func (s *Buffers) Get(n int) ([]byte, error) {
	c, size := classOf(n), sizeOf(n)
	if err := s.Reserve(size); err != nil {
		return nil, err
	}
	if c <= largestClass {
		if box, ok := s.classes[c].Get().(*[]byte); ok {
			b := (*box)[:0]
			*box = nil
			s.boxes.Put(box)
			return b, nil
		}
	}
	return make([]byte, 0, size), nil
}

// Put takes a slice back that Get lent. The caller must not use it again.
func (s *Buffers) Put(b []byte) {
	size := cap(b)
	if size == 0 {
		return
	}
	s.Release(size)
	if c := classOf(size); c <= largestClass {
		box, ok := s.boxes.Get().(*[]byte)
		if !ok {
			box = new([]byte)
		}
		*box = b[:0]
		s.classes[c].Put(box)
	}
}

// sendShare is the part of the limit that what waits to be sent may not take: an eighth. Without it peers that do not read could
// have those closed whose records arrive in parts.
const sendShare = 8

// GrowToSend is Grow for what waits to be sent, which leaves an eighth of the limit to what arrives and to what keeps
// connections going.
func (s *Buffers) GrowToSend(b []byte, n int) ([]byte, error) {
	if cap(b)-len(b) < n && s.out.Load()+int64(sizeOf(max(len(b)+n, 2*cap(b)))) > s.limit-s.limit/sendShare {
		return b, ErrMemory
	}
	return s.Grow(b, n)
}

// Grow returns b with room for n more bytes: b itself, or a larger slice with the same content (b is given back).
// If the limit forbids it b stays as it is.
func (s *Buffers) Grow(b []byte, n int) ([]byte, error) {
	if cap(b)-len(b) >= n {
		return b, nil
	}
	bigger, err := s.Get(max(len(b)+n, 2*cap(b)))
	if err != nil {
		return b, err
	}
	bigger = append(bigger, b...)
	s.Put(b)
	return bigger, nil
}

func classOf(n int) int {
	return max(smallestClass, bits.Len(uint(max(n, 1)-1)))
}

// sizeOf is what a buffer for n bytes takes.
func sizeOf(n int) int {
	if c := classOf(n); c <= largestClass {
		return 1 << c
	}
	return n
}
