package engine

import (
	"errors"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   frame -> [dispatch] -> component. Runs for every message, on the peer's loop.
// Cost:   0 allocations, 0 locks, 0 atomics: the table is the loop's own and is exchanged, not changed.
// Bounds: the largest message of an opcode is in its row and checked before anything is kept.

// A table says who sees which opcode. It is immutable; every loop holds a pointer to the present one.
type table struct {
	library [libraryOpcodes]*row   // indexed by opcode
	first   []*row                 // indexed by opcode, from opcode.ApplicationOpCodeStart; not longer than it has to be
	sparse  map[opcode.Opcode]*row // all others; nil: there are none
	silence []silenceRow
	acks    ackRow
	slots   []*slot // all components, in the order of their priority
	rest    *row    // of opcodes that have no row; nil: nobody sees them
	reply   row     // of replies that have no row
}

// A row is what the table knows of one opcode.
type row struct {
	limit     int  // largest message, bytes
	counted   bool // costs credit
	compress  bool // large messages are compressed for peers that take it
	small     int  // largest payload that sendSmall may queue; -1: none
	place     int  // where its messages are counted; see opcodeCounts
	receivers []*slot
	entry     *opcode.Entry // nil: no type is registered
}

// An ackRow is who answers for messages that want to be acknowledged; the zero value: nobody.
type ackRow struct {
	slot         *slot
	acknowledger Acknowledger
}

type silenceRow struct {
	slot    *slot
	watcher SilenceWatcher
	after   time.Duration
}

// newTable makes the table of these slots, which are in the order of their priority. Messages of the opcodes in compressed
// are compressed.
func newTable(reg *opcode.Registry, slots []*slot, counts *opcodeCounts, compressed map[opcode.Opcode]bool) *table {
	t := &table{slots: slices.Clone(slots)}
	var everyone []*slot
	named := map[opcode.Opcode]bool{}
	for _, s := range slots {
		if s.everyOp {
			everyone = append(everyone, s)
		}
		for _, c := range s.codes {
			named[c] = true
		}
		if w, ok := s.component.(SilenceWatcher); ok {
			t.silence = append(t.silence, silenceRow{s, w, w.SilentAfter()})
		}
		if a, ok := s.component.(Acknowledger); ok && t.acks.slot == nil {
			t.acks = ackRow{s, a}
		}
	}
	for _, f := range opcode.All() {
		if f.Code != opcode.UnregisteredCode {
			t.put(f.Code, &row{limit: f.PayloadLimit})
		}
	}
	for _, e := range reg.Entries() {
		t.put(e.Code, &row{limit: e.Limit, entry: e, compress: compressed[e.Code]})
	}
	for c := range named {
		if t.row(c) == nil {
			t.put(c, &row{limit: opcode.DefaultPayloadLimit})
		}
	}
	t.each(func(c opcode.Opcode, r *row) {
		r.place = counts.place(c)
		if builtin(c) && c != opcode.PongCode {
			return
		}
		for _, s := range slots {
			if s.everyOp && !builtin(c) || slices.Contains(s.codes, c) {
				r.receivers = append(r.receivers, s)
			}
		}
	})
	if len(everyone) > 0 {
		t.rest = &row{limit: opcode.DefaultPayloadLimit, receivers: everyone}
	}
	t.reply.limit = opcode.DefaultPayloadLimit
	return t
}

// passes reports whether a frame is a whole message, or request, that only components are interested in. r may be nil.
func (r *row) passes(f *framing.Frame) bool {
	return r != nil && r.counted && f.Flags == 0 && f.ID&fragmentID == 0 && len(r.receivers) > 0 && len(f.Payload) <= r.limit
}

func (t *table) put(c opcode.Opcode, r *row) {
	r.counted = credited(c)
	if r.small = -1; r.counted && !builtin(c) {
		r.small = min(r.limit, framing.FramePayloadLimit)
	}
	if r.compress {
		r.small = min(r.small, compressFrom-1)
	}
	switch i := c - opcode.ApplicationOpCodeStart; {
	case c < libraryOpcodes:
		t.library[c] = r
	case i < firstOpcodes: // not below ApplicationOpCodeStart either: it would have wrapped around
		t.first = append(t.first, make([]*row, max(0, int(i)+1-len(t.first)))...)
		t.first[i] = r
	default:
		if t.sparse == nil {
			t.sparse = map[opcode.Opcode]*row{}
		}
		t.sparse[c] = r
	}
}

// row returns the row of an opcode, or nil.
func (t *table) row(c opcode.Opcode) *row {
	if i := c - opcode.ApplicationOpCodeStart; i < opcode.Opcode(len(t.first)) {
		return t.first[i]
	}
	if c < libraryOpcodes {
		return t.library[c]
	}
	if len(t.sparse) == 0 {
		return nil
	}
	return t.sparse[c]
}

// find returns the row that a frame falls under, or nil. What nobody has registered or named goes to those who want to see
// everything, and a reply to whoever has asked.
func (t *table) find(f *framing.Frame) *row {
	if f.Op == opcode.UnregisteredCode {
		return nil
	}
	if r := t.row(f.Op); r != nil {
		return r
	}
	if f.Flags&framing.FlagReply != 0 {
		return &t.reply
	}
	return t.rest
}

func (t *table) each(f func(opcode.Opcode, *row)) {
	for c, r := range t.library {
		if r != nil {
			f(opcode.Opcode(c), r)
		}
	}
	for i, r := range t.first {
		if r != nil {
			f(opcode.ApplicationOpCodeStart+opcode.Opcode(i), r)
		}
	}
	for c, r := range t.sparse {
		f(c, r)
	}
}

// dispatch hands a whole message to those who see its opcode, one after the other.
func (p *PeerClient) dispatch(r *row, f *framing.Frame) error {
	l := p.loop
	ctx := &l.ctx
	// Field by field: a literal is built on the stack and copied, which costs more than all the rest of this function.
	if ctx.peer != p {
		ctx.peer = p
	}
	if ctx.row != r {
		ctx.row = r
	}
	ctx.op, ctx.flags, ctx.id, ctx.payload, ctx.kept = f.Op, f.Flags, f.ID, f.Payload, false
	for _, s := range r.receivers {
		l.begin(s)
		err := s.component.Receive(ctx) // deliverAll catches its panic
		l.inside = false
		if err == nil {
			continue
		}
		if _, ok := err.(*interception); ok {
			break
		}
		l.refusal = err
		if err := p.refused(s, f.Op, err); err != nil {
			return err
		}
		p.noReply(f)
		break
	}
	if invariant.Enabled && !ctx.kept {
		invariant.Spoil(f.Payload)
	}
	return nil
}

// refused counts an error that a component has returned. If it is to end the connection it is returned.
func (p *PeerClient) refused(s *slot, op opcode.Opcode, err error) error {
	s.counts.errors.Add(1)
	if fault := (*Fault)(nil); errors.As(err, &fault) && fault.Fate == Close {
		return fault
	}
	p.net.log.Debug("component refused a message", "component", s.name, "opcode", op, "peer", p, "err", err)
	return nil
}
