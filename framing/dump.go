package framing

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/internal/wire"
	"github.com/carrier-p2p/carrier/opcode"
)

// Dump explains b, whatever it is: what was captured of one direction of a connection, or the frames of one opened record.
// It tries both readings and shows the one that explains more of it. The text is for people and may change; it is long,
// several lines a frame.
func Dump(b []byte) string {
	if len(b) == 0 {
		return "0 bytes\n"
	}
	greeting, records, frames := explainer{b: b}, explainer{b: b}, explainer{b: b}
	greeting.connection()
	records.records()
	frames.frames()
	best, how := &records, "sealed records"
	if greeting.better(best) {
		best, how = &greeting, "one direction of a connection, from its start"
	}
	if frames.better(best) {
		best, how = &frames, "frames of one opened record"
	}
	if best.at == 0 && best.err != nil {
		return fmt.Sprintf("%s that are nothing whole:\nas a handshake:\n%sas a record:\n%sas a frame:\n%s",
			plural(len(b), "byte"), greeting.text.String(), records.text.String(), frames.text.String())
	}
	return fmt.Sprintf("%s, read as %s\n%s", plural(len(b), "byte"), how, best.text.String())
}

// DumpStream explains what one direction of a connection carries: handshake messages, if b begins with the first, then
// sealed records.
func DumpStream(b []byte) string {
	greeting, records := explainer{b: b}, explainer{b: b}
	greeting.connection()
	records.records()
	if greeting.better(&records) {
		return greeting.text.String()
	}
	return records.text.String()
}

// DumpFrames explains the frames of one opened record.
func DumpFrames(b []byte) string {
	e := explainer{b: b}
	e.frames()
	return e.text.String()
}

// What Dump knows of handshake messages; package handshake has the truth, and docs/wire.md both.
const (
	greetingLengthSize = 2
	greetingLimit      = 4 << 10
	greetingKeySize    = 32                      // an X25519 public key
	greetingFirst      = greetingKeySize + 1 + 8 // message 1: key, version, network tag
	greetingSealedKey  = greetingKeySize + TagSize
	greetingAnswer     = greetingKeySize + greetingSealedKey + TagSize // message 2 with nothing in it
	greetingLast       = greetingSealedKey + TagSize                   // message 3 with nothing in it
)

var (
	errGreetingLength = errors.New("handshake message of an impossible length")
	errGreetingFirst  = errors.New("handshake message 1 of another version")
)

// connection explains one direction from its start: messages 1 and 3 of the initiator or 2 of the responder, then records.
func (e *explainer) connection() {
	length, n := wire.ConsumeUint16(e.b)
	whole := false
	switch {
	case n < 0:
	case length == greetingFirst:
		whole = e.greetingMessage(1, greetingFirst) && (e.at == len(e.b) || e.greetingMessage(3, greetingLast))
	default:
		whole = e.greetingMessage(2, greetingAnswer)
	}
	if whole {
		e.records()
		return
	}
	e.end()
}

// greetingMessage explains one message of at least so many bytes, and reports whether it is whole.
func (e *explainer) greetingMessage(number, least int) bool {
	off := e.at
	length, n := wire.ConsumeUint16(e.b[off:])
	if n < 0 {
		return false
	}
	size := int(length)
	e.item(off, "handshake message %d", number)
	e.field(off, greetingLengthSize, "length", "%s", plural(size, "byte"))
	if size < least || size > greetingLimit {
		e.wrong(off, errGreetingLength, fmt.Sprintf("message %d has %d to %d bytes", number, least, greetingLimit))
		return false
	}
	if off+greetingLengthSize+size > len(e.b) {
		return false
	}
	e.greetingFields(off+greetingLengthSize, number, size)
	if e.err != nil {
		return false
	}
	e.at = off + greetingLengthSize + size
	return true
}

func (e *explainer) greetingFields(off, number, size int) {
	end := off + size
	if number != 3 {
		e.field(off, greetingKeySize, "e", "ephemeral X25519 key")
		off += greetingKeySize
	}
	if number == 1 {
		e.field(off, 1, "version", "%d", e.b[off])
		if e.b[off] != 1 {
			e.wrong(off, errGreetingFirst, "")
			return
		}
		e.field(off+1, 8, "tag", "which network: a hash of its name and puzzles")
		return
	}
	e.field(off, greetingSealedKey, "s", "static X25519 key, sealed, with its tag")
	off += greetingSealedKey
	e.field(off, end-off, "proof", "node record and parameters, sealed, with their tag: %s", plural(end-off, "byte"))
}

// records explains sealed records until b ends or one is wrong.
func (e *explainer) records() {
	for e.err == nil && e.at < len(e.b) {
		if !e.record() {
			break
		}
	}
	e.end()
}

