package lab

import (
	"flag"
	"io"
	"math/rand/v2"
	"time"
)

// weather is what a cable does to frames, in each direction.
type weather struct {
	delay, jitter      time.Duration
	loss, dup, reorder float64 // percent of frames
	rate               int64   // bits a second; 0: no limit
	queue              time.Duration
}

func (w *weather) flags(f *flag.FlagSet) {
	f.DurationVar(&w.delay, "delay", 0, "delay of every frame")
	f.DurationVar(&w.jitter, "jitter", 0, "further delay, even between none and this; the order is kept")
	f.Float64Var(&w.loss, "loss", 0, "percent of frames lost")
	f.Float64Var(&w.dup, "dup", 0, "percent of frames sent twice")
	f.Float64Var(&w.reorder, "reorder", 0, "percent of frames that skip the delay")
	f.Int64Var(&w.rate, "rate", 0, "bits per second; 0: no limit")
	f.DurationVar(&w.queue, "queue", 200*time.Millisecond, "with -rate: what would wait longer is dropped")
}

// A cable is one direction. It belongs to the goroutine that carries.
type cable struct {
	weather
	dice *rand.Rand
	idle time.Duration // when the line has sent what it was given
	last time.Duration // when the last frame in order arrives
}

func newCable(w weather, dice *rand.Rand) *cable { return &cable{weather: w, dice: dice} }

func (c *cable) hit(percent float64) bool { return percent > 0 && c.dice.Float64()*100 < percent }

// frame decides about a frame of size bytes that comes at now: when it arrives, and how many times; 0: never.
func (c *cable) frame(now time.Duration, size int) (at time.Duration, copies int) {
	if c.hit(c.loss) {
		return 0, 0
	}
	if c.hit(c.reorder) {
		return now, 1
	}
	at = now
	if c.rate > 0 {
		c.idle = max(c.idle, now)
		if c.idle-now > c.queue {
			return 0, 0
		}
		c.idle += time.Duration(int64(size) * 8 * int64(time.Second) / c.rate)
		at = c.idle
	}
	at += c.delay
	if c.jitter > 0 {
		at += time.Duration(c.dice.Int64N(int64(c.jitter) + 1))
	}
	at = max(at, c.last)
	c.last = at
	if c.hit(c.dup) {
		return at, 2
	}
	return at, 1
}

type lateFrame struct {
	at   time.Duration
	data []byte
}

// cableAhead bounds the frames on the way; more are lost, as on a real line.
const cableAhead = 1 << 14

// carry moves frames until reading fails.
func (c *cable) carry(from io.Reader, to io.Writer) error {
	began := time.Now()
	line := make(chan lateFrame, cableAhead)
	defer close(line)
	go func() {
		for f := range line {
			time.Sleep(f.at - time.Since(began))
			_, _ = to.Write(f.data) // a full device drops, as a line does
		}
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return err
		}
		now := time.Since(began)
		at, copies := c.frame(now, n)
		if at <= now {
			for range copies {
				_, _ = to.Write(buf[:n])
			}
			continue
		}
		data := append([]byte(nil), buf[:n]...)
		for range copies {
			select {
			case line <- lateFrame{at, data}:
			default:
			}
		}
	}
}
