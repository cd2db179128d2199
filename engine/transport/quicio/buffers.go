package quicio

import "sync"

// buffers lends memory of one size to the links that are busy.
type buffers struct {
	size int
	pool sync.Pool // of *[]byte
}

// get lends an empty slice of that capacity.
func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, b.size)
}

// put takes back what get has lent, and lets fall what it has not.
func (b *buffers) put(s []byte) {
	if cap(s) == b.size {
		b.pool.Put(&s)
	}
}
