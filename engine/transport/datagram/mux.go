package datagram

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

var (
	// ErrFull is what a stranger is refused with when the loop has no number left for it.
	ErrFull = errors.New("datagram: no room for another link")

	// ErrSilent ends a dial that nobody has answered.
	ErrSilent = errors.New("datagram: no answer")

	// ErrUnsupported is returned for addresses that are not UDP addresses with an IP.
	ErrUnsupported = errors.New("datagram: not a UDP address")

	// ErrConfig is wrapped by every error of Config.Validate.
	ErrConfig = errors.New("datagram: bad configuration")
)

// A Carrier sends what a Mux has to say.
type Carrier interface {
	// Send sends a datagram, header and body, from a socket to an address, and keeps nothing of body. It reports false
	// when there is no room: then Mux.Room is called on the loop once there is. What cannot be sent for any other reason is
	// lost, as datagrams are. Any goroutine.
	Send(socket int, to netip.AddrPort, k Kind, id ID, body []byte) bool

	// Socket returns the number of the socket from which that address can be reached. On the loop.
	Socket(to netip.AddrPort) (int, error)

	// Local returns what a socket is bound to. Any goroutine.
	Local(socket int) netip.AddrPort

	// Wake asks that Advance be called soon. Any goroutine.
	Wake()
}

// A Config says how a Mux treats paths. Its zero value means the written defaults.
type Config struct {
	// Size is the UDP payload in bytes that every path is taken to carry. 0 means BaseSize. More is for networks whose paths
	// are known: what does not get through is lost without a word.
	Size int

	// SizeMax is the size up to which links look for more. 0 means DefaultSize, or Size if that is more; equal to Size: they
	// do not look.
	SizeMax int
}

// WithDefaults fills in the defaults, or reports every problem at once.
func (c Config) WithDefaults() (Config, error) {
	if c.Size == 0 {
		c.Size = BaseSize
	}
	if c.SizeMax == 0 {
		c.SizeMax = max(DefaultSize, c.Size)
	}
	var problems []error
	if c.Size < BaseSize || c.Size > SizeLimit {
		problems = append(problems, fmt.Errorf("%w: Size is %d, must be %d to %d", ErrConfig, c.Size, BaseSize, SizeLimit))
	}
	if c.SizeMax < c.Size || c.SizeMax > SizeLimit {
		problems = append(problems, fmt.Errorf("%w: SizeMax is %d, must be Size (%d) to %d", ErrConfig, c.SizeMax, c.Size, SizeLimit))
	}
	return c, errors.Join(problems...)
}

// Counts count what a Mux has dropped and done. They may be read by any goroutine.
type Counts struct {
	Overrun   atomic.Int64 // strangers' first words, not answered since the loop was behind, or had handed out as many cookies as it may
	Malformed atomic.Int64 // too short, of an unknown kind, or empty
	Unknown   atomic.Int64 // for an id nobody has
	Strangers atomic.Int64 // from an address that had not been heard of, before anything authentic came
	Cookies   atomic.Int64 // handed out
	BadCookie atomic.Int64 // refused: made up, too old, or another address's
	Replayed  atomic.Int64 // cookies that had opened a link which has moved on
	Moved     atomic.Int64 // links that followed their peer to another address
	Stayed    atomic.Int64 // links that were shown another address and did not
}

// A Tally is Counts at one moment.
type Tally struct {
	Overrun, Malformed, Unknown, Strangers, Cookies, BadCookie, Replayed, Moved, Stayed int64
}

// Read returns what has been counted. Any goroutine.
func (c *Counts) Read() Tally {
	return Tally{
		Overrun: c.Overrun.Load(), Malformed: c.Malformed.Load(), Unknown: c.Unknown.Load(), Strangers: c.Strangers.Load(),
		Cookies: c.Cookies.Load(), BadCookie: c.BadCookie.Load(), Replayed: c.Replayed.Load(), Moved: c.Moved.Load(), Stayed: c.Stayed.Load(),
	}
}

