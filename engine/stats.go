package engine

import (
	"sync/atomic"

	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/opcode"
)

// Stats are counters of a Network since it was made, and a few present values. They are read without stopping anything,
// so they need not agree with each other to the last message.
type Stats struct {
	Peers    int // open now
	Inbound  int // of these, came in
	HalfOpen int // accepted connections in the handshake, or refused and not gone yet

	Opened           int64 // connections that became peers
	Closed           int64 // peers that are no longer
	ClosedFor        map[Code]int64
	Refused          int64 // connections turned away by a limit
	Duplicates       int64 // connections turned away because the pair had one
	HandshakesFailed int64 // handshakes in which the other side went wrong
	HandshakesShed   int64 // handshakes given up because too many waited

	BytesIn, BytesOut int64 // as carried by the transport
	FramesIn          int64
	MessagesIn        int64
	Unhandled         int64 // messages of known opcodes that no component wanted
	Unknown           int64 // messages of unknown opcodes
	Undecodable       int64 // messages their handler could not decode
	Orphans           int64 // replies nobody waited for any more
	Dropped           int64 // datagrams that were not the peer's, came again, or came faster than they were handled

	FaultsPeers int64 // connections ended because the peer broke the protocol
	FaultsOurs  int64 // because of a limit or a bug of this node
	FaultsPath  int64 // because of the network between

	Relieved int64 // peers closed because memory was short and they kept much of it: ErrSlowPeer

	Panics        int64 // of components
	SlowTurns     int64 // events that held a loop for more than 10 ms
	EventsDropped int64 // that subscribers were too slow for

	Datagrams *datagram.Tally // of the transport over datagrams, before any was a peer's; nil: there is none, or it keeps no books

	BufferBytes int64 // lent now
	BufferLimit int64

	Components map[string]ComponentStats
	Tasks      map[string]TaskStats          // by the name of the task
	Opcodes    map[opcode.Opcode]OpcodeStats // what has come, by opcode; under opcode.UnregisteredCode all that has no counter of its own
	Loops      []LoopStats                   // by Loop.Index
}

// ComponentStats are one component's counters.
type ComponentStats struct {
	Errors    int64 // returned by Receive
	Panics    int64
	SlowTurns int64 // events that held a loop, in which this component ran last
}

// counts are the counters behind Stats. Any goroutine.
type counts struct {
	opened, closed, refused, duplicates, handshakesFailed, shed atomic.Int64

	bytesIn, bytesOut, frames, messages, unhandled, unknown, undecodable, orphans, dropped atomic.Int64

	faults  [3]atomic.Int64 // by Party
	reasons [int(CodeInternal) + 2]atomic.Int64
	panics  atomic.Int64

	slowTurns, relieved atomic.Int64
}

// fault counts by whose fault it was; what a component invents is ours.
func (c *counts) fault(f *Fault) {
	whose := f.Whose
	if int(whose) >= len(c.faults) {
		whose = Ours
	}
	c.faults[whose].Add(1)
}

// reason counts why a peer was closed; all codes of the application share one counter.
func (c *counts) reason(code Code) { c.reasons[min(code, Code(len(c.reasons)-1))].Add(1) }

type slotCounts struct{ errors, panics, slow atomic.Int64 }

// A tally is what a loop counts during one event, without atomics; addTo adds it up at its end.
type tally struct {
	bytes, frames, messages, unhandled, unknown, undecodable, orphans, dropped int
}

func (t *tally) addTo(c *counts) {
	if t.bytes == 0 && t.frames == 0 && t.dropped == 0 {
		return
	}
	c.bytesIn.Add(int64(t.bytes))
	c.frames.Add(int64(t.frames))
	c.messages.Add(int64(t.messages))
	if t.unhandled|t.unknown|t.undecodable|t.orphans|t.dropped != 0 { // hardly ever
		c.unhandled.Add(int64(t.unhandled))
		c.unknown.Add(int64(t.unknown))
		c.undecodable.Add(int64(t.undecodable))
		c.orphans.Add(int64(t.orphans))
		c.dropped.Add(int64(t.dropped))
	}
	*t = tally{}
}

// A counting transport is one over datagrams that keeps books.
type counting interface{ Counts() *datagram.Counts }

// Stats returns the counters. Any goroutine; it allocates and is meant for every second, not for every message.
func (n *Network) Stats() Stats {
	c := &n.counts
	s := Stats{
		HalfOpen: n.door.halfOpenCount(),
		Opened:   c.opened.Load(), Closed: c.closed.Load(), Refused: c.refused.Load(), Duplicates: c.duplicates.Load(),
		HandshakesFailed: c.handshakesFailed.Load(), HandshakesShed: c.shed.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(), FramesIn: c.frames.Load(), MessagesIn: c.messages.Load(),
		Unhandled: c.unhandled.Load(), Unknown: c.unknown.Load(), Undecodable: c.undecodable.Load(), Orphans: c.orphans.Load(), Dropped: c.dropped.Load(),
		FaultsOurs: c.faults[Ours].Load(), FaultsPeers: c.faults[Peers].Load(), FaultsPath: c.faults[Path].Load(),
		Relieved: c.relieved.Load(), Panics: c.panics.Load(), SlowTurns: c.slowTurns.Load(), EventsDropped: n.events.lost(),
		BufferBytes: n.bufs.Lent(), BufferLimit: n.bufs.Limit(),
		ClosedFor: map[Code]int64{}, Components: map[string]ComponentStats{}, Opcodes: n.opcodes.read(),
		Tasks: n.tasks.stats(),
	}
	s.Peers, s.Inbound = n.connMgr.Count()
	for _, t := range n.cfg.transports() {
		if c, ok := t.(counting); ok {
			tally := c.Counts().Read()
			s.Datagrams = &tally
		}
	}
	for code := range c.reasons {
		if v := c.reasons[code].Load(); v > 0 {
			s.ClosedFor[Code(code)] = v
		}
	}
	if n.phase.Load() != phaseNew {
		for _, l := range n.loops {
			s.Loops = append(s.Loops, LoopStats{Peers: l.health.peers.Load(), Held: l.health.held.read(), Late: l.health.late.read()})
		}
	}
	for _, slot := range n.table.Load().slots {
		s.Components[slot.name] = ComponentStats{slot.counts.errors.Load(), slot.counts.panics.Load(), slot.counts.slow.Load()}
	}
	return s
}
