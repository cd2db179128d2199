package engine_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
)

// streams opens a stream between two new nodes.
func streams(w *world) (from, to *engine.Stream) {
	var cb witness
	a, b := w.node(func(c *engine.Config) { c.SendTimeout = 10 * time.Millisecond }), w.node(nil, withWitness(&cb))
	p := w.dial(a, b)
	w.Until("b to see a", func() bool { up, _, _ := cb.count(); return up == 1 })
	from, err := p.Stream()
	if err != nil {
		w.Fatal(err)
	}
	to, err = cb.peer(0).Stream()
	if err != nil {
		w.Fatal(err)
	}
	return from, to
}

// Close of a stream whose reader is slow does not wait, ends a Write that does, and is heard after all that was written.
func TestStreamCloseWhileFull(t *testing.T) {
	w := liveWorld(t)
	from, to := streams(w)
	written, stuck := make(chan int, 1), make(chan struct{})
	go func() {
		sum := 0
		from.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		for {
			k, err := from.Write(make([]byte, 10_000))
			sum += k
			if errors.Is(err, os.ErrDeadlineExceeded) { // full: from now on it waits
				from.SetWriteDeadline(time.Time{})
				close(stuck)
				continue
			}
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("write: %v", err)
				}
				written <- sum
				return
			}
		}
	}()
	<-stuck
	if err := from.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	sum := <-written
	to.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(to); err != nil || len(got) != sum {
		t.Errorf("read %d bytes of %d: %v", len(got), sum, err)
	}
}

// A deadline that has passed fails Reads and Writes that need not wait, as it does on any net.Conn.
func TestStreamPastDeadline(t *testing.T) {
	w := liveWorld(t)
	from, to := streams(w)
	if _, err := from.Write([]byte("there")); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Second)
	from.SetDeadline(past)
	if k, err := from.Write([]byte("x")); k != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %d, %v", k, err)
	}
	to.SetReadDeadline(past)
	if k, err := to.Read(make([]byte, 10)); k != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %d, %v", k, err)
	}
	to.SetReadDeadline(time.Time{})
	b := make([]byte, 10)
	if k, err := to.Read(b); err != nil || string(b[:k]) != "there" {
		t.Errorf("read after the deadline was lifted: %q, %v", b[:k], err)
	}
}

// Whatever Write has taken is before the end, also what has waited for room at the moment of Close.
func TestStreamEndIsTheEnd(t *testing.T) {
	w := liveWorld(t)
	for range 30 {
		from, to := streams(w)
		full, written := make(chan struct{}), make(chan int, 1)
		go func() {
			sum, err := 0, error(nil)
			from.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			for k := 0; err == nil; sum += k {
				k, err = from.Write(make([]byte, 10_000))
			}
			from.SetWriteDeadline(time.Time{})
			close(full)
			for err = nil; err == nil; {
				var k int
				k, err = from.Write(make([]byte, 10))
				sum += k
			}
			written <- sum
		}()
		<-full
		read := make(chan int, 1)
		go func() {
			to.SetReadDeadline(time.Now().Add(patience))
			got, err := io.ReadAll(to) // makes room
			if err != nil {
				t.Error(err)
			}
			read <- len(got)
		}()
		if err := from.Close(); err != nil {
			t.Error(err)
		}
		if sum, got := <-written, <-read; got != sum {
			t.Fatalf("read %d bytes of %d", got, sum)
		}
		w.End()
	}
}