// record explains the record at e.at and reports whether it is whole.
func (e *explainer) record() bool {
	off := e.at
	if len(e.b)-off < RecordHeaderSize {
		return false
	}
	h := binary.LittleEndian.Uint32(e.b[off:])
	bodyLen, kind := int(h&wire.Uint24Max), Kind(h>>24)
	e.item(off, "record")
	e.field(off, 3, "length", "%s", plural(bodyLen, "byte"))
	e.field(off+3, 1, "kind", "%v", kind)
	_, body, n, err := NextRecord(e.b[off:])
	switch {
	case err != nil:
		at := off
		if errors.Is(err, ErrRecordKind) {
			at += 3 // where the kind stands
		}
		e.wrong(at, err, fmt.Sprintf("kind is 0, length is %d to %d", TagSize, RecordBodyLimit))
		return false
	case n == 0:
		return false
	}
	sealed := len(body) - TagSize
	e.field(off+RecordHeaderSize, sealed, "sealed", "%s of frames, which need the key to be read", plural(sealed, "byte"))
	e.field(off+RecordHeaderSize+sealed, TagSize, "tag", "of AES-256-GCM")
	e.at = off + n
	return true
}

// frames explains the frames of one opened record, and joins fragments to see whether they fit.
func (e *explainer) frames() {
	var a Assembler
	for e.err == nil && e.at < len(e.b) {
		e.frame(&a)
	}
	for i := 0; e.err == nil && i < len(a.unfinished); i++ {
		p := &a.unfinished[i]
		fmt.Fprintf(&e.text, "      unfinished: %v with id %#x, %s so far\n", p.op, p.id, plural(len(p.buf), "byte"))
	}
	e.end()
}

// frame explains the frame at e.at.
func (e *explainer) frame(a *Assembler) {
	off := e.at
	f, n, err := NextFrame(e.b[off:])
	if err != nil {
		e.brokenFrame(off, err)
		return
	}
	e.item(off, "frame: %v", f.Op)
	e.frameHeader(off, f.Flags, f.Op, f.ID, len(f.Payload))
	e.payload(off+FrameHeaderSize, f)
	limit := opcode.MaxPayloadLimit
	if facts, ok := opcode.FactsOf(f.Op); ok && f.Op != opcode.UnregisteredCode {
		limit = facts.PayloadLimit
	}
	msg, done, err := a.Add(f, limit)
	if err != nil {
		why := ""
		if err == ErrMessageTooLarge {
			why = fmt.Sprintf("%v takes at most %s", f.Op, bytesOf(uint64(limit)))
		}
		e.wrong(off, err, why)
		return
	}
	if done && len(msg) > len(f.Payload) {
		fmt.Fprintf(&e.text, "            the last fragment of a message of %s\n", plural(len(msg), "byte"))
	}
	e.at = off + n
}

// brokenFrame explains as much of a refused frame as is there.
func (e *explainer) brokenFrame(off int, err error) {
	left := e.b[off:]
	e.item(off, "frame")
	if len(left) < FrameHeaderSize {
		e.field(off, FrameHeaderSize, "header", "%d of %d bytes", len(left), FrameHeaderSize)
		e.wrong(off, err, "")
		return
	}
	h := binary.LittleEndian.Uint64(left)
	length := int(h & wire.Uint24Max)
	e.frameHeader(off, Flags(h>>24), opcode.Opcode(h>>32), binary.LittleEndian.Uint32(left[8:]), length)
	why := fmt.Sprintf("%d of %s of payload are here", len(left)-FrameHeaderSize, plural(length, "byte"))
	switch err {
	case ErrFrameTooLong:
		why = fmt.Sprintf("a payload has at most %s", bytesOf(FramePayloadLimit))
	case ErrFlags:
		why = fmt.Sprintf("known are 0x%02x", uint8(flagsKnown))
	}
	e.wrong(off, err, why)
}

func (e *explainer) frameHeader(off int, flags Flags, op opcode.Opcode, id uint32, length int) {
	e.field(off, 3, "length", "%s of payload", plural(length, "byte"))
	e.field(off+3, 1, "flags", "%v", flags)
	e.field(off+4, 4, "opcode", "%d: %s", uint32(op), about(op))
	switch {
	case id == 0:
		e.field(off+8, 4, "id", "none")
	case flags&FlagReply != 0:
		e.field(off+8, 4, "id", "%#x, of the request this answers", id)
	default:
		e.field(off+8, 4, "id", "%#x", id)
	}
}

// about says whose an opcode is.
func about(op opcode.Opcode) string {
	if facts, ok := opcode.FactsOf(op); ok {
		return fmt.Sprintf("%s, answered by %s", facts.Name, facts.AnsweredBy)
	}
	if op >= opcode.ApplicationOpCodeStart {
		return "the application's"
	}
	return "not assigned; a receiver drops it"
}

// payload explains what the engine's own messages carry; of others it shows the bytes.
func (e *explainer) payload(off int, f Frame) {
	size := len(f.Payload)
	switch {
	case f.Op == opcode.CreditCode && size == 8:
		granted := binary.LittleEndian.Uint64(f.Payload)
		e.field(off, 8, "granted", "%s in all, since the connection opened", bytesOf(granted))
	case (f.Op == opcode.DisconnectCode || f.Op == opcode.ErrorCode) && size >= 4:
		e.field(off, 4, "code", "%d", binary.LittleEndian.Uint32(f.Payload))
		e.field(off+4, size-4, "text", "%s", textOf(f.Payload[4:]))
	case size > 0:
		e.field(off, size, "payload", "%s", textOf(f.Payload))
	}
}
