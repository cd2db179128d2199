package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// ErrControl is wrapped by every error of a Control whose serving side answered wrongly or not at all.
var ErrControl = errors.New("load: the serving side's control")

// A Control asks the serving side about itself. Any goroutine; a call may wait for another one's Await.
type Control interface {
	// Snapshot returns what the serving side has seen since Reset and what its process uses; settle as in ReadUsage.
	Snapshot(settle bool) (Snapshot, error)

	// Sample is a cheap Snapshot, for looking several times a second: no latencies but those of one-way
	// messages since the last Sample.
	Sample() (Sample, error)

	// Await returns when the given number of marks has arrived since Reset, or after the time-out. It returns how many have.
	Await(marks uint64, timeout time.Duration) (uint64, error)

	// Reset makes counts and latencies start again.
	Reset() error
}

// A Snapshot is a serving side at one moment.
type Snapshot struct {
	Usage   Usage                   `json:"usage"`
	Counts  Counts                  `json:"counts"`
	Latency *hdrhistogram.Histogram `json:"-"` // of planned one-way messages, from when they should have left; nil if there were none
	Service *hdrhistogram.Histogram `json:"-"` // the same from when they did
}

// A Sample is a glance at a serving side.
type Sample struct {
	Usage   Usage    `json:"usage"`
	Counts  Counts   `json:"counts"`
	Latency *Glimpse `json:"latency,omitempty"`
}

// Local is the Control of a serving side in the same process; Usage is then both sides' together.
type Local struct{ Sink *Sink }

// Snapshot implements Control.
func (l Local) Snapshot(settle bool) (Snapshot, error) {
	s := Snapshot{Usage: ReadUsage(settle), Counts: l.Sink.Counts()}
	if h := l.Sink.latency.Merged(); h.TotalCount() > 0 {
		s.Latency, s.Service = h, l.Sink.service.Merged()
	}
	return s, nil
}

// Sample implements Control.
func (l Local) Sample() (Sample, error) {
	return Sample{Usage: ReadUsage(false), Counts: l.Sink.Counts(), Latency: l.Sink.latency.Glimpse()}, nil
}

// Await implements Control.
func (l Local) Await(marks uint64, timeout time.Duration) (uint64, error) {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		if n := l.Sink.marks.Load(); n >= marks {
			return n, nil
		}
		select {
		case <-l.Sink.marked:
		case <-deadline.C:
			return l.Sink.marks.Load(), nil
		}
	}
}

// Reset implements Control.
func (l Local) Reset() error {
	l.Sink.Reset()
	return nil
}

// The control lines: a request is one JSON object on one line, so is its answer, in order. An unknown "do" is answered
// with an error. The end of the input ends the serving side.
//
//	{"do":"snapshot","settle":true}             {"snapshot":{"usage":{…},"counts":{…}},"latency":{…},"service":{…}}
//	{"do":"sample"}                             {"sample":{"usage":{…},"counts":{…},"latency":{…}}}
//	{"do":"await","marks":3,"timeout_ms":500}   {"marks":3}
//	{"do":"reset"}                              {}
//	{"do":"stop"}                               {}, then the end
type request struct {
	Do            string `json:"do"`
	Settle        bool   `json:"settle,omitempty"`
	Marks         uint64 `json:"marks,omitempty"`
	TimeoutMillis int64  `json:"timeout_ms,omitempty"`
}

type answer struct {
	Ready    *Ready                 `json:"ready,omitempty"`
	Snapshot *Snapshot              `json:"snapshot,omitempty"`
	Latency  *hdrhistogram.Snapshot `json:"latency,omitempty"`
	Service  *hdrhistogram.Snapshot `json:"service,omitempty"`
	Sample   *Sample                `json:"sample,omitempty"`
	Marks    uint64                 `json:"marks,omitempty"`
	Error    string                 `json:"error,omitempty"`
}

// Ready is the first line of a serving child: where it can be reached.
type Ready struct {
	Driver  string `json:"driver"`
	Address string `json:"address"`
}

// WriteReady writes the first line.
func WriteReady(w io.Writer, r Ready) error {
	return json.NewEncoder(w).Encode(answer{Ready: &r})
}

