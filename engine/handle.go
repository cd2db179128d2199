package engine

import (
	"context"
	"errors"
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

// Handle registers T for op, unless that has been done, and adds a component that calls f with each message
// of op, on the peer's event loop: f must not block. The message is new for each call and may be kept; ctx
// may not. What f returns means what it does of ComponentInterface.Receive. Whoever sent a request gets what
// ctx.Reply is given, or ErrNoReply if f returns an error, but not which: that belongs into the reply.
func Handle[T any](n *Network, op opcode.Opcode, f func(ctx *ComponentContext, msg *T) error, opts ...RegisterOption) error {
	if f == nil {
		return errNoHandler
	}
	if e, ok := n.registry.ByCode(op); !ok {
		if err := Register[T](n, op, opts...); err != nil {
			return err
		}
	} else if e.Type != reflect.TypeFor[T]() {
		return fmt.Errorf("%w: %v is registered for %v", opcode.ErrDuplicate, op, e.Type)
	}
	return n.AddComponent(&handler[T]{f: f}, Opcodes(op))
}

// HandleRaw adds a component that calls f with each message of op, whose payload is ctx.Payload: bytes as SendRaw or RequestRaw
// sent them. Nothing is registered, and they have at most opcode.DefaultPayloadLimit bytes. f is called on the peer's event loop
// and must not block; what it returns means what it does of ComponentInterface.Receive.
func HandleRaw(n *Network, op opcode.Opcode, f func(ctx *ComponentContext) error) error {
	if f == nil {
		return errNoHandler
	}
	return n.AddComponent(&rawHandler{op: op, f: f}, Opcodes(op))
}

var errNoHandler = errors.New("engine: no function is given to handle messages")

// handler is the component behind Handle, rawHandler that behind HandleRaw.
type handler[T any] struct {
	Component
	f func(*ComponentContext, *T) error
}

func (h *handler[T]) ComponentName() string {
	return fmt.Sprintf("handler of %v", reflect.TypeFor[T]())
}

type rawHandler struct {
	Component
	op opcode.Opcode
	f  func(*ComponentContext) error
}

func (h *rawHandler) ComponentName() string { return fmt.Sprintf("handler of %v", h.op) }

func (h *rawHandler) Receive(ctx *ComponentContext) error { return h.f(ctx) }

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
	if errors.Is(err, opcode.ErrTooLarge) {
		return fmt.Errorf("%w: %w", ErrMessageTooLarge, err)
	}
	if err != nil {
		return fmt.Errorf("engine: encode %v: %w", e.Code, err)
	}
	if cap(payload) <= scratchLimit {
		*buf = payload
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

// Broadcast sends a registered message to every open peer that has room for it, and returns to how many. It never waits. The
// error is one of the message, the same for all peers. Nodes that are no peers of this one are reached by component/broadcast.
func (n *Network) Broadcast(msg any) (sent int, err error) {
	err = n.encode(msg, func(op opcode.Opcode, payload []byte) error {
		sent, err = n.BroadcastRaw(op, payload)
		return err
	})
	return sent, err
}

// BroadcastRaw is Broadcast for a payload that is bytes already: see PeerClient.SendRaw.
func (n *Network) BroadcastRaw(op opcode.Opcode, payload []byte) (sent int, err error) {
	if err := n.maySend(op, len(payload)); err != nil {
		return 0, err
	}
	for p := range n.connMgr.Peers() {
		if p.trySend(laneBulk, op, 0, 0, payload) == nil {
			sent++
		}
	}
	return sent, nil
}