// A Mux is all links of one loop. Write, Close and Dial may be called from any goroutine, the rest on the loop.
type Mux struct {
	loop    transport.Loop // fixed, as all down to Counts
	sink    transport.Sink
	carrier Carrier
	cfg     Config
	Counts  *Counts

	// The loop's.
	dice    *bufio.Reader
	baker   *baker
	slots   []*Link
	free    []uint32
	used    usedCookies
	alarms  alarms
	overrun bool           // see Overrun
	cookies time.Duration  // until when cookies have been handed out, at one about every cookieEvery
	current *Link          // whose datagram is being handed over
	from    netip.AddrPort // where it came from
	kind    Kind           // Open, Answer or Data
	said    ID             // the sender's own id, if it is an Answer

	mu      sync.Mutex // guards what follows
	dials   []*dial
	closing []*Link
	full    []*Link // found no room
	stopped bool
}

// New makes a Mux for one loop. cfg is complete (Config.WithDefaults); secret and counts are shared by the loops of a
// transport; random is read on the loop only.
func New(loop transport.Loop, sink transport.Sink, carrier Carrier, cfg Config, secret *Secret, counts *Counts, random io.Reader) *Mux {
	return &Mux{loop: loop, sink: sink, carrier: carrier, cfg: cfg, baker: newBaker(secret), Counts: counts, dice: bufio.NewReaderSize(random, 512)}
}

// random draws 64 bits.
func (m *Mux) random() uint64 {
	var b [8]byte
	if _, err := io.ReadFull(m.dice, b[:]); err != nil {
		invariant.Bug("datagram: bug: no randomness: %v", err)
	}
	return binary.LittleEndian.Uint64(b[:])
}

// Receive takes one datagram. b may be overwritten. If the datagram is for another loop of the transport it does nothing
// and returns that loop's number, which may be out of range; else -1.
func (m *Mux) Receive(now time.Duration, socket int, from netip.AddrPort, b []byte) (elsewhere int) {
	k, to, ok := ParseHeader(b)
	switch {
	case !ok:
		m.Counts.Malformed.Add(1)
		return -1
	case k == Knock:
		m.knocked(now, socket, from, b)
		return -1
	case k == Open:
		m.asked(now, socket, from, b)
		return -1
	case to.Loop() != m.loop.Index():
		return to.Loop()
	}
	l := m.find(to)
	if l == nil {
		m.Counts.Unknown.Add(1)
		return -1
	}
	switch k {
	case Data:
		l.heardData(from, b[HeaderSize:])
	case Answer:
		l.answered(from, b)
	case Cookie:
		l.cookie(now, from, b)
	case Probe:
		if l.trusted && l.reaches(from) { // by the link's own socket: whoever has handed this on may count others
			m.carrier.Send(int(l.socket), from, Probed, l.remoteID(), b[HeaderSize:probeSize])
		}
	case Probed:
		l.probed(now, from, binary.LittleEndian.Uint64(b[HeaderSize:]))
	}
	return -1
}

// Overrun says whether the loop is behind with its datagrams. While it is, the Mux has no time for those who knock: whoever is
// let in has to be read as well, and those who are come first. They knock again, a moment later.
func (m *Mux) Overrun(is bool) { m.overrun = is }

// knocked answers a stranger and forgets it.
func (m *Mux) knocked(now time.Duration, socket int, from netip.AddrPort, b []byte) {
	if b[HeaderSize+idSize] != version {
		m.Counts.Malformed.Add(1)
		return
	}
	m.cookies = max(m.cookies, now)
	if m.overrun || m.cookies-now >= time.Duration(cookieBurst)*cookieEvery {
		m.Counts.Overrun.Add(1)
		return
	}
	id := ID(binary.LittleEndian.Uint64(b[HeaderSize:]))
	m.Counts.Cookies.Add(1)
	m.carrier.Send(socket, from, Cookie, id, m.baker.bake(now, from, id))
	m.cookies += m.baker.about(cookieEvery)
}

// asked makes a link of a stranger that has shown its cookie, or finds the one made before.
func (m *Mux) asked(now time.Duration, socket int, from netip.AddrPort, b []byte) {
	theirs := ID(binary.LittleEndian.Uint64(b[HeaderSize:]))
	c := cookie(b[HeaderSize+idSize:])
	if id, used := m.used.find(now, c); used {
		l := m.find(id)
		if l == nil || l.state() != telling || l.remote != from {
			m.Counts.Replayed.Add(1)
			return
		}
		m.deliver(l, from, Open, theirs, b[openHead:])
		return
	}
	if !m.baker.check(now, from, theirs, c) {
		m.Counts.BadCookie.Add(1)
		return
	}
	l := m.newLink(from, socket, telling)
	if l == nil {
		m.sink.Refused(transport.Addr{Proto: transport.UDP, AddrPort: from}, ErrFull)
		return
	}
	m.used.add(now, c, l.id)
	l.theirs.Store(uint64(theirs))
	l.limit.Store(uint32(m.cfg.Size - answerHead)) // as long as it writes Answers
	m.sink.Opened(l, nil)
	m.deliver(l, from, Open, theirs, b[openHead:])
}

