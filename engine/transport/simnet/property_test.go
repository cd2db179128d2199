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

// TestStreams and FuzzStreams: whatever the weather and whatever the two ends do, what an end has received is a prefix of
// what the other wrote, and all of it once the writer has closed in order and the reader has not. No buffer takes more than its size.
func TestStreams(t *testing.T) { rapid.Check(t, streams) }

func FuzzStreams(f *testing.F) {
	for seed := range byte(4) {
		b := make([]byte, 32<<10) // rapid takes its choices from it: less would end in the middle
		rand.NewChaCha8([32]byte{seed}).Read(b)
		f.Add(b)
	}
	f.Fuzz(rapid.MakeFuzz(streams))
}

// A side is one end with what was written to it.
type side struct {
	*end
	sent   bytes.Buffer
	dead   bool // its host has crashed
	finish bool // CloseWrite
	own    bool // Close
}

func drawWeather(t *rapid.T) simnet.Weather {
	span := func(name string, most time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name))
	}
	part := rapid.SampledFrom([]float64{0, 0, 0.01, 0.2, 1})
	return simnet.Weather{
		Latency:    span("latency", 300*time.Millisecond),
		Jitter:     span("jitter", 300*time.Millisecond),
		Loss:       part.Draw(t, "loss"),
		Cut:        part.Draw(t, "cut"),
		Rate:       rapid.SampledFrom([]int64{0, 0, 1, 1000, 1 << 20, 1 << 40}).Draw(t, "rate"),
		ResetAfter: span("reset after", time.Hour),
		HardClose:  rapid.Bool().Draw(t, "hard close"),
	}
}

func streams(t *rapid.T) {
	n := simnet.New(rapid.Uint64().Draw(t, "seed"), simnet.Weather{})
	buffer := rapid.IntRange(1, 100_000).Draw(t, "send buffer")
	a, b := newNode(t, n, ipA, simnet.SendBuffer(buffer)), newNode(t, n, ipB, simnet.SendBuffer(buffer))
	ea, eb := a.connect(b)
	sides := []*side{{end: ea}, {end: eb}}
	for i, s := range sides {
		s.node.onBytes = func(*end, []byte) { checkPrefix(t, s, sides[1-i]) }
	}
	weathers := []simnet.Weather{{}}
	setWeather := func() {
		w := drawWeather(t)
		weathers = append(weathers, w)
		n.SetWeather(w)
	}
	setWeather()
	pick := func() *side { return sides[rapid.IntRange(0, 1).Draw(t, "side")] }
	write := func(t *rapid.T) {
		s := pick()
		if s.blocked {
			t.Skip("waiting for Writable")
		}
		in := text(s.sent.Len() + rapid.IntRange(0, 2*buffer).Draw(t, "size"))[s.sent.Len():]
		k, err := s.Write(in)
		if k > buffer || k < 0 || k > len(in) || err != nil && k != 0 {
			t.Fatalf("wrote %d of %d, %v", k, len(in), err)
		}
		if gone := s.closed || s.dead || s.finish || s.own; gone != (err != nil) {
			t.Fatalf("gone is %v, and Write says %v", gone, err)
		}
		s.sent.Write(in[:k])
		s.blocked = err == nil && k < len(in)
	}
	t.Repeat(map[string]func(*rapid.T){
		"write": write, "write more": write, "write still more": write,
		"run":      func(t *rapid.T) { n.Run(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "for"))) },
		"run long": func(t *rapid.T) { n.Run(time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "for"))) },
		"limit":    func(t *rapid.T) { pick().SetQueueLimit(rapid.IntRange(0, buffer).Draw(t, "limit")) },
		"weather":  func(*rapid.T) { setWeather() },
		"part":     func(*rapid.T) { n.Partition([]netip.Addr{ipA}) },
		"heal":     func(*rapid.T) { n.Heal() },
		"end": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "really") > 0 {
				t.Skip("too soon: an end leaves little to see")
			}
			switch s := pick(); rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				s.CloseWrite()
				s.finish = true
			case 1:
				s.Close()
				s.own = s.own || !s.closed
			case 2:
				s.node.Crash()
				s.dead = true
			}
		},
	})
	n.Heal()
	n.SetWeather(simnet.Weather{})
	// What is on a line of a byte a second, or behind seven losses of each packet, needs its time; nothing needs for ever.
	if !n.Quiesce(1000 * 24 * time.Hour) {
		t.Fatal("the net does not come to rest")
	}
	hard := false
	for _, w := range weathers {
		hard = hard || w.HardClose
	}
	for i, s := range sides {
		o := sides[1-i]
		checkPrefix(t, s, o)
		if s.dead || o.dead {
			continue
		}
		if s.blocked && !s.closed && !s.own {
			t.Errorf("a short Write, room, and no Writable")
		}
		if s.own && (!s.closed || s.err != nil) && s.err != io.EOF && s.err != simnet.ErrTimeout && s.err != simnet.ErrReset {
			t.Errorf("closed %v with %v after Close", s.closed, s.err)
		}
		orderly := s.closed && (s.err == nil || s.err == io.EOF)
		if orderly && o.err == io.EOF && !hard && !bytes.Equal(o.got.Bytes(), s.sent.Bytes()) {
			t.Errorf("an orderly end after %d bytes of %d", o.got.Len(), s.sent.Len())
		}
		if !s.closed && !o.closed && !s.finish && !o.finish && !bytes.Equal(o.got.Bytes(), s.sent.Bytes()) {
			t.Errorf("both ends open, and %d bytes of %d arrived", o.got.Len(), s.sent.Len())
		}
	}
}

// checkPrefix holds that what to has received is the beginning of what from has written.
func checkPrefix(t *rapid.T, to, from *side) {
	// A Write inside which bytes are delivered does not exist: sent is up to date whenever an event runs.
	if !bytes.HasPrefix(from.sent.Bytes(), to.got.Bytes()) {
		t.Fatalf("%d bytes arrived that are no prefix of the %d written", to.got.Len(), from.sent.Len())
	}
}
