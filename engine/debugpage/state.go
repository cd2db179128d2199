package debugpage

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/component/metric"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/opcode"
)

// A state is state.json. Counters are since the start; times are in seconds, sizes in bytes.
type state struct {
	ID         string      `json:"id"`
	Addrs      []string    `json:"addrs"`
	Advertised []string    `json:"advertised"`
	Now        float64     `json:"now"` // engine time
	Go         string      `json:"go"`
	Goroutines int         `json:"goroutines"`
	Peers      peers       `json:"peers"`
	Counters   []counter   `json:"counters"`
	Trouble    []counter   `json:"trouble"`
	Limits     []limit     `json:"limits"`
	SpanBounds []float64   `json:"spanBounds"`
	Loops      []loop      `json:"loops"`
	Opcodes    []opcodeRow `json:"opcodes"`
	Components []component `json:"components"`
	Books      []book      `json:"books"`
	Events     []event     `json:"events"`
}

type peers struct {
	Open    int    `json:"open"`
	Inbound int    `json:"inbound"`
	Shown   []peer `json:"shown"`
	Held    bool   `json:"held"` // a loop did not answer in time
}

type peer struct {
	ID       string  `json:"id"`
	Addr     string  `json:"addr"`
	Dialled  bool    `json:"dialled"`
	Loop     int     `json:"loop"`
	Age      float64 `json:"age"`
	Silent   float64 `json:"silent"`
	RTT      float64 `json:"rtt"`
	Jitter   float64 `json:"jitter"`
	Lost     float64 `json:"lost"` // part of the questions
	BytesIn  uint64  `json:"in"`
	BytesOut uint64  `json:"out"`
}

type counter struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

type limit struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
	Limit int64  `json:"limit"`
	Bytes bool   `json:"bytes"`
}

type loop struct {
	Peers int64   `json:"peers"`
	Busy  float64 `json:"busy"` // seconds held, in all
	Held  []int64 `json:"held"`
	Late  []int64 `json:"late"`
}

