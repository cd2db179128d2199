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
	c := classOf(n)
	size := 1 << c
	if c > largestClass {
		size = n
	}
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
