package promexport

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/opcode"
)

// A family is one metric: its name, and how its series are read.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*view) []sample
}

func counter(name, help string, read func(*view) []sample, labels ...string) family {
	return family{prometheus.NewDesc("carrier_"+name, help, labels, nil), prometheus.CounterValue, read}
}

func gauge(name, help string, read func(*view) []sample, labels ...string) family {
	return family{prometheus.NewDesc("carrier_"+name, help, labels, nil), prometheus.GaugeValue, read}
}

// one is a family of one series.
func one[T int | int64 | float64](get func(*view) T) func(*view) []sample {
	return func(v *view) []sample { return []sample{{float64(get(v)), nil}} }
}

// split is a family of one label.
func split(v ...any) (out []sample) {
	for i := 0; i < len(v); i += 2 {
		out = append(out, sample{number(v[i+1]), []string{v[i].(string)}})
	}
	return out
}

func number(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case int64:
		return float64(v)
	}
	panic(fmt.Sprintf("promexport: bug: a sample of type %T", v))
}

// named makes one series for each key of a map.
func named[V any](m map[string]V, get func(V) int64) (out []sample) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, sample{float64(get(m[k])), []string{k}})
	}
	return out
}

var families = []family{
	gauge("peers", "Open peers, by the side that dialled.", func(v *view) []sample {
		return split("in", v.Inbound, "out", v.Peers-v.Inbound)
	}, "direction"),
	gauge("peers_limit", "The most there may be.", func(v *view) []sample {
		l := v.net.PeerLimits()
		return split("in", l.Inbound, "all", l.All)
	}, "direction"),
	gauge("half_open", "Accepted connections that have not proven themselves yet.", one(func(v *view) int { return v.HalfOpen })),
	gauge("half_open_limit", "The most there may be.", one(func(v *view) int { return v.net.PeerLimits().HalfOpen })),
	counter("connections_opened_total", "Connections that became peers.", one(func(v *view) int64 { return v.Opened })),
	counter("connections_closed_total", "Peers that are no longer, by reason.", closed, "reason"),
	counter("connections_refused_total", "Connections turned away by a limit.", one(func(v *view) int64 { return v.Refused })),
	counter("connections_duplicate_total", "Connections turned away because the pair had one.", one(func(v *view) int64 { return v.Duplicates })),
	counter("handshakes_failed_total", "Handshakes in which the other side went wrong, or that were given up since too many waited.",
		func(v *view) []sample { return split("failed", v.HandshakesFailed, "shed", v.HandshakesShed) }, "why"),
	counter("bytes_total", "Bytes carried by the transport.", func(v *view) []sample { return split("in", v.BytesIn, "out", v.BytesOut) }, "direction"),
	counter("frames_received_total", "Frames received.", one(func(v *view) int64 { return v.FramesIn })),
	counter("messages_received_total", "Messages received.", one(func(v *view) int64 { return v.MessagesIn })),
	counter("opcode_messages_received_total", "Messages received, by opcode.", opcodes(func(s engine.OpcodeStats) int64 { return s.MessagesIn }), "opcode"),
	counter("opcode_bytes_received_total", "Bytes of payload received, by opcode.", opcodes(func(s engine.OpcodeStats) int64 { return s.BytesIn }), "opcode"),
	counter("messages_dropped_total", "Messages that came to nothing.", func(v *view) []sample {
		return split("unhandled", v.Unhandled, "unknown", v.Unknown, "undecodable", v.Undecodable, "orphan", v.Orphans)
	}, "why"),
	counter("datagrams_dropped_total", "Datagrams that were dropped before they were any peer's.", ofDatagrams(func(v *view) []sample {
		d := v.Datagrams
		return split("malformed", d.Malformed, "unknown", d.Unknown, "stranger", d.Strangers, "bad_cookie", d.BadCookie, "replayed", d.Replayed,
			"overrun", d.Overrun)
	}), "why"),
	counter("datagram_cookies_total", "Strangers' first datagrams that were answered.", ofDatagrams(one(func(v *view) int64 { return v.Datagrams.Cookies }))),
	counter("datagram_moves_total", "Peers whose datagrams came from another address, by what became of it.", ofDatagrams(func(v *view) []sample {
		return split("moved", v.Datagrams.Moved, "stayed", v.Datagrams.Stayed)
	}), "outcome"),
	counter("faults_total", "Connections ended by a fault, by whose it was.", func(v *view) []sample {
		return split("peer", v.FaultsPeers, "ours", v.FaultsOurs, "path", v.FaultsPath)
	}, "whose"),
	counter("relieved_total", "Peers closed because memory was short and they kept much of it.", one(func(v *view) int64 { return v.Relieved })),
	counter("slow_turns_total", "Events that held a loop for more than 10 ms.", one(func(v *view) int64 { return v.SlowTurns })),
	counter("events_dropped_total", "Events that subscribers were too slow for.", one(func(v *view) int64 { return v.EventsDropped })),
	gauge("buffer_bytes", "Bytes of all buffers that are lent.", one(func(v *view) int64 { return v.BufferBytes })),
	gauge("buffer_limit_bytes", "The most there may be.", one(func(v *view) int64 { return v.BufferLimit })),
	counter("component_errors_total", "Errors returned by Receive, by component.", func(v *view) []sample {
		return named(v.Components, func(s engine.ComponentStats) int64 { return s.Errors })
	}, "component"),
	counter("component_panics_total", "Panics, by component.", func(v *view) []sample {
		return named(v.Components, func(s engine.ComponentStats) int64 { return s.Panics })
	}, "component"),
	counter("component_slow_turns_total", "Events that held a loop, by the component that ran last.", func(v *view) []sample {
		return named(v.Components, func(s engine.ComponentStats) int64 { return s.SlowTurns })
	}, "component"),
	counter("task_runs_total", "Runs of tasks on loops.", func(v *view) []sample {
		return named(v.Tasks, func(s engine.TaskStats) int64 { return s.Runs })
	}, "task"),
	gauge("task_longest_seconds", "The longest a run has held its loop.", func(v *view) (out []sample) {
		for _, k := range slices.Sorted(maps.Keys(v.Tasks)) {
			out = append(out, sample{v.Tasks[k].Longest.Seconds(), []string{k}})
		}
		return out
	}, "task"),
	gauge("loop_peers", "Peers, by event loop.", func(v *view) (out []sample) {
		for i, l := range v.Loops {
			out = append(out, sample{float64(l.Peers), []string{strconv.Itoa(i)}})
		}
		return out
	}, "loop"),

	counter("ack_sent_total", "Messages that want to be acknowledged, by outcome.", ofAcks(func(v *view) []sample {
		return split("acked", v.acks.Acked, "failed", v.acks.Failed)
	}), "outcome"),
	counter("ack_resent_total", "Times such a message was sent again.", ofAcks(one(func(v *view) int64 { return v.acks.Resent }))),
	gauge("ack_waiting", "Messages that are not acknowledged yet.", ofAcks(one(func(v *view) int64 { return v.acks.Waiting }))),
	gauge("ack_waiting_bytes", "Memory they take.", ofAcks(one(func(v *view) int64 { return v.acks.Memory }))),
	counter("ack_received_total", "Messages of others that want to be acknowledged, by outcome.", ofAcks(func(v *view) []sample {
		return split("delivered", v.acks.Delivered, "duplicate", v.acks.Duplicates, "refused", v.acks.Refused, "unbegun", v.acks.Unbegun)
	}), "outcome"),
	counter("ack_faults_total", "Peers that acknowledged what was not sent.", ofAcks(one(func(v *view) int64 { return v.acks.Faults }))),

	gauge("reconnect_waiting", "Lost peers that are waited for.", ofBackoff(one(func(v *view) int { return v.backoff.Waiting }))),
	counter("reconnect_dials_total", "Dials of lost peers.", ofBackoff(one(func(v *view) int64 { return v.backoff.Dials }))),
	counter("reconnect_peers_total", "Lost peers, by what became of them.", ofBackoff(func(v *view) []sample {
		return split("lost", v.backoff.Lost, "back", v.backoff.Reconnected, "given_up", v.backoff.GivenUp, "dropped", v.backoff.Dropped)
	}), "outcome"),

	counter("metric_questions_total", "Questions to peers, by outcome, and those of peers.", ofMetric(func(v *view) []sample {
		return split("answered", v.metric.Answered, "lost", v.metric.Lost, "served", v.metric.Served)
	}), "outcome"),

	gauge("reach_verdict", "1 for what peers say of whether this node can be dialled, 0 for what they do not.", ofReach(verdicts), "verdict"),
	gauge("reach_client", "Whether the node record says that this node is a client.", ofReach(func(v *view) []sample {
		if v.reach.Client {
			return []sample{{value: 1}}
		}
		return []sample{{}}
	})),
	gauge("reach_networks", "Networks whose peers can be asked about it.", ofReach(one(func(v *view) int { return v.reach.Networks }))),
	counter("reach_rounds_total", "Times peers were asked, or there were too few to ask.", ofReach(one(func(v *view) int64 { return v.reach.stats.Rounds }))),
	counter("reach_asked_total", "Questions to peers.", ofReach(one(func(v *view) int64 { return v.reach.stats.Asked }))),
	counter("reach_requests_total", "Dials back that peers have asked for, by outcome.", ofReach(func(v *view) []sample {
		s := v.reach.stats
		return split("reached", s.Reached, "not_reached", s.NotReached, "foreign", s.Foreign, "hasty", s.Hasty, "busy", s.Busy)
	}), "outcome"),
}

