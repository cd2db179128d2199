package simnet_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

func TestWeatherValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		w    simnet.Weather
		want []string // parts of the error; none: valid
	}{
		{"zero", simnet.Weather{}, nil},
		{"full", simnet.Weather{Latency: time.Second, Jitter: time.Second, Loss: 1, Cut: 1, Rate: math.MaxInt64, ResetAfter: time.Hour, DialTimeout: time.Hour, HardClose: true}, nil},
		{"negative spans", simnet.Weather{Latency: -1, Jitter: -1, ResetAfter: -1, DialTimeout: -1}, []string{"Latency", "Jitter", "ResetAfter", "DialTimeout"}},
		{"span too long", simnet.Weather{Jitter: math.MaxInt64}, []string{"Jitter"}},
		{"parts", simnet.Weather{Loss: 1.1, Cut: -0.1}, []string{"Loss", "Cut"}},
		{"no number", simnet.Weather{Loss: math.NaN(), Cut: math.Inf(1)}, []string{"Loss", "Cut"}},
		{"rate", simnet.Weather{Rate: -1}, []string{"Rate"}},
	} {
		err := c.w.Validate()
		if (err != nil) != (len(c.want) > 0) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not name %s", c.name, err, part)
			}
		}
		if panicked := caught(func() { simnet.New(1, c.w) }) != nil; panicked != (err != nil) {
			t.Errorf("%s: New panicked: %v, Validate said %v", c.name, panicked, err)
		}
	}
}

func caught(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// arrival is how long one small write takes from a to b.
func arrival(n *simnet.Net, from, to *end) time.Duration {
	start, reads := n.Now(), len(to.readAt)
	from.write([]byte("x"))
	n.RunUntil(func() bool { return len(to.readAt) > reads }, time.Hour)
	return to.readAt[reads] - start
}

// TestLatency: each direction of each pair has its own, and without Jitter it is exact.
func TestLatency(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Latency: 30 * time.Millisecond})
	if got := arrival(n, ea, eb); got != 30*time.Millisecond {
		t.Errorf("a to b took %v, want 30ms", got)
	}
	n.SetPath(ipA, ipB, simnet.Weather{Latency: 7 * time.Millisecond})
	if there, back := arrival(n, ea, eb), arrival(n, eb, ea); there != 7*time.Millisecond || back != 30*time.Millisecond {
		t.Errorf("with a path of its own a to b took %v, back %v; want 7ms and 30ms", there, back)
	}
	n.SetWeather(simnet.Weather{})
	if there, back := arrival(n, ea, eb), arrival(n, eb, ea); there != 7*time.Millisecond || back != time.Millisecond {
		t.Errorf("in new weather a to b took %v, back %v; want 7ms and the default 1ms", there, back)
	}
}

// TestJitter: arrivals spread over the whole of [Latency, Latency+Jitter] and stay in it.
func TestJitter(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Latency: 10 * time.Millisecond, Jitter: 10 * time.Millisecond})
	var all []time.Duration
	for range 1000 {
		all = append(all, arrival(n, ea, eb))
	}
	least, most := slices.Min(all), slices.Max(all)
	if least < 10*time.Millisecond || most > 20*time.Millisecond {
		t.Errorf("arrivals after %v to %v, want 10ms to 20ms", least, most)
	}
	if least > 10100*time.Microsecond || most < 19900*time.Microsecond {
		t.Errorf("1000 arrivals after %v to %v: they do not fill 10ms to 20ms", least, most)
	}
}

