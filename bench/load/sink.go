package load

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// A Sink is what the serving side of a driver reports to. Any goroutine.
type Sink struct {
	pattern *Pattern
	latency *Recorder // of one-way messages that carry a stamp: from when they should have left
	service *Recorder // and from when they did

	opened   atomic.Uint64
	closed   atomic.Uint64
	messages atomic.Uint64
	bytes    atomic.Uint64
	requests atomic.Uint64
	marks    atomic.Uint64
	faults   [faultCount]atomic.Uint64

	marked chan struct{} // holds one token after a mark; Await takes it
}

// NewSink returns a Sink that has seen nothing.
func NewSink(p *Pattern) *Sink {
	return &Sink{pattern: p, latency: NewRecorder(shardLimit), service: NewRecorder(shardLimit), marked: make(chan struct{}, 1)}
}

// fault is what can be wrong with a message that arrived.
type fault uint8

const (
	faultCorrupt      fault = iota // altered, cut or lengthened
	faultGap                       // counts the messages missing before one that arrived
	faultRepeat                    // came again, or after one that was sent later
	faultMisdelivered              // of another connection's stream
	faultCount
)

var faultNames = [faultCount]string{"corrupt", "gap", "repeat", "misdelivered"}

// Open reports that a connection is ready at this end: its handshake, if it has one, is finished.
func (s *Sink) Open() *Receiver {
	s.opened.Add(1)
	return &Receiver{sink: s, stream: noStream}
}

// Counts returns what has been seen since the last Reset.
func (s *Sink) Counts() Counts {
	c := Counts{
		Opened: s.opened.Load(), Closed: s.closed.Load(), Messages: s.messages.Load(), Bytes: s.bytes.Load(),
		Requests: s.requests.Load(), Marks: s.marks.Load(), Errors: map[string]uint64{},
	}
	for f, name := range faultNames {
		if n := s.faults[f].Load(); n > 0 {
			c.Errors[name] = n
		}
	}
	return c
}

// Reset forgets counts and latencies; places in streams stay. Exact only while nothing arrives.
func (s *Sink) Reset() {
	for _, c := range []*atomic.Uint64{&s.opened, &s.closed, &s.messages, &s.bytes, &s.requests, &s.marks} {
		c.Store(0)
	}
	for f := range s.faults {
		s.faults[f].Store(0)
	}
	s.latency.Reset()
	s.service.Reset()
}

// Counts are a Sink's totals. Messages and Bytes are those of one-way messages that arrived whole and in their place.
type Counts struct {
	Opened   uint64            `json:"opened"`
	Closed   uint64            `json:"closed"`
	Messages uint64            `json:"messages"`
	Bytes    uint64            `json:"bytes"`
	Requests uint64            `json:"requests"`
	Marks    uint64            `json:"marks"`
	Errors   map[string]uint64 `json:"errors,omitempty"`
}

// A Receiver is the serving side's view of one connection. It belongs to whoever delivers the connection's messages:
// one call at a time. It keeps nothing of the slices it is shown. It is small, 32 bytes, since it counts as memory of
// the connection it watches.
type Receiver struct {
	sink   *Sink
	next   uint64 // the place the next message must have
	stream uint32 // of the first message; all others must carry it

	// Not yet published: at most publishEvery messages, so at most 256 MiB.
	messages uint32
	bytes    uint32
}

// noStream is no stream's number: the bit it has is a mark's.
const noStream = markBit

// Message reports a one-way message.
func (r *Receiver) Message(msg []byte) {
	h, ok := r.sink.pattern.Check(msg)
	if !ok {
		r.sink.faults[faultCorrupt].Add(1)
		return
	}
	if r.stream == noStream {
		r.stream = h.Stream
	}
	switch {
	case h.Stream != r.stream:
		r.sink.faults[faultMisdelivered].Add(1)
		return
	case h.Seq < r.next:
		r.sink.faults[faultRepeat].Add(1)
		return
	case h.Seq > r.next:
		// What is missing is counted as missing. The one that shows it did arrive, but out of its place: it does
		// not count either, except that a mark must end its phase.
		r.sink.faults[faultGap].Add(h.Seq - r.next)
		r.next = h.Seq + 1
	default:
		r.next++
		if !h.Mark {
			r.count(msg, h)
		}
	}
	if h.Mark {
		r.publish()
		r.sink.marks.Add(1)
		select {
		case r.sink.marked <- struct{}{}:
		default:
		}
	}
}

// Request reports a request and returns the answer to send: the same bytes, or as many of the pattern as the request asks
// for. The answer is only to be read.
func (r *Receiver) Request(req []byte) []byte {
	r.sink.requests.Add(1)
	if len(req) < HeaderSize || binary.LittleEndian.Uint64(req[offStamp:]) == 0 {
		return req // its sender checks what comes back
	}
	h, ok := r.sink.pattern.Check(req)
	if !ok || h.Stamp < 0 || h.Stamp > SizeLimit {
		r.sink.faults[faultCorrupt].Add(1)
		return req
	}
	return r.sink.pattern.Answer(h.Seq, int(h.Stamp))
}

// Close reports that the connection has ended. It is the last call.
func (r *Receiver) Close() {
	r.publish()
	r.sink.closed.Add(1)
}

func (r *Receiver) count(msg []byte, h Header) {
	r.messages++
	r.bytes += uint32(len(msg))
	if h.Stamp != 0 {
		planned, left := stamp(h.Stamp).since(time.Now())
		shard := int(r.stream % shardLimit)
		r.sink.latency.Record(shard, planned)
		r.sink.service.Record(shard, left)
	}
	if r.messages == publishEvery {
		r.publish()
	}
}

func (r *Receiver) publish() {
	r.sink.messages.Add(uint64(r.messages))
	r.sink.bytes.Add(uint64(r.bytes))
	r.messages, r.bytes = 0, 0
}
