package load

import "time"

// A Series is a run over time, for drawing and for finding what creeps: one window after the other, all parts of the run.
type Series struct {
	EverySeconds float64  `json:"every_seconds"`
	Windows      []Window `json:"windows"`
}

// A Window is what happened in a short while.
type Window struct {
	Part       string   `json:"part"`       // "dialling", "warm-up", or what is measured
	AtSeconds  float64  `json:"at_seconds"` // its end, since the run began
	Seconds    float64  `json:"seconds"`    // its length
	Messages   uint64   `json:"messages"`   // sent or answered
	PlannedPer float64  `json:"planned_per_second,omitempty"`
	Latency    *Glimpse `json:"latency_us,omitempty"`
	Client     Load     `json:"client"`
	Server     *Load    `json:"server,omitempty"`

	// Retransmits are of the whole network namespace of the dialling side.
	Retransmits uint64 `json:"retransmits"`
}

// Load is what a process used in a window, and held at its end.
type Load struct {
	Cores         float64 `json:"cores"` // processor time by time
	SystemCores   float64 `json:"system_cores"`
	RSSBytes      uint64  `json:"rss_bytes"`
	HeapBytes     uint64  `json:"heap_bytes"`
	Goroutines    int     `json:"goroutines"`
	Collections   uint64  `json:"collections"`
	GCPauseMicros float64 `json:"gc_pause_us"` // all of the window's together
	Waits         uint64  `json:"waits"`
	Preemptions   uint64  `json:"preemptions"`
}

func loadOf(before, after Usage, seconds float64) Load {
	return Load{
		Cores: (after.CPUSeconds - before.CPUSeconds) / seconds, SystemCores: (after.SystemSeconds - before.SystemSeconds) / seconds,
		RSSBytes: after.RSSBytes, HeapBytes: after.HeapBytes, Goroutines: after.Goroutines,
		Collections: after.Collections - before.Collections, GCPauseMicros: (after.GCPauseSeconds - before.GCPauseSeconds) * 1e6,
		Waits: after.Waits - before.Waits, Preemptions: after.Preemptions - before.Preemptions,
	}
}

// windowFor returns how long the windows of a run of the given length are.
func windowFor(run time.Duration) time.Duration { return max(run/windowsLimit, windowLeast) }

// A glance is both sides at one moment.
type glance struct {
	at     time.Time
	count  uint64
	client Usage
	server *Sample
}

func (b *Bench) glance(p *part) glance {
	g := glance{at: time.Now(), count: p.count.Load(), client: ReadUsage(false)}
	if b.Server != nil {
		if s, err := b.Server.Sample(); err == nil { // whoever asks for the result will be told why not
			g.server = &s
		}
	}
	return g
}

// observe adds windows to the series until the part stops. It is the only one who does: parts do not overlap.
func (b *Bench) observe(p *part, name string) {
	every := windowFor(b.Config.Duration + max(b.Config.Warmup, 0))
	b.result.Series.EverySeconds = every.Seconds()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for last, over := b.glance(p), false; !over; {
		select {
		case <-ticker.C:
		case <-p.stop:
			if over = true; time.Since(last.at) < every/2 {
				return // too short to say anything
			}
		}
		now := b.glance(p)
		b.addWindow(p, name, last, now)
		last = now
	}
}

func (b *Bench) addWindow(p *part, name string, last, now glance) {
	seconds := now.at.Sub(last.at).Seconds()
	w := Window{
		Part: name, AtSeconds: now.at.Sub(b.began).Seconds(), Seconds: seconds, Messages: now.count - last.count,
		Client: loadOf(last.client, now.client, seconds), Retransmits: now.client.Retransmits - last.client.Retransmits,
	}
	if p.latency != nil {
		w.Latency = p.latency.Glimpse()
	}
	if now.server != nil && last.server != nil {
		l := loadOf(last.server.Usage, now.server.Usage, seconds)
		w.Server = &l
		if w.Latency == nil {
			w.Latency = now.server.Latency
		}
	}
	w.PlannedPer = p.table.rate(now.at.Sub(p.start))
	b.result.Series.Windows = append(b.result.Series.Windows, w)
}