func ofDatagrams(read func(*view) []sample) func(*view) []sample {
	return when(func(v *view) bool { return v.Datagrams != nil }, read)
}

func ofAcks(read func(*view) []sample) func(*view) []sample {
	return when(func(v *view) bool { return v.acks != nil }, read)
}

func ofBackoff(read func(*view) []sample) func(*view) []sample {
	return when(func(v *view) bool { return v.backoff != nil }, read)
}

func ofMetric(read func(*view) []sample) func(*view) []sample {
	return when(func(v *view) bool { return v.metric != nil }, read)
}

func ofReach(read func(*view) []sample) func(*view) []sample {
	return when(func(v *view) bool { return v.reach != nil }, read)
}

func verdicts(v *view) (out []sample) {
	for _, x := range []reach.Verdict{reach.Unknown, reach.Reachable, reach.Unreachable} {
		s := sample{labels: []string{x.String()}}
		if x == v.reach.Verdict {
			s.value = 1
		}
		out = append(out, s)
	}
	return out
}

// when reads only where there is something to read.
func when(there func(*view) bool, read func(*view) []sample) func(*view) []sample {
	return func(v *view) []sample {
		if there(v) {
			return read(v)
		}
		return nil
	}
}

// closed is by reason; those of the application are one.
func closed(v *view) (out []sample) {
	for _, code := range slices.Sorted(maps.Keys(v.ClosedFor)) {
		name := code.String()
		if code > engine.CodeInternal {
			name = "application"
		}
		out = append(out, sample{float64(v.ClosedFor[code]), []string{name}})
	}
	return out
}

