package engine

import (
	"context"
	"fmt"
	"reflect"

	"github.com/carrier-p2p/carrier/opcode"
)

// A RegisterOption changes how a message type is registered.
type RegisterOption func(*registration)

type registration struct {
	codec    opcode.Codec
	limit    int
	compress bool
}

// WithCodec encodes the type with another codec than the little-endian one.
func WithCodec(c opcode.Codec) RegisterOption { return func(r *registration) { r.codec = c } }

// WithLimit sets the largest message of the opcode, in bytes; the default is opcode.DefaultPayloadLimit.
func WithLimit(bytes int) RegisterOption { return func(r *registration) { r.limit = bytes } }

// Register pairs an opcode, from opcode.ApplicationOpCodeStart on, with the message type T (not a pointer). Both ends must
// do the same. An opcode or a type that is taken is opcode.ErrDuplicate. Any goroutine, before Start or while running, but
// not on a loop: ErrOnLoop.
func Register[T any](n *Network, op opcode.Opcode, opts ...RegisterOption) error {
	if n.onLoop() {
		return ErrOnLoop
	}
	r := registration{codec: n.littleEndian}
	for _, o := range opts {
		o(&r)
	}
	var prototype T
	if _, err := n.registry.Register(op, prototype, r.codec, r.limit); err != nil {
		return err
	}
	n.compose.Lock()
	defer n.compose.Unlock()
	if r.compress {
		n.compress(op)
	}
	n.recomposeSoon(nil)
	return nil
}

// Handle registers T for op, unless that has been done, and adds a component that calls f with each message of op. The
// message is new for each call and may be kept; ctx may not.
func Handle[T any](n *Network, op opcode.Opcode, f func(ctx *ComponentContext, msg *T) error, opts ...RegisterOption) error {
	if e, ok := n.registry.ByCode(op); !ok {
		if err := Register[T](n, op, opts...); err != nil {
			return err
		}
	} else if e.Type != reflect.TypeFor[T]() {
		return fmt.Errorf("%w: %v is registered for %v", opcode.ErrDuplicate, op, e.Type)
	}
	return n.AddComponent(&handler[T]{f: f}, Opcodes(op))
}

// handler is the component behind Handle.
type handler[T any] struct {
	Component
	f func(*ComponentContext, *T) error
}

func (h *handler[T]) ComponentName() string {
	return fmt.Sprintf("handler of %v", reflect.TypeFor[T]())
}

func (h *handler[T]) Receive(ctx *ComponentContext) error {
	msg := new(T)
	if err := ctx.Decode(msg); err != nil {
		ctx.peer.loop.received.undecodable++
		return err
	}
	return h.f(ctx, msg)
}

// Call sends a request and decodes its reply, whose registered type must be *R's. It waits like Request.
func Call[R any](ctx context.Context, p *PeerClient, msg any) (R, error) {
	var reply R
	r, err := p.Request(ctx, msg)
	if err != nil {
		return reply, err
	}
	v, err := r.Message()
	if err != nil {
		return reply, err
	}
	switch v := v.(type) {
	case R:
		return v, nil
	case *R:
		return *v, nil
	}
	return reply, fmt.Errorf("%w: the reply is %T, not %T", opcode.ErrType, v, reply)
}

// encode gives send the opcode and encoding of a registered message, which it must not keep.
func (n *Network) encode(msg any, send func(opcode.Opcode, []byte) error) error {
	e, ok := n.registry.ByType(msg)
	if !ok {
		return fmt.Errorf("%w: %T", ErrNotRegistered, msg)
	}
	buf, _ := n.scratch.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer n.scratch.Put(buf)
	payload, err := e.Append((*buf)[:0], msg)
	if err != nil {
		return fmt.Errorf("engine: encode %v: %w", e.Code, err)
	}
	if cap(payload) <= scratchLimit {
		*buf = payload
	}
	if len(payload) > e.Limit {
		return fmt.Errorf("%w: %v of %d bytes, at most %d", ErrMessageTooLarge, e.Code, len(payload), e.Limit)
	}
	return send(e.Code, payload)
}

// scratchLimit bounds what is kept for encoding; larger messages are rare and get memory of their own.
const scratchLimit = 64 << 10

func (n *Network) decode(op opcode.Opcode, payload []byte) (any, error) {
	return n.registry.Parse(op, payload)
}

func (n *Network) decodeInto(op opcode.Opcode, payload []byte, v any) error {
	e, ok := n.registry.ByCode(op)
	if !ok {
		return fmt.Errorf("%w: %v", ErrNotRegistered, op)
	}
	return e.Parse(payload, v)
}

// Broadcast sends a registered message to every open peer that has room for it, and returns to how many. It never waits.
func (n *Network) Broadcast(msg any) (int, error) {
	sent := 0
	err := n.encode(msg, func(op opcode.Opcode, payload []byte) error {
		sent = n.BroadcastRaw(op, payload)
		return nil
	})
	return sent, err
}

// BroadcastRaw is Broadcast for a payload that is bytes already.
func (n *Network) BroadcastRaw(op opcode.Opcode, payload []byte) int {
	sent := 0
	for p := range n.connMgr.Peers() {
		if p.TrySendRaw(op, payload) == nil {
			sent++
		}
	}
	return sent
}
