package session

import (
	"errors"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// Path:   bytes -> [recv] -> an opened record. Runs for every record, on the peer's loop.
// Cost:   0 allocations, 0 copies for a record that lies whole in b; one that spans reads is copied once.
// Bounds: a carry grows with what arrives, by doubling, to one buffer for the largest record (128 KiB) at most.
// Keeps:  nothing of b.

// ErrSealed says that a record is sealed where records are not: over a link that seals by itself.
var ErrSealed = errors.New("session: a sealed record over a link that seals by itself")

// A Receiver opens the records of one direction. The zero value waits for Start; it belongs to the peer's loop.
type Receiver struct {
	cipher *handshake.Cipher // nil while cold; bare if the link seals
	carry  []byte            // the beginning of a record whose rest has not arrived; lent by Buffers
	key    handshake.RecordKey
}

// Start gives the receiver the key of its direction.
func (r *Receiver) Start(key handshake.RecordKey) { r.key = key }

// StartUnsealed says that the link seals what it carries and has proven whose it is. A record with anything else than zeros
// for a tag is refused with ErrSealed.
func (r *Receiver) StartUnsealed() { r.cipher = bare }

// Next takes the next record from the front of b and opens it in place. ok is false when b holds no whole record: then
// all of b has been taken into the carry and rest is empty. plain is writable and good until the next call, or until b
// is used otherwise.
func (r *Receiver) Next(b []byte, bufs *Buffers) (plain, rest []byte, ok bool, err error) {
	if len(r.carry) > 0 {
		return r.nextCarried(b, bufs)
	}
	header, body, n, err := framing.NextRecord(b)
	if err != nil {
		return nil, nil, false, err
	}
	if n == 0 {
		r.carry, err = r.take(b, bufs)
		return nil, nil, false, err
	}
	plain, err = r.open(header, body)
	return plain, b[n:], err == nil, err
}

// nextCarried completes the record that an earlier read began.
func (r *Receiver) nextCarried(b []byte, bufs *Buffers) (plain, rest []byte, ok bool, err error) {
	total, err := framing.RecordLen(r.carry)
	if err != nil {
		return nil, nil, false, err
	}
	if total == 0 { // not even the header was there
		n := min(len(b), framing.RecordHeaderSize-len(r.carry))
		if r.carry, err = r.take(b[:n], bufs); err != nil {
			return nil, nil, false, err
		}
		if b = b[n:]; len(r.carry) < framing.RecordHeaderSize {
			return nil, nil, false, nil
		}
		if total, err = framing.RecordLen(r.carry); err != nil {
			return nil, nil, false, err
		}
	}
	n := min(len(b), total-len(r.carry))
	if r.carry, err = r.take(b[:n], bufs); err != nil {
		return nil, nil, false, err
	}
	if len(r.carry) < total {
		return nil, nil, false, nil
	}
	header, body, _, err := framing.NextRecord(r.carry)
	if err != nil {
		return nil, nil, false, err
	}
	// The opened record stays in the carry's memory until the next call; an empty carry marks it as free to reuse.
	r.carry = r.carry[:0]
	plain, err = r.open(header, body)
	return plain, b[n:], err == nil, err
}

func (r *Receiver) take(b []byte, bufs *Buffers) ([]byte, error) {
	if len(b) == 0 {
		return r.carry, nil
	}
	carry, err := bufs.Grow(r.carry, len(b))
	if err != nil {
		return carry, err
	}
	return append(carry, b...), nil
}

func (r *Receiver) open(header, body []byte) ([]byte, error) {
	if r.cipher == bare {
		return openUnsealed(body)
	}
	if r.cipher == nil {
		r.cipher = r.key.Expand()
	}
	return r.key.Open(r.cipher, header, body)
}

// openUnsealed takes the tag off. NextRecord has seen to it that there is one.
func openUnsealed(body []byte) ([]byte, error) {
	at := len(body) - framing.TagSize
	if [framing.TagSize]byte(body[at:]) != [framing.TagSize]byte{} {
		return nil, ErrSealed
	}
	return body[:at], nil
}

// Begun reports whether a record has begun to arrive and not ended: for how long is the engine's to judge.
func (r *Receiver) Begun() bool { return len(r.carry) > 0 }

// Held is how many bytes of memory the carry holds.
func (r *Receiver) Held() int { return cap(r.carry) }

// Settle gives the carry's memory back if nothing is in it. What Next returned last must no longer be in use.
func (r *Receiver) Settle(bufs *Buffers) {
	if len(r.carry) == 0 && r.carry != nil {
		invariant.Spoil(r.carry[:cap(r.carry)])
		bufs.Put(r.carry)
		r.carry = nil
	}
}

// Cool drops the expanded cipher; the next record expands it again, for about half a microsecond.
func (r *Receiver) Cool() {
	if r.cipher != bare {
		r.cipher = nil
	}
}

// bare stands in for the cipher of a direction that the link seals; it takes no room in a Receiver or Sender of its own. It
// neither seals nor opens.
var bare = new(handshake.Cipher)

// Stop gives everything back.
func (r *Receiver) Stop(bufs *Buffers) {
	r.carry = r.carry[:0]
	r.Settle(bufs)
	*r = Receiver{}
}
