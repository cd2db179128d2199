package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// A ComponentContext is one received message and what can be done about it. It is lent to Receive: it, and the payload,
// are good until Receive returns. Retain makes a copy that stays.
type ComponentContext struct {
	peer    *PeerClient
	row     *row
	payload []byte
	op      opcode.Opcode
	id      uint32
	flags   framing.Flags
	kept    bool // the payload's memory is the application's now, or was given back
	held    int  // bytes of credit that are returned when the work is done; see Offload
}

// Client is the peer that sent the message.
func (c *ComponentContext) Client() *PeerClient { return c.peer }

// Network is the node.
func (c *ComponentContext) Network() *Network { return c.peer.net }

// Opcode is what the message is.
func (c *ComponentContext) Opcode() opcode.Opcode { return c.op }

// Payload is the message as it was sent. It aliases the receive buffer and may be overwritten; it is good until Receive
// returns.
func (c *ComponentContext) Payload() []byte { return c.payload }

// Now is the engine time at which the message is being handled.
func (c *ComponentContext) Now() time.Duration { return c.peer.loop.clock() }

// IsRequest reports whether the sender waits for a reply.
func (c *ComponentContext) IsRequest() bool {
	return c.id != 0 && c.id&fragmentID == 0 && c.flags&framing.FlagReply == 0
}

// Message decodes the payload into a new value of the type registered for the opcode: a pointer. ErrNotRegistered if
// there is none.
func (c *ComponentContext) Message() (any, error) { return c.peer.net.decode(c.op, c.payload) }

// Decode decodes the payload into v, a pointer to the type registered for the opcode.
func (c *ComponentContext) Decode(v any) error {
	if c.row == nil || c.row.entry == nil {
		return fmt.Errorf("%w: %v", ErrNotRegistered, c.op)
	}
	return c.row.entry.Codec.Parse(c.payload, v)
}

// Reply answers a request with a registered message. It never waits: ErrSendBufferFull if the peer does not read its
// replies. ErrNotRequest if the sender does not wait for one.
func (c *ComponentContext) Reply(msg any) error {
	return c.peer.net.encode(msg, c.ReplyRaw)
}

// ReplyRaw answers a request with an opcode and a payload, which is copied.
func (c *ComponentContext) ReplyRaw(op opcode.Opcode, payload []byte) error {
	if !c.IsRequest() {
		return ErrNotRequest
	}
	if err := c.peer.net.maySend(op, len(payload)); err != nil {
		return err
	}
	return c.peer.trySend(laneUrgent, op, framing.FlagReply, c.id, payload)
}

// Retain returns a copy of the context, payload included, that may be kept and used on any goroutine.
func (c *ComponentContext) Retain() *ComponentContext {
	kept := *c
	kept.payload = slices.Clone(c.payload)
	kept.kept = true
	kept.held = 0
	return &kept
}
