package discovery

import (
	"slices"
	"sync/atomic"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// Path:   message -> [receive] -> inbox -> task -> core. Runs on the peer's loop; answers with contacts on a worker.
// Cost:   0 allocations for a Pong or a question. TestSteadyStateAllocs holds this.
// Bounds: a token bucket for the questions of each peer, a count of the answers it owes, inboxPeerLimit.

// drops counts what never reached the core. Any goroutine.
type drops struct{ malformed, flood, unasked, overrun, uncomputed atomic.Int64 }

// malformedFault ends the connection of a peer that sends what is no message: an honest one cannot.
func malformedFault(err error) error {
	return &engine.Fault{Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeProtocol, Err: err}
}

// Receive takes a message of the overlay on the peer's loop.
func (c *Component) Receive(ctx *engine.ComponentContext) error {
	p := ctx.Client()
	s := c.local[p.Loop().Index()].sessions[p]
	if s == nil {
		return engine.ErrIntercepted
	}
	op, payload := ctx.Opcode(), ctx.Payload()
	answer, contacts := kindOf(op, payload)
	switch {
	case answer && !s.mayAnswer():
		c.drops.unasked.Add(1)
	case !answer && !s.mayAsk(ctx.Now()):
		c.drops.flood.Add(1)
	case contacts:
		c.receiveContacts(s, op, slices.Clone(payload))
	default:
		return c.receivePlain(s, op, payload)
	}
	return engine.ErrIntercepted
}

// kindOf tells whether a message answers a question, and whether it holds records, which are dear to check.
func kindOf(op opcode.Opcode, payload []byte) (answer, contacts bool) {
	switch op {
	case opcode.PongCode, opcode.RouteAckCode:
		return true, false
	case opcode.LookupNodeResponseCode: // often the asker knows everybody already, and there is none in it
		return true, len(payload) > emptyAnswer
	case opcode.RecordCode: // a nonce alone is a question, a nonce of 0 a push
		return len(payload) > 8 && slices.ContainsFunc(payload[:8], func(b byte) bool { return b != 0 }), len(payload) > 8
	}
	return false, false
}

// emptyAnswer is the size of a LookupNodeResponse without records: nonce and count.
const emptyAnswer = 8 + 1

// receivePlain hands a message without contacts to the home loop.
func (c *Component) receivePlain(s *session, op opcode.Opcode, payload []byte) error {
	m, err := skad.ParseMessage(op, payload, c.cfg.Overlay.Scope)
	if err != nil {
		if op == opcode.PongCode { // an echo of somebody else's Ping
			c.drops.unasked.Add(1)
			return engine.ErrIntercepted
		}
		c.drops.malformed.Add(1)
		return malformedFault(err)
	}
	c.deliver(s, &m)
	return engine.ErrIntercepted
}

// receiveContacts has a worker parse a message and check the records in it; then it goes to the home loop.
func (c *Component) receiveContacts(s *session, op opcode.Opcode, payload []byte) {
	ok := c.net.Compute(func() {
		m, err := skad.ParseMessage(op, payload, c.cfg.Overlay.Scope)
		if err != nil {
			c.drops.malformed.Add(1)
			s.peer.Disconnect(engine.CodeProtocol, "not a message of the overlay")
			return
		}
		c.verifier.prepare(m.Contacts)
		c.deliver(s, &m)
	})
	if !ok {
		c.drops.uncomputed.Add(1)
	}
}

// deliver puts a message into the inbox.
func (c *Component) deliver(s *session, m *skad.Message) {
	if !c.inbox.message(s, m) {
		c.drops.overrun.Add(1)
		return
	}
	c.task.Wake()
}

// A verifier is the skad.Verifier of a real network. It remembers which records are genuine, so that workers can check
// them before the home loop asks. Any goroutine.
type verifier struct {
	puzzle identity.Puzzle
	cache  *identity.Cache
}

func newVerifier(p identity.Puzzle) *verifier { return &verifier{p, identity.NewCache(verifiedLimit)} }

// Puzzle implements skad.Verifier.
func (v *verifier) Puzzle(c *skad.Contact) error {
	return v.puzzle.Check(c.Record.PublicKey, c.Record.Solution)
}

// Signature implements skad.Verifier.
func (v *verifier) Signature(c *skad.Contact) error {
	var room [identity.RecordSizeLimit]byte
	_, err := v.cache.Verify(c.Record.Append(room[:0]), v.puzzle)
	return err
}

// prepare checks the records of an answer as long as they are genuine: the core stops believing its sender as early.
func (v *verifier) prepare(list []*skad.Contact) {
	forged := 0
	for _, c := range list {
		if v.Puzzle(c) != nil || v.Signature(c) != nil {
			if forged++; forged == forgedLimit {
				return
			}
		}
	}
}
