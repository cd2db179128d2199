package session

import (
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   frame -> [Batch] -> records in one buffer -> [Sender.Seal] -> bytes to write.
// Cost:   0 allocations in the steady state; a payload is copied once, into the place where it is sealed.
// Bounds: a record gathers at most framing.RecordGather bytes, or one frame that is larger.

// A Batch gathers frames into records, laid out so that each is sealed where it lies:
//
//	| header 4 | frame | frame | … | room for the tag 16 | header 4 | frame | … | tag 16 |
//
// The zero value is empty. A Batch is not safe for concurrent use.
type Batch struct {
	buf   []byte // lent by Buffers
	open  int    // where the record that still gathers begins, plus one; 0: none
	room  int    // up to where Add may fill buf; 0: no record gathers
	limit int    // bytes of frames in a datagram; 0: a stream
	whole bool   // may use all of the memory: see Buffers.GrowToSend
}

// SetWhole says that the batch keeps connections going, so that all of the memory is for it.
func (b *Batch) SetWhole() { b.whole = true }

// Held is how many bytes of memory the batch holds.
func (b *Batch) Held() int { return cap(b.buf) }

// grow makes room for n more bytes.
func (b *Batch) grow(bufs *Buffers, n int) (err error) {
	if b.whole {
		b.buf, err = bufs.Grow(b.buf, n)
	} else {
		b.buf, err = bufs.GrowToSend(b.buf, n)
	}
	return err
}

// Len is how many bytes the batch holds, headers and tags included.
func (b *Batch) Len() int { return len(b.buf) }

// Add is Append for a message of one frame, where the record that gathers has room for it; else it does nothing and
// reports false. Nearly every small message goes this way.
func (b *Batch) Add(op opcode.Opcode, payload []byte) bool {
	at := len(b.buf)
	end := at + framing.FrameHeaderSize + len(payload)
	if end > b.room {
		return false
	}
	b.buf = b.buf[:end]
	framing.PutFrameHeader(b.buf[at:], op, 0, 0, len(payload))
	copy(b.buf[at+framing.FrameHeaderSize:], payload)
	return true
}

// Append adds one frame. It fails only with ErrMemory, and then leaves the batch as it was.
func (b *Batch) Append(bufs *Buffers, op opcode.Opcode, flags framing.Flags, id uint32, payload []byte) error {
	need := framing.FrameHeaderSize + len(payload)
	head, gather := framing.RecordHeaderSize, framing.RecordGather
	if b.limit > 0 {
		head, gather = counterSize, b.limit
	}
	if b.open > 0 && len(b.buf)-(b.open-1)-head+need > gather {
		b.Close()
	}
	// The room for the tag is taken together with the frame, so that Close cannot fail.
	room := need + framing.TagSize
	if b.open == 0 {
		room += head
	}
	if cap(b.buf)-len(b.buf) < room {
		if err := b.grow(bufs, room); err != nil {
			return err
		}
	}
	at := len(b.buf)
	if b.open == 0 {
		b.open = at + 1
		at += head
	}
	b.buf = b.buf[:at+need]
	framing.PutFrameHeader(b.buf[at:], op, flags, id, len(payload))
	copy(b.buf[at+framing.FrameHeaderSize:], payload)
	b.room = min(cap(b.buf)-framing.TagSize, b.open-1+head+gather)
	return nil
}

// Close ends the record that gathers, if there is one. Sealing needs it.
func (b *Batch) Close() {
	if b.open == 0 {
		return
	}
	at := b.open - 1
	b.buf = b.buf[:len(b.buf)+framing.TagSize] // Append has kept this room
	framing.PutRecordHeader(b.buf[at:], framing.KindFrames, len(b.buf)-at-framing.RecordHeaderSize)
	b.open, b.room = 0, 0
}

// Take moves everything out of b, which is then empty. The records are closed.
func (b *Batch) Take() []byte {
	b.Close()
	buf := b.buf
	b.buf = nil
	return buf
}

// Reserve makes room for n bytes of payload and frame headers, so that the Appends that follow cannot fail.
func (b *Batch) Reserve(bufs *Buffers, n int) error {
	records := n/framing.RecordGather + 2
	return b.grow(bufs, n+records*(framing.RecordHeaderSize+framing.TagSize))
}

// Reuse gives an empty batch memory that Take returned earlier. It reports whether the batch took it.
func (b *Batch) Reuse(buf []byte) bool {
	if b.buf != nil {
		return false
	}
	b.buf = buf[:0]
	return true
}

// Trim gives back what is not needed for what the batch holds.
func (b *Batch) Trim(bufs *Buffers) {
	need := len(b.buf)
	if b.open > 0 {
		need += framing.TagSize
	}
	switch {
	case need == 0:
		bufs.Put(b.buf)
		b.buf = nil
	case sizeOf(need) < cap(b.buf):
		fits, err := bufs.Get(need)
		if err != nil {
			return
		}
		fits = append(fits, b.buf...)
		bufs.Put(b.buf)
		b.buf, b.room = fits, min(b.room, cap(fits)-framing.TagSize)
	}
}

// Drop gives the memory back, whatever is in it.
func (b *Batch) Drop(bufs *Buffers) {
	bufs.Put(b.buf)
	*b = Batch{}
}

// A Sender seals the records of one direction. The zero value waits for Start; it belongs to the owner of the peer's
// flush.
type Sender struct {
	cipher *handshake.Cipher // nil while cold; bare if the link seals
	key    handshake.RecordKey
}

// Start gives the sender the key of its direction.
func (s *Sender) Start(key handshake.RecordKey) { s.key = key }

// StartUnsealed says that the link seals what it carries and has proven whose it is, so that records go as they are, with
// zeros for a tag.
func (s *Sender) StartUnsealed() { s.cipher = bare }

// Seal seals records from the front of b, which Take returned, in place: as many as fit into limit bytes, but at least
// one, and none more once credit is used up. It returns how many bytes are now ready to be written and how many bytes
// of frames they carry. credit is not looked at when it is Unlimited.
func (s *Sender) Seal(b []byte, limit, credit int) (n, frames int, err error) {
	if s.cipher == nil {
		s.cipher = s.key.Expand()
	}
	for n < len(b) && frames < credit {
		total, err := framing.RecordLen(b[n:])
		if err != nil {
			return n, frames, err
		}
		if n > 0 && n+total > limit {
			break
		}
		if s.cipher == bare {
			clear(b[n+total-framing.TagSize : n+total])
		} else if err := s.key.Seal(s.cipher, b[n:n+total]); err != nil {
			return n, frames, err
		}
		n += total
		frames += total - framing.RecordHeaderSize - framing.TagSize
	}
	return n, frames, nil
}

// Unlimited is the credit of what is not counted: control frames.
const Unlimited = int(^uint(0) >> 1)

// Cool drops the expanded cipher; the next record expands it again, for about half a microsecond.
func (s *Sender) Cool() {
	if s.cipher != bare {
		s.cipher = nil
	}
}

// Stop forgets the key.
func (s *Sender) Stop() { *s = Sender{} }
