package simnet_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// The law: whatever the weather and whatever the two ends do, what an end has received is at any moment the beginning of
// what the other wrote, and all of it once the writer has ended in order or both are open and the net is at rest; a short
// Write is answered; a net without partition comes to rest. TestStreams tries it with choices that rapid can shrink,
// FuzzStreams with choices that are bytes.

func TestStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		left := rapid.IntRange(0, 100).Draw(t, "actions")
		streams(t, func(limit int64) (int64, bool) {
			return rapid.Int64Range(0, limit-1).Draw(t, "choice"), true
		}, func() bool { left--; return left >= 0 })
	})
}

func FuzzStreams(f *testing.F) {
	for seed := range byte(8) {
		b := make([]byte, 256)
		rand.NewChaCha8([32]byte{seed}).Read(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 2048 {
			t.Skip("longer only takes longer")
		}
		streams(t, func(limit int64) (choice int64, ok bool) {
			var x uint64
			for over := uint64(1); over < uint64(limit); over <<= 8 {
				if len(b) == 0 {
					return 0, false
				}
				x, b = x<<8|uint64(b[0]), b[1:]
			}
			return int64(x % uint64(limit)), true
		}, func() bool { return len(b) > 0 })
	})
}

// A side is one end with what was written to it and what was done to it.
type side struct {
	*end
	sent    bytes.Buffer
	crashed bool
	ended   bool // CloseWrite
	own     bool // Close, while it was open
}

// over reports whether Write must refuse.
func (s *side) over() bool { return s.closed || s.crashed || s.ended || s.own }

// streams makes a connection and acts on it for as long as more says so.
func streams(t rapid.TB, choose func(limit int64) (int64, bool), more func() bool) {
	pick := func(limit int64) int64 { c, _ := choose(limit); return c }
	n := simnet.New(uint64(pick(1<<32)), simnet.Weather{})
	buffer := 1 + pick(100_000)
	size := simnet.SendBuffer(int(buffer))
	ea, eb := newNode(t, n, ipA, size).connect(newNode(t, n, ipB, size))
	sides := []*side{{end: ea}, {end: eb}}
	for i, s := range sides {
		s.node.onBytes = func(*end, []byte) { checkPrefix(t, s, sides[1-i]) }
	}
	hard, parted := false, false
	for more() {
		switch s := sides[pick(2)]; pick(12) {
		case 0, 1, 2, 3:
			write(t, s, int(pick(2*buffer)))
		case 4, 5:
			n.Run(time.Duration(pick(1e9)))
		case 6:
			n.Run(time.Duration(pick(1e12)))
		case 7:
			w := pickWeather(pick)
			hard = hard || w.HardClose
			n.SetWeather(w)
		case 8:
			s.SetQueueLimit(int(pick(buffer)))
		case 9:
			n.Partition([]netip.Addr{ipA})
			parted = true
		case 10:
			n.Heal()
		case 11:
			switch pick(8) { // mostly nothing: an end leaves little to see
			case 0:
				s.CloseWrite()
				s.ended = true
			case 1:
				s.own = s.own || !s.closed
				s.Close()
			case 2:
				s.node.Crash()
				s.crashed = true
			}
		}
	}
	n.Heal()
	n.SetWeather(simnet.Weather{})
	// What is on a line of a byte a second, or behind seven losses of each packet, needs its time; nothing needs for ever.
	if !n.Quiesce(1000 * 24 * time.Hour) {
		t.Fatal("the net does not come to rest")
	}
	for i, s := range sides {
		if o := sides[1-i]; !s.crashed && !o.crashed {
			checkEnd(t, s, o, hard, parted)
		}
	}
}

func pickWeather(pick func(int64) int64) simnet.Weather {
	parts := []float64{0, 0, 0.01, 0.2, 1}
	rates := []int64{0, 0, 1, 1000, 1 << 20, 1 << 40}
	return simnet.Weather{
		Latency:    time.Duration(pick(3e8)),
		Jitter:     time.Duration(pick(3e8)),
		Loss:       parts[pick(5)],
		Cut:        parts[pick(5)],
		Rate:       rates[pick(6)],
		ResetAfter: time.Duration(pick(36e11)),
		HardClose:  pick(2) == 1,
	}
}

// write writes size bytes of the side's text, or sees that it cannot.
func write(t rapid.TB, s *side, size int) {
	if s.blocked && !s.over() {
		return
	}
	at := s.sent.Len()
	in := text(at + size)[at:]
	k, err := s.Write(in)
	if k < 0 || k > len(in) || err != nil && k != 0 {
		t.Fatalf("wrote %d of %d, %v", k, len(in), err)
	}
	if over := s.over(); over != (err != nil) {
		t.Fatalf("over is %v, and Write says %v", over, err)
	}
	s.sent.Write(in[:k])
	s.blocked = err == nil && k < len(in)
}

// checkPrefix holds that what to has received is the beginning of what from has written. No event runs inside a Write, so
// sent is up to date whenever bytes arrive.
func checkPrefix(t rapid.TB, to, from *side) {
	if !bytes.HasPrefix(from.sent.Bytes(), to.got.Bytes()) {
		t.Fatalf("%d bytes arrived that are no beginning of the %d written", to.got.Len(), from.sent.Len())
	}
}

// checkEnd holds what must be true of s, and of what it sent to o, at rest. hard: a Close may have cost bytes; parted: a
// sender may have given up, and the other side never have heard of it.
func checkEnd(t rapid.TB, s, o *side, hard, parted bool) {
	checkPrefix(t, s, o)
	whole := bytes.Equal(o.got.Bytes(), s.sent.Bytes())
	switch {
	case s.blocked && !s.closed:
		t.Error("a short Write, room, and no Writable")
	case (s.own || s.ended || o.own || o.ended) && !s.closed && !parted:
		t.Error("an end that one side was not told of")
	case !s.closed && !o.closed && !whole:
		t.Errorf("both ends open, and %d bytes of %d arrived", o.got.Len(), s.sent.Len())
	case o.err == io.EOF && (s.err == nil || s.err == io.EOF) && !hard && !whole:
		t.Errorf("an orderly end after %d bytes of %d", o.got.Len(), s.sent.Len())
	}
}