type opcodeRow struct {
	Name     string `json:"name"`
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

type component struct {
	Name   string `json:"name"`
	Errors int64  `json:"errors"`
	Panics int64  `json:"panics"`
	Slow   int64  `json:"slow"`
}

// A book is what a component counts.
type book struct {
	Name string    `json:"name"`
	Rows []counter `json:"rows"`
}

type event struct {
	At   string `json:"at"`
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// told is an event in words.
func told(e engine.Event, at time.Time) event {
	text := e.Text
	if !e.ID.IsZero() {
		text += " " + e.ID.Short()
	}
	if e.Addr.IsValid() {
		text += " " + e.Addr.String()
	}
	if e.Duration > 0 {
		text += " " + e.Duration.String()
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return event{at.Format(time.TimeOnly), e.Kind.String(), text}
}

// state reads the network.
func (p *Page) state(ctx context.Context) state {
	n, s := p.net, p.net.Stats()
	limits := n.PeerLimits()
	out := state{
		ID: n.ID().String(), Now: n.Now().Seconds(), Go: runtime.Version(), Goroutines: runtime.NumGoroutine(),
		Peers: peers{Open: s.Peers, Inbound: s.Inbound},
		Counters: []counter{{"messages in", s.MessagesIn}, {"frames in", s.FramesIn}, {"bytes in", s.BytesIn}, {"bytes out", s.BytesOut},
			{"opened", s.Opened}, {"closed", s.Closed}},
		Trouble: []counter{{"refused by a limit", s.Refused}, {"duplicates", s.Duplicates}, {"handshakes failed", s.HandshakesFailed},
			{"handshakes shed", s.HandshakesShed}, {"faults of peers", s.FaultsPeers}, {"faults of ours", s.FaultsOurs}, {"faults of the path", s.FaultsPath},
			{"unhandled", s.Unhandled}, {"unknown", s.Unknown}, {"undecodable", s.Undecodable}, {"orphans", s.Orphans},
			{"relieved", s.Relieved}, {"panics", s.Panics}, {"slow turns", s.SlowTurns}, {"events dropped", s.EventsDropped}},
		Limits: []limit{{"peers", int64(s.Peers), int64(limits.All), false}, {"inbound peers", int64(s.Inbound), int64(limits.Inbound), false},
			{"half open", int64(s.HalfOpen), int64(limits.HalfOpen), false}, {"buffers", s.BufferBytes, s.BufferLimit, true}},
	}
	for _, a := range n.Addrs() {
		out.Addrs = append(out.Addrs, a.String())
	}
	for _, a := range n.Record().Addrs {
		out.Advertised = append(out.Advertised, a.String())
	}
	for i := range len(engine.Spans{}.Counts) {
		out.SpanBounds = append(out.SpanBounds, engine.SpanBound(i).Seconds())
	}
	for _, l := range s.Loops {
		out.Loops = append(out.Loops, loop{l.Peers, l.Held.Sum.Seconds(), l.Held.Counts[:], l.Late.Counts[:]})
	}
	for _, op := range slices.Sorted(maps.Keys(s.Opcodes)) {
		name := op.String()
		if op == opcode.UnregisteredCode {
			name = "others"
		}
		out.Opcodes = append(out.Opcodes, opcodeRow{name, s.Opcodes[op].MessagesIn, s.Opcodes[op].BytesIn})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Components)) {
		c := s.Components[name]
		out.Components = append(out.Components, component{name, c.Errors, c.Panics, c.SlowTurns})
	}
	for _, code := range slices.Sorted(maps.Keys(s.ClosedFor)) {
		out.Trouble = append(out.Trouble, counter{"closed: " + code.String(), s.ClosedFor[code]})
	}
	out.Books = books(n)
	out.Peers.Shown, out.Peers.Held = p.peers(ctx)
	p.mu.Lock()
	out.Events = slices.Clone(p.events)
	p.mu.Unlock()
	return out
}

// books are those of the components that keep any.
func books(n *engine.Network) (out []book) {
	if c, ok := engine.ComponentOf[*ack.Component](n); ok {
		s := c.Stats()
		out = append(out, book{"ack", []counter{{"sent", s.Sent}, {"acked", s.Acked}, {"failed", s.Failed}, {"waiting", s.Waiting}, {"sent again", s.Resent},
			{"delivered", s.Delivered}, {"duplicates", s.Duplicates}, {"refused", s.Refused}, {"faults", s.Faults}}})
	}
	if c, ok := engine.ComponentOf[*backoff.Component](n); ok {
		s := c.Stats()
		out = append(out, book{"backoff", []counter{{"waiting", int64(s.Waiting)}, {"dialling", int64(s.Dialling)}, {"lost", s.Lost}, {"dials", s.Dials},
			{"back", s.Reconnected}, {"given up", s.GivenUp}}})
	}
	if c, ok := engine.ComponentOf[*metric.Component](n); ok {
		s := c.Stats()
		out = append(out, book{"metric", []counter{{"asked", s.Asked}, {"answered", s.Answered}, {"lost", s.Lost}, {"served", s.Served}}})
	}
	if c, ok := engine.ComponentOf[*reach.Component](n); ok {
		s := c.Stats()
		out = append(out, book{"reach", []counter{{"rounds", s.Rounds}, {"asked", s.Asked}, {"asked by others", s.Requests}, {"dialled", s.Probes},
			{"reached", s.Reached}, {"foreign", s.Foreign}, {"hasty", s.Hasty}, {"busy", s.Busy}}})
	}
	return out
}

// peers tells of some of the open peers; held: a loop did not answer in time.
func (p *Page) peers(ctx context.Context) (out []peer, held bool) {
	c, ok := engine.ComponentOf[*metric.Component](p.net)
	if ok && len(p.net.Loops()) > 0 {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		all, err := c.Peers(ctx, peersShown)
		if err == nil {
			for _, m := range all {
				row := rowOf(m.Client)
				row.BytesIn, row.BytesOut, row.Jitter = m.BytesIn, m.BytesOut, m.Jitter.Seconds()
				if m.Asked > 0 {
					row.Lost = float64(m.Lost) / float64(m.Asked)
				}
				out = append(out, row)
			}
			return out, false
		}
		held = true
	}
	for q := range p.net.ConnMgr().Peers() {
		if len(out) == peersShown {
			break
		}
		out = append(out, rowOf(q))
	}
	return out, held
}

func rowOf(q *engine.PeerClient) peer {
	return peer{ID: q.ID().String(), Addr: q.RemoteAddr().String(), Dialled: q.Dialled(), Loop: q.Loop().Index(), Age: q.Age().Seconds(),
		Silent: q.SilentFor().Seconds(), RTT: q.RTT().Seconds()}
}