// ServeControl answers the requests on r until it ends or says stop. A malformed line is an error, since after it nothing
// can be trusted.
func ServeControl(r io.Reader, w io.Writer, sink *Sink) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineLimit)
	out := json.NewEncoder(w)
	local := Local{Sink: sink}
	for lines.Scan() {
		var q request
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return fmt.Errorf("%w: %w", ErrControl, err)
		}
		a := local.answer(q)
		if err := out.Encode(a); err != nil {
			return fmt.Errorf("%w: %w", ErrControl, err)
		}
		if q.Do == "stop" {
			return nil
		}
	}
	return lines.Err()
}

func (l Local) answer(q request) (a answer) {
	switch q.Do {
	case "snapshot":
		s, _ := l.Snapshot(q.Settle) // Local's never fail
		a.Snapshot = &s
		if s.Latency != nil {
			a.Latency, a.Service = s.Latency.Export(), s.Service.Export()
		}
	case "sample":
		s, _ := l.Sample()
		a.Sample = &s
	case "await":
		a.Marks, _ = l.Await(q.Marks, min(time.Duration(q.TimeoutMillis)*time.Millisecond, time.Minute))
	case "reset":
		l.Sink.Reset()
	case "stop":
	default:
		a.Error = fmt.Sprintf("unknown request %q", q.Do)
	}
	return a
}

// Remote is the Control of a serving side at the other end of a stream of control lines.
type Remote struct {
	mu    sync.Mutex
	lines *bufio.Scanner
	out   *json.Encoder
}

// NewRemote speaks control lines: requests to w, answers from r.
func NewRemote(r io.Reader, w io.Writer) *Remote {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineLimit)
	return &Remote{lines: lines, out: json.NewEncoder(w)}
}

// Ready reads the first line. It blocks until there is one or the stream ends.
func (c *Remote) Ready() (Ready, error) {
	a, err := c.read()
	if err != nil {
		return Ready{}, err
	}
	if a.Ready == nil {
		return Ready{}, fmt.Errorf("%w: began with something else than its address", ErrControl)
	}
	return *a.Ready, nil
}

// Snapshot implements Control.
func (c *Remote) Snapshot(settle bool) (Snapshot, error) {
	a, err := c.ask(request{Do: "snapshot", Settle: settle})
	if err != nil {
		return Snapshot{}, err
	}
	if a.Snapshot == nil {
		return Snapshot{}, fmt.Errorf("%w: no snapshot in its answer", ErrControl)
	}
	s := *a.Snapshot
	if s.Latency, err = histogram(a.Latency); err != nil {
		return Snapshot{}, err
	}
	s.Service, err = histogram(a.Service)
	return s, err
}

func histogram(s *hdrhistogram.Snapshot) (*hdrhistogram.Histogram, error) {
	if s == nil {
		return nil, nil
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrControl, err)
	}
	return hdrhistogram.Import(s), nil
}

// Sample implements Control.
func (c *Remote) Sample() (Sample, error) {
	a, err := c.ask(request{Do: "sample"})
	if err != nil {
		return Sample{}, err
	}
	if a.Sample == nil {
		return Sample{}, fmt.Errorf("%w: no sample in its answer", ErrControl)
	}
	return *a.Sample, nil
}

// Await implements Control.
func (c *Remote) Await(marks uint64, timeout time.Duration) (uint64, error) {
	a, err := c.ask(request{Do: "await", Marks: marks, TimeoutMillis: timeout.Milliseconds()})
	return a.Marks, err
}

// Reset implements Control.
func (c *Remote) Reset() error {
	_, err := c.ask(request{Do: "reset"})
	return err
}

func (c *Remote) ask(q request) (answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.out.Encode(q); err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrControl, err)
	}
	return c.read()
}

func (c *Remote) read() (answer, error) {
	if !c.lines.Scan() {
		err := c.lines.Err()
		if err == nil {
			err = io.EOF
		}
		return answer{}, fmt.Errorf("%w: %w", ErrControl, err)
	}
	var a answer
	if err := json.Unmarshal(c.lines.Bytes(), &a); err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrControl, err)
	}
	if a.Error != "" {
		return answer{}, fmt.Errorf("%w: %s", ErrControl, a.Error)
	}
	return a, nil
}
