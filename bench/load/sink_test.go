package load

import (
	"testing"
	"unsafe"
)

// A Receiver counts as memory of the connection it watches, so it stays small.
func TestReceiverIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Receiver{}); size > 32 {
		t.Errorf("%d bytes, promised 32", size)
	}
}

// Counts become visible every publishEvery messages, at a mark, and at the end; not only then.
func TestPublishing(t *testing.T) {
	p := NewPattern()
	s := NewSink(p)
	r := s.Open()
	msg := make([]byte, 100)
	seq := uint64(0)
	send := func(n int, mark bool) {
		for range n {
			p.Put(msg, Header{Seq: seq, Mark: mark})
			r.Message(msg)
			seq++
		}
	}
	check := func(when string, messages, marks, closed uint64) {
		t.Helper()
		c := s.Counts()
		if c.Messages != messages || c.Bytes != messages*100 || c.Marks != marks || c.Closed != closed || len(c.Errors) != 0 {
			t.Errorf("%s: %+v, want %d messages, %d marks, %d closed", when, c, messages, marks, closed)
		}
	}
	send(publishEvery-1, false)
	check("before the batch is full", 0, 0, 0)
	send(1, false)
	check("when it is", publishEvery, 0, 0)
	send(3, false)
	send(1, true)
	check("at a mark, which does not count", publishEvery+3, 1, 0)
	send(2, false)
	r.Close()
	check("at the end", publishEvery+5, 1, 1)
}