// opcodes is by opcode; those that the network has no counter for are "other".
func opcodes(get func(engine.OpcodeStats) int64) func(*view) []sample {
	return func(v *view) (out []sample) {
		for _, op := range slices.Sorted(maps.Keys(v.Opcodes)) {
			name := op.String()
			if op == opcode.UnregisteredCode {
				name = "other"
			}
			out = append(out, sample{float64(get(v.Opcodes[op])), []string{name}})
		}
		return out
	}
}

// A histogramFamily is a metric whose series are histograms.
type histogramFamily struct {
	desc *prometheus.Desc
	read func(*view) []histogram
}

type histogram struct {
	count   uint64
	sum     float64
	buckets map[float64]uint64 // cumulative, without the infinite one
	labels  []string
}

var histograms = []histogramFamily{
	{prometheus.NewDesc("carrier_loop_held_seconds", "How long events have held an event loop.", []string{"loop"}, nil),
		loops(func(l engine.LoopStats) engine.Spans { return l.Held })},
	{prometheus.NewDesc("carrier_loop_late_seconds", "By how much an event loop came later to its timers than they were due.", []string{"loop"}, nil),
		loops(func(l engine.LoopStats) engine.Spans { return l.Late })},
	{prometheus.NewDesc("carrier_peer_rtt_seconds", "Round trips of the peers that are open now, where measured. Not a counter: it shrinks when peers go.", nil, nil), rtts},
}

func loops(get func(engine.LoopStats) engine.Spans) func(*view) []histogram {
	return func(v *view) (out []histogram) {
		for i, l := range v.Loops {
			h := ofSpans(get(l))
			h.labels = []string{strconv.Itoa(i)}
			out = append(out, h)
		}
		return out
	}
}

// ofSpans makes the cumulative form of Spans.
func ofSpans(s engine.Spans) histogram {
	h := histogram{sum: s.Sum.Seconds(), buckets: map[float64]uint64{}}
	for i, n := range s.Counts {
		h.count += uint64(n)
		if i < len(s.Counts)-1 {
			h.buckets[engine.SpanBound(i).Seconds()] = h.count
		}
	}
	return h
}

// rttBounds are from a machine room to a satellite.
var rttBounds = []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2}

func rtts(v *view) []histogram {
	h := histogram{buckets: map[float64]uint64{}}
	for _, b := range rttBounds {
		h.buckets[b] = 0
	}
	for p := range v.net.ConnMgr().Peers() {
		rtt := p.RTT().Seconds()
		if rtt <= 0 {
			continue
		}
		h.count++
		h.sum += rtt
		for _, b := range rttBounds {
			if rtt <= b {
				h.buckets[b]++
			}
		}
	}
	return []histogram{h}
}
