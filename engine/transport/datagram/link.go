package datagram

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// The life of a link.
//
//	initiator   knocking ──Cookie──▶ asking ──authentic Answer──▶ open ──Close──▶ closed
//	responder              Open ──▶ telling ──authentic Data────▶ open ──Close──▶ closed
type state uint32

const (
	knocking state = iota // has sent a Knock; the sink does not know it yet
	asking                // writes Open: it does not know the other side's id
	telling               // writes Answer: the other side may not know this one's id
	open                  // writes Data
	closed
)

// A Link is one end of a connection over datagrams: 112 bytes. It is a transport.DatagramLink.
type Link struct {
	mux    *Mux           // fixed, as all down to socket
	id     ID             // in the datagrams it receives
	remote netip.AddrPort // as it was opened
	socket uint8

	// The loop's.
	trusted bool  // something authentic has come
	heard   uint8 // authentic datagrams, up to sizeAfter
	owner   any
	busy    *business // nil mostly

	// Written by the loop, read by anybody.
	phase  atomic.Uint32 // state
	limit  atomic.Uint32 // DatagramLimit
	theirs atomic.Uint64 // the id in the datagrams it sends
	aside  atomic.Pointer[aside]

	shut atomic.Bool // Close was called; any goroutine
}

// aside is what few links need when they write. It is replaced, never changed.
type aside struct {
	cookies []cookie       // asking: an Open is sent with each
	moved   netip.AddrPort // where the peer is now, if it has moved
}

// business is what a link is in the middle of. It exists while something is.
type business struct {
	dial dialing
	move moving
	size sizing
}

var _ transport.DatagramLink = (*Link)(nil)

func (l *Link) state() state { return state(l.phase.Load()) }

func (l *Link) remoteID() ID { return ID(l.theirs.Load()) }

// working returns l.busy, making it if need be.
func (l *Link) working() *business {
	if l.busy == nil {
		l.busy = &business{}
	}
	return l.busy
}

// rest drops l.busy if nothing is left of it.
func (l *Link) rest() {
	if b := l.busy; b != nil && b.dial.request == nil && b.move.alarm.place == 0 && b.size.alarm.place == 0 {
		l.busy = nil
	}
}

// Loop implements transport.Link.
func (l *Link) Loop() transport.Loop { return l.mux.loop }

// Local implements transport.Link.
func (l *Link) Local() transport.Addr {
	return transport.Addr{Proto: transport.UDP, AddrPort: l.mux.carrier.Local(int(l.socket))}
}

// Remote implements transport.Link: where the link was opened to, whatever has become of the path.
func (l *Link) Remote() transport.Addr {
	return transport.Addr{Proto: transport.UDP, AddrPort: l.remote}
}

// Path implements transport.DatagramLink.
func (l *Link) Path() transport.Addr {
	return transport.Addr{Proto: transport.UDP, AddrPort: l.path()}
}

func (l *Link) path() netip.AddrPort {
	if a := l.aside.Load(); a != nil && a.moved.IsValid() {
		return a.moved
	}
	return l.remote
}

// DatagramLimit implements transport.DatagramLink.
func (l *Link) DatagramLimit() int { return int(l.limit.Load()) }

// Owner implements transport.Link.
func (l *Link) Owner() any { return l.owner }

// SetOwner implements transport.Link.
func (l *Link) SetOwner(owner any) { l.owner = owner }

// SetQueueLimit implements transport.Link: datagrams do not wait in a queue of the link's own.
func (l *Link) SetQueueLimit(int) {}

// CloseWrite implements transport.Link: there is nobody to tell.
func (l *Link) CloseWrite() {}

// Write implements transport.Link: one datagram.
func (l *Link) Write(b []byte) (int, error) {
	if l.shut.Load() || l.state() == closed {
		return 0, transport.ErrClosed
	}
	if len(b) > SizeLimit-answerHead || len(b) == 0 || l.send(b) {
		return len(b), nil
	}
	m := l.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.send(b) { // room has come in the meantime, and Room may have been called
		return len(b), nil
	}
	m.full = append(m.full, l)
	return 0, nil
}