// TestLoss: a lost packet is late by 200 ms, or 600 ms if it is lost twice; the part of late ones is Loss; nothing is
// missing and nothing overtakes.
func TestLoss(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Loss: 0.25})
	late := make(map[time.Duration]int)
	const writes = 2000
	for range writes {
		late[arrival(n, ea, eb)-time.Millisecond]++
	}
	for _, c := range []struct {
		late time.Duration
		part float64
	}{{0, 0.75}, {200 * time.Millisecond, 0.25 * 0.75}, {600 * time.Millisecond, 0.25 * 0.25 * 0.75}} {
		// Five standard deviations of a count of 2000: beyond chance, and the seed is fixed anyway.
		want, slack := writes*c.part, 5*math.Sqrt(writes*c.part*(1-c.part))
		if got := float64(late[c.late]); math.Abs(got-want) > slack {
			t.Errorf("%v writes were late by %v, want %v±%v", got, c.late, want, slack)
		}
	}
	n.SetWeather(simnet.Weather{Loss: 0.02})
	sent := text(1 << 20)
	eb.got.Reset()
	for rest := sent; len(rest) > 0; rest = rest[1<<15:] {
		ea.write(rest[:1<<15])
		n.Run(time.Second)
	}
	n.Quiesce(time.Hour)
	if !bytes.Equal(eb.got.Bytes(), sent) {
		t.Error("what arrived is not what was sent")
	}
}

// TestLossOfMany: a piece of twelve packets waits for the last of them.
func TestLossOfMany(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	n.SetWeather(simnet.Weather{Loss: 0.5})
	prompt := 0
	for range 100 {
		start := n.Now()
		ea.write(text(segment))
		n.Quiesce(time.Hour)
		if eb.readAt[len(eb.readAt)-1]-start == time.Millisecond {
			prompt++
		}
	}
	if prompt > 2 { // 1 in 4096 is
		t.Errorf("%d of 100 came without a loss", prompt)
	}
}

// TestLossTotal: where everything is lost things are late, and not for ever.
func TestLossTotal(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	n.SetWeather(simnet.Weather{Loss: 1})
	if got, want := arrival(n, ea, eb), 25401*time.Millisecond; got != want {
		t.Errorf("took %v, want seven losses: %v", got, want)
	}
}

// TestRate: bytes come at the rate of the line, piece by piece, and two directions do not share it.
func TestRate(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Rate: 1 << 20})
	start := n.Now()
	ea.write(text(256 << 10))
	eb.write(text(256 << 10))
	n.Quiesce(time.Hour)
	for _, e := range []*end{ea, eb} {
		if e.got.Len() != 256<<10 {
			t.Fatalf("%d bytes arrived", e.got.Len())
		}
		took := e.readAt[len(e.readAt)-1] - start
		if want := 251 * time.Millisecond; took != want {
			t.Errorf("256 KiB at 1 MiB/s took %v, want a quarter of a second and the latency: %v", took, want)
		}
		if len(e.reads) != 16 {
			t.Errorf("in %d reads, want one for each 16 KiB", len(e.reads))
		}
	}
}

// TestCut: with Cut every read of more than a byte ends somewhere random; without it what was written together arrives
// together.
func TestCut(t *testing.T) {
	sent := text(4000)
	for _, cut := range []float64{0, 1} {
		n, ea, eb := pair(t, 1, simnet.Weather{Cut: cut})
		ea.write(sent[:1000])
		ea.write(sent[1000:])
		n.Quiesce(time.Second)
		if !bytes.Equal(eb.got.Bytes(), sent) {
			t.Errorf("cut %v: what arrived is not what was sent", cut)
		}
		if cut == 0 && len(eb.reads) != 1 {
			t.Errorf("not cut, and yet in %d reads", len(eb.reads))
		}
		if cut == 1 && (len(eb.reads) < 3 || eb.reads[len(eb.reads)-1] != 1) {
			t.Errorf("cut everywhere, and yet in reads of %v", eb.reads)
		}
	}
}

// TestReadLimit: no read is longer than 64 KiB.
func TestReadLimit(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	sent := text(200 << 10)
	ea.write(sent)
	n.Quiesce(time.Second)
	if want := []int{64 << 10, 64 << 10, 64 << 10, 8 << 10}; !slices.Equal(eb.reads, want) {
		t.Errorf("reads of %v, want %v", eb.reads, want)
	}
	if !bytes.Equal(eb.got.Bytes(), sent) {
		t.Error("what arrived is not what was sent")
	}
}
