package load

// A Result is one run. Its JSON keys are a promise to whoever keeps results: new ones may come, these stay.
type Result struct {
	Scenario            string             `json:"scenario"`
	Driver              string             `json:"driver"`
	Config              Config             `json:"config"`
	Seconds             float64            `json:"seconds"`  // of the measured part
	Messages            uint64             `json:"messages"` // received and verified; requests: answered and verified; connect: handshakes
	MessagesPerSecond   float64            `json:"messages_per_second"`
	BytesPerSecond      float64            `json:"bytes_per_second"` // of messages, headers of protocols not included; requests: one way
	LatencyMicros       *Latency           `json:"latency_us"`       // open loop: from the planned time; null: not measured
	ServiceMicros       *Latency           `json:"service_us,omitempty"`
	Planned             uint64             `json:"planned,omitempty"` // open loop: what the timetable held
	Late                uint64             `json:"late,omitempty"`    // sendings that began more than 1 ms after their planned time
	Unsent              uint64             `json:"unsent,omitempty"`  // planned, and not begun when the time was up: the rate was too high
	Errors              map[string]uint64  `json:"errors"`            // by kind; empty: everything sent was received and verified
	Connections         int                `json:"connections"`
	HandshakesPerSecond float64            `json:"handshakes_per_second"`
	CPUPerMillion       float64            `json:"cpu_seconds_per_million"` // both sides, for each million messages
	Client              Side               `json:"client"`
	Server              *Side              `json:"server"`            // null: the serving side cannot be asked
	Figures             map[string]float64 `json:"figures,omitempty"` // what only this scenario has
	Cannot              string             `json:"cannot,omitempty"`  // why the driver has no figures here; then all others are zero
	Failure             string             `json:"failure,omitempty"` // why the run has none though it should: it broke, or took too long; then all others are zero
	Library             string             `json:"library,omitempty"` // what the driver drives, and its version; "": it does not say
	Interrupted         bool               `json:"interrupted,omitempty"`
	Series              Series             `json:"series"`
	Drifts              []Drift            `json:"drifts,omitempty"`       // what creeps in one direction; only of a soak
	OthersShare         float64            `json:"others_share,omitempty"` // of all processors, used by other processes meanwhile
	StolenShare         float64            `json:"stolen_share,omitempty"` // of all processors, taken away by the host
	Warnings            []string           `json:"warnings,omitempty"`     // why the figures may say less than they seem to
}

// A Side is what one of the two processes used. CPU and allocations are of the measured part; memory is that
// after it, settled, with the connections still open, and for each connection what it grew since before the
// first.
type Side struct {
	CPUSeconds        float64 `json:"cpu_seconds"`
	RSSBytes          uint64  `json:"rss_bytes"`
	HeapBytes         uint64  `json:"heap_bytes"`
	Goroutines        int     `json:"goroutines"`
	HeapPerConn       float64 `json:"heap_bytes_per_connection"`
	RSSPerConn        float64 `json:"rss_bytes_per_connection"`
	GoroutinesPerConn float64 `json:"goroutines_per_connection"`
	AllocsPerMessage  float64 `json:"allocs_per_message"`
}

// Failed reports whether anything went wrong in the run.
func (r *Result) Failed() bool { return len(r.Errors) > 0 }

// fault adds to the errors of one kind; nothing if n is 0.
func (r *Result) fault(kind string, n uint64) {
	if n > 0 {
		r.Errors[kind] += n
	}
}

// figure adds a number that only this scenario has.
func (r *Result) figure(name string, value float64) {
	if r.Figures == nil {
		r.Figures = map[string]float64{}
	}
	r.Figures[name] = value
}

// derive computes what follows from the counts.
func (r *Result) derive() {
	if r.Seconds > 0 {
		r.MessagesPerSecond = float64(r.Messages) / r.Seconds
	}
	if r.Messages == 0 {
		return
	}
	cpu := r.Client.CPUSeconds
	if r.Server != nil {
		cpu += r.Server.CPUSeconds
	}
	r.CPUPerMillion = cpu / float64(r.Messages) * 1e6
}

// sideOf says what one process used between start and end, and what it holds: settled before the connections, and after.
func sideOf(before, start, end, after Usage, messages uint64, conns int) Side {
	s := Side{
		CPUSeconds: end.CPUSeconds - start.CPUSeconds,
		RSSBytes:   after.RSSBytes,
		HeapBytes:  after.HeapBytes,
		Goroutines: after.Goroutines,
	}
	if conns > 0 {
		s.HeapPerConn = (float64(after.HeapBytes) - float64(before.HeapBytes)) / float64(conns)
		s.RSSPerConn = (float64(after.RSSBytes) - float64(before.RSSBytes)) / float64(conns)
		s.GoroutinesPerConn = float64(after.Goroutines-before.Goroutines) / float64(conns)
	}
	if messages > 0 {
		s.AllocsPerMessage = float64(end.Mallocs-start.Mallocs) / float64(messages)
	}
	return s
}