// send sends b in the form of the link's state.
func (l *Link) send(b []byte) bool {
	c := l.mux.carrier
	switch l.state() {
	case open:
		return c.Send(int(l.socket), l.path(), Data, l.remoteID(), b)
	case telling:
		body := binary.LittleEndian.AppendUint64(make([]byte, 0, idSize+len(b)), uint64(l.id))
		return c.Send(int(l.socket), l.remote, Answer, l.remoteID(), append(body, b...))
	case asking:
		return l.sendOpens(b)
	}
	return true // knocking or closed: nobody knows of the link
}

// sendOpens sends b with every cookie there is: all but one may have been made up.
func (l *Link) sendOpens(b []byte) (room bool) {
	a := l.aside.Load()
	if a == nil {
		return true // open in the meantime: lost
	}
	for _, k := range a.cookies {
		body := binary.LittleEndian.AppendUint64(make([]byte, 0, idSize+cookieSize+len(b)), uint64(l.id))
		body = append(body, k[:]...)
		room = l.mux.carrier.Send(int(l.socket), l.remote, Open, l.remoteID(), append(body, b...)) || room
	}
	return room
}

// Close implements transport.Link.
func (l *Link) Close() {
	if l.shut.Swap(true) {
		return
	}
	m := l.mux
	m.mu.Lock()
	m.closing = append(m.closing, l)
	m.mu.Unlock()
	m.carrier.Wake()
}

// heardData takes a Data datagram.
func (l *Link) heardData(from netip.AddrPort, payload []byte) {
	if !l.familiar(from) {
		return
	}
	if s := l.state(); s == knocking || s == asking { // how would the other side know that its id has come?
		l.mux.Counts.Malformed.Add(1)
		return
	}
	l.mux.deliver(l, from, Data, 0, payload)
}

// answered takes an Answer: the responder's id is in front. It is believed if what follows is authentic.
func (l *Link) answered(from netip.AddrPort, b []byte) {
	if !l.familiar(from) {
		return
	}
	if s := l.state(); s == knocking || s == telling {
		l.mux.Counts.Malformed.Add(1)
		return
	}
	l.mux.deliver(l, from, Answer, ID(binary.LittleEndian.Uint64(b[HeaderSize:])), b[answerHead:])
}

// familiar reports whether a datagram may come from there: before anything authentic has come, only from where the link
// was opened to.
func (l *Link) familiar(from netip.AddrPort) bool {
	if l.trusted || from == l.remote {
		return true
	}
	l.mux.Counts.Strangers.Add(1)
	return false
}

// reaches reports whether the link's socket can send there: a link stays in the family of addresses that it was opened in.
func (l *Link) reaches(at netip.AddrPort) bool { return at.Addr().Is4() == l.remote.Addr().Is4() }

// Authentic implements transport.DatagramLink.
func (l *Link) Authentic(newest bool) {
	m := l.mux
	if m.current != l {
		return
	}
	if l.introduced(newest); !l.trusted {
		l.trusted = true
		if l.busy != nil {
			m.alarms.stop(&l.busy.dial.alarm)
			l.busy.dial.request = nil
			l.rest()
		}
	}
	if l.heard < sizeAfter {
		if l.heard++; l.heard == sizeAfter {
			m.search(l)
		}
	}
	if newest && m.from != l.path() && l.reaches(m.from) {
		m.suspect(l, m.from)
	}
}

// introduced has the link write to the id that the authentic datagram came with. An Answer may be a stranger's copy with another
// id in it, so the next one counts again: the responder goes on with Answers until a Data has reached it.
func (l *Link) introduced(newest bool) {
	m := l.mux
	switch s := l.state(); {
	case s == telling && m.kind == Data: // the initiator knows this link's id
		l.phase.Store(uint32(open))
		l.limit.Store(uint32(m.cfg.Size - HeaderSize))
	case m.kind == Answer && (s == asking || s == open && newest):
		l.theirs.Store(uint64(m.said))
		if s == asking {
			l.phase.Store(uint32(open))
			l.aside.Store(nil)
		}
	}
}

// Stalled implements transport.DatagramLink: the size that was found may not be carried any more.
func (l *Link) Stalled() {
	base := uint32(l.mux.cfg.Size - HeaderSize)
	if l.limit.Load() > base {
		l.limit.Store(base)
		l.heard = 0
	}
}