// deliver hands a payload to the sink.
func (m *Mux) deliver(l *Link, from netip.AddrPort, k Kind, said ID, payload []byte) {
	if len(payload) == 0 {
		m.Counts.Malformed.Add(1)
		return
	}
	if l.shut.Load() {
		return
	}
	m.current, m.from, m.kind, m.said = l, from, k, said
	m.sink.Bytes(l, payload)
	m.current = nil
}

// find returns the link with an id of this loop.
func (m *Mux) find(id ID) *Link {
	if at := id.slot(); at < len(m.slots) {
		if l := m.slots[at]; l != nil && l.id == id {
			return l
		}
	}
	return nil
}

// newLink makes a link with an id of its own, nil if there are no more.
func (m *Mux) newLink(remote netip.AddrPort, socket int, s state) *Link {
	var at uint32
	if last := len(m.free) - 1; last >= 0 {
		at, m.free = m.free[last], m.free[:last]
	} else if len(m.slots) < LinkLimit {
		at = uint32(len(m.slots))
		m.slots = append(m.slots, nil)
	} else {
		return nil
	}
	l := &Link{mux: m, id: makeID(m.loop.Index(), at, uint32(m.random())), remote: remote, socket: uint8(socket)}
	l.phase.Store(uint32(s))
	l.limit.Store(uint32(m.cfg.Size - HeaderSize))
	m.slots[at] = l
	return l
}

// release gives the link's number back.
func (m *Mux) release(l *Link) {
	if b := l.busy; b != nil {
		m.alarms.stop(&b.dial.alarm)
		m.alarms.stop(&b.move.alarm)
		m.alarms.stop(&b.size.alarm)
		l.busy = nil
	}
	l.phase.Store(uint32(closed))
	m.slots[l.id.slot()] = nil
	m.free = append(m.free, uint32(l.id.slot()))
}

// Links is how many links there are. On the loop.
func (m *Mux) Links() int { return len(m.slots) - len(m.free) }

// Advance does what is due: dials and closes that were asked for, and alarms.
func (m *Mux) Advance(now time.Duration) {
	m.mu.Lock()
	dials, closing := m.dials, m.closing
	m.dials, m.closing = nil, nil
	m.mu.Unlock()
	for _, d := range dials {
		d.begin(m, now)
	}
	for _, l := range closing {
		m.end(l)
	}
	for a := m.alarms.due(now); a != nil; a = m.alarms.due(now) {
		a.ring(now)
	}
}

// Next is when Advance has to be called again; transport.Never if only Wake will say so.
func (m *Mux) Next() time.Duration { return m.alarms.next() }

// Room says that the carrier can send again.
func (m *Mux) Room() {
	m.mu.Lock()
	full := m.full
	m.full = nil
	m.mu.Unlock()
	for _, l := range full {
		if l.state() != closed && !l.shut.Load() {
			m.sink.Writable(l)
		}
	}
}

// end tells the sink that a link is closed.
func (m *Mux) end(l *Link) {
	if l.state() == closed {
		return
	}
	if l.state() != knocking {
		m.sink.Closed(l, nil)
	}
	m.release(l)
}

// Stop ends every dial with transport.ErrClosed and every link with Closed.
func (m *Mux) Stop() {
	m.mu.Lock()
	m.stopped = true
	dials := m.dials
	m.dials, m.closing, m.full = nil, nil, nil
	m.mu.Unlock()
	for _, d := range dials {
		d.fail(m, transport.ErrClosed)
	}
	for _, l := range m.slots {
		if l == nil {
			continue
		}
		l.shut.Store(true)
		if l.state() == knocking {
			l.busy.dial.request.fail(m, transport.ErrClosed)
			m.release(l)
			continue
		}
		m.end(l)
	}
}
