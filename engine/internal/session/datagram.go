package session

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
)

// Over datagrams a record is a datagram, with its number in front:
//
//	| counter 8 | frame | frame | … | tag 16 |       the counter is the additional data, and the nonce
//	| 2^64-1    | length 2 | handshake message |     a counter that no record ever has
//
// Frames do not span records, so each datagram is understood without any other: what is lost is lost alone. A Batch lays
// datagrams out as it does records; the place of the counter holds the length until it is sealed.

const counterSize = 8

// DatagramOverhead is what a datagram has besides frames.
const DatagramOverhead = counterSize + framing.TagSize

// greetingCounter marks a handshake message: the nonce of rekeying, under which nothing is ever sent.
const greetingCounter = math.MaxUint64

// ErrDatagram says that a datagram is not the peer's, or has come before, or is too old. It concerns that datagram alone:
// anybody can send one.
var ErrDatagram = errors.New("session: not an authentic datagram")

// AppendGreeting appends the datagram that carries a handshake message, which has its length in front.
func AppendGreeting(dst, msg []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, greetingCounter), msg...)
}

// Greeting returns the handshake message in a datagram, or false if it carries something else, or more than that. msg
// aliases b.
func Greeting(b []byte) (msg []byte, ok bool) {
	if len(b) < counterSize || binary.LittleEndian.Uint64(b) != greetingCounter {
		return nil, false
	}
	msg, n, err := handshake.NextMessage(b[counterSize:])
	return msg, err == nil && n > 0 && n == len(b)-counterSize
}

// A Window is what a receiver of datagrams remembers of those that have come.
type Window struct {
	seen handshake.Window

	Next     uint64 // one above the highest counter of an authentic datagram
	Received uint64 // how many authentic datagrams have come, each counted once
}

// OpenDatagram opens a datagram in place: plain aliases b. newest says that no authentic one had a higher counter. Any error
// is ErrDatagram and leaves everything as it was. It is Next for connections over datagrams; a Receiver is used with one or
// the other.
func (r *Receiver) OpenDatagram(b []byte, w *Window) (plain []byte, newest bool, err error) {
	if len(b) < DatagramOverhead {
		return nil, false, ErrDatagram
	}
	counter := binary.LittleEndian.Uint64(b)
	if !w.seen.Check(counter) {
		return nil, false, ErrDatagram
	}
	if r.cipher == nil {
		r.cipher = r.key.Expand()
	}
	plain, err = r.key.OpenAt(r.cipher, counter, b[:counterSize], b[counterSize:])
	if err != nil {
		return nil, false, ErrDatagram
	}
	w.seen.Accept(counter)
	w.Received++
	if counter >= w.Next {
		w.Next, newest = counter+1, true
	}
	return plain, newest, nil
}

// SetDatagrams makes b gather datagrams of at most limit bytes, of which DatagramOverhead are not frames. It counts from the
// next record that begins. A frame that does not fit is the caller's to refuse: it makes a datagram of its own size.
func (b *Batch) SetDatagrams(limit int) { b.limit = limit - DatagramOverhead }

// SealDatagram seals the datagram at the front of b, which Take returned, in place. It returns its length and how many bytes
// of frames it carries.
func (s *Sender) SealDatagram(b []byte) (n, frames int, err error) {
	n, err = framing.RecordLen(b)
	if err != nil {
		return 0, 0, err
	}
	if s.cipher == nil {
		s.cipher = s.key.Expand()
	}
	binary.LittleEndian.PutUint64(b, s.key.Counter())
	if err := s.key.SealWith(s.cipher, b[:counterSize], b[counterSize:n]); err != nil {
		return 0, 0, err
	}
	return n, n - DatagramOverhead, nil
}

// Counter is the number of the next record. It belongs to the owner of the flush.
func (s *Sender) Counter() uint64 { return s.key.Counter() }
