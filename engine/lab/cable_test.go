package lab

import (
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

func testCable(w weather) *cable { return newCable(w, rand.New(rand.NewPCG(1, 2))) }

// What a cable decides for one frame of 1250 bytes, 10,000 bits, that comes at 1 s after others.
func TestCableFrame(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name   string
		w      weather
		before int // frames that came at the same time
		at     time.Duration
		copies int
	}{
		{"plain", weather{}, 0, 1000 * ms, 1},
		{"delay", weather{delay: 40 * ms}, 3, 1040 * ms, 1},
		{"loses all", weather{loss: 100}, 0, 0, 0},
		{"doubles all", weather{dup: 100}, 0, 1000 * ms, 2},
		{"reorder skips the delay", weather{delay: 40 * ms, reorder: 100}, 0, 1000 * ms, 1},
		{"rate", weather{rate: 1e6, queue: time.Second}, 0, 1010 * ms, 1},
		{"rate, behind others", weather{rate: 1e6, queue: time.Second}, 4, 1050 * ms, 1},
		{"rate, a full queue", weather{rate: 1e6, queue: 35 * ms}, 4, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := testCable(c.w)
			for range c.before {
				line.frame(time.Second, 1250)
			}
			if at, copies := line.frame(time.Second, 1250); at != c.at || copies != c.copies {
				t.Errorf("arrives at %v, %d times; want %v, %d", at, copies, c.at, c.copies)
			}
		})
	}
}

// Jitter keeps the order and stays within its bounds; loss is about what was asked for.
func TestCableChance(t *testing.T) {
	line := testCable(weather{delay: 10 * time.Millisecond, jitter: 5 * time.Millisecond, loss: 20})
	var last time.Duration
	const frames = 10000
	arrived := 0
	for i := range frames {
		now := time.Duration(i) * 10 * time.Millisecond
		at, copies := line.frame(now, 100)
		arrived += copies
		if copies == 0 {
			continue
		}
		if at < last || at < now+10*time.Millisecond || at > now+15*time.Millisecond {
			t.Fatalf("frame %d of %v arrives at %v, after one at %v", i, now, at, last)
		}
		last = at
	}
	if arrived < frames*78/100 || arrived > frames*82/100 {
		t.Errorf("%d of %d arrived, 20 %% were to be lost", arrived, frames)
	}
}

// Frames go through whole and in order, late or not, and the cable ends with its reader.
func TestCableCarry(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond} {
		in, from := net.Pipe()
		to, out := net.Pipe()
		ended := make(chan error)
		go func() { ended <- testCable(weather{delay: delay}).carry(from, to) }()
		go func() {
			for _, b := range []string{"one", "two"} {
				_, _ = in.Write([]byte(b))
			}
		}()
		var got [6]byte
		if _, err := io.ReadFull(out, got[:]); err != nil || string(got[:]) != "onetwo" {
			t.Errorf("delay %v: %q, %v", delay, got, err)
		}
		in.Close()
		if err := <-ended; err != io.EOF {
			t.Errorf("ended with %v", err)
		}
		out.Close()
	}
}

func TestCableFlags(t *testing.T) {
	var w weather
	f := flag.NewFlagSet("", flag.ContinueOnError)
	w.flags(f)
	if err := f.Parse([]string{"-delay", "40ms", "-loss", "1.5", "-rate", "1000", "-jitter", "1ms", "-dup", "2", "-reorder", "3"}); err != nil {
		t.Fatal(err)
	}
	want := weather{delay: 40 * time.Millisecond, jitter: time.Millisecond, loss: 1.5, dup: 2, reorder: 3, rate: 1000, queue: 200 * time.Millisecond}
	if w != want {
		t.Errorf("%+v", w)
	}
}
