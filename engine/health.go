package engine

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
)

// What a loop writes down about itself, and what came in under which opcode.
//
// Cost: for each event of a loop, which is a system call or more, some atomic additions in cache lines of the loop's own; for
// each message two additions to memory that the loop alone writes. No lock, no allocation: TestMessageAllocs.

// spanFirst is where Spans begin: 2^14 ns, 16.4 us, about what an event takes that reads one message and writes one.
const spanFirst = 14

// Spans counts spans of time by their size: Counts[i] are those below SpanBound(i), and above the bound before it; the last
// ones are all that are longer. Sum is all of them together.
type Spans struct {
	Counts [18]int64
	Sum    time.Duration
}

// SpanBound is the upper bound of Counts[i]: 16.4 us, doubled with each i.
func SpanBound(i int) time.Duration { return 1 << (spanFirst + i) }

// Count is how many spans there are.
func (s *Spans) Count() (n int64) {
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// Quantile is the bound below which the part q, 0 to 1, of the spans lies: at most twice what it is in truth, unless it is
// the last bound. 0 without spans.
func (s *Spans) Quantile(q float64) (bound time.Duration) {
	left := int64(q * float64(s.Count()))
	for i, c := range s.Counts {
		if c > 0 {
			bound = SpanBound(i)
		}
		if left -= c; left < 0 {
			break
		}
	}
	return bound
}

// spans are Spans that one loop adds to and anybody reads.
type spans struct {
	sum    atomic.Int64 // beside the counts that are used most
	counts [18]atomic.Int64
}

func (s *spans) add(d time.Duration) {
	at := bits.Len64(uint64(max(d, 0)) >> spanFirst)
	s.counts[min(at, len(s.counts)-1)].Add(1)
	s.sum.Add(int64(d))
}

func (s *spans) read() (out Spans) {
	for i := range s.counts {
		out.Counts[i] = s.counts[i].Load()
	}
	out.Sum = time.Duration(s.sum.Load())
	return out
}

// loopHealth is written by one loop and read by anybody.
type loopHealth struct {
	held  spans
	late  spans
	peers atomic.Int64
}

// LoopStats tell how a loop fares.
type LoopStats struct {
	Peers int64 // open on it

	// Held is how long its events have held it: while one lasts, all else waits. Sum by time is how busy it is.
	Held Spans

	// Late is by how much it came later to its timers than they were due.
	Late Spans
}

// OpcodeStats count messages of one opcode.
type OpcodeStats struct {
	MessagesIn int64
	BytesIn    int64 // of payloads
}

// opcodePlaces bounds how many opcodes are counted apart: the library's own, 40, and the first 23 of the application; the
// rest share the last place. A peer cannot make it grow: only opcodes that are registered or subscribed to have a place.
const opcodePlaces = 64

// opcodeCounts count messages by opcode for a Network. Any goroutine; codes is under Network.compose and read as it is.
type opcodeCounts struct {
	codes  atomic.Pointer[[]opcode.Opcode] // of the application, by place
	counts [opcodePlaces]struct{ messages, bytes atomic.Int64 }
}

// libraryPlaces are the places of the library's opcodes: their numbers.
const libraryPlaces = 40

// place returns where messages of an opcode are counted. Under Network.compose.
func (c *opcodeCounts) place(op opcode.Opcode) int {
	if op < libraryPlaces {
		return int(op)
	}
	var codes []opcode.Opcode
	if known := c.codes.Load(); known != nil {
		codes = *known
	}
	for i, have := range codes {
		if have == op {
			return libraryPlaces + i
		}
	}
	if libraryPlaces+len(codes) >= opcodePlaces-1 {
		return opcodePlaces - 1
	}
	codes = append(codes[:len(codes):len(codes)], op)
	c.codes.Store(&codes)
	return libraryPlaces + len(codes) - 1
}

// read returns what has been counted. What has no place of its own is under opcode.UnregisteredCode.
func (c *opcodeCounts) read() map[opcode.Opcode]OpcodeStats {
	var codes []opcode.Opcode
	if known := c.codes.Load(); known != nil {
		codes = *known
	}
	out := map[opcode.Opcode]OpcodeStats{}
	for i := range c.counts {
		op := opcode.UnregisteredCode
		switch at := i - libraryPlaces; {
		case at < 0:
			op = opcode.Opcode(i)
		case at < len(codes):
			op = codes[at]
		}
		s := OpcodeStats{c.counts[i].messages.Load(), c.counts[i].bytes.Load()}
		if s.MessagesIn > 0 {
			s.MessagesIn += out[op].MessagesIn
			s.BytesIn += out[op].BytesIn
			out[op] = s
		}
	}
	return out
}

// An opcodeTally is what a loop counts during one event.
type opcodeTally struct {
	counts  [opcodePlaces]struct{ messages, bytes uint32 }
	touched uint64 // a bit for each place that is not zero
}

// count counts a message. On the loop.
func (l *loop) count(place, size int) {
	t := &l.opcodes
	c := &t.counts[place%opcodePlaces]
	c.messages++
	c.bytes += uint32(size)
	t.touched |= 1 << (place % opcodePlaces)
}

// addTo adds up what an event has counted.
func (t *opcodeTally) addTo(c *opcodeCounts) {
	for ; t.touched != 0; t.touched &= t.touched - 1 {
		place := bits.TrailingZeros64(t.touched)
		n := &t.counts[place]
		c.counts[place].messages.Add(int64(n.messages))
		c.counts[place].bytes.Add(int64(n.bytes))
		n.messages, n.bytes = 0, 0
	}
}
