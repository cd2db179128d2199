package datagram

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A dial is one Dial until its outcome: exactly one of Sink.Opened, Sink.DialFailed.
type dial struct {
	ctx  context.Context
	to   transport.Addr
	tag  any
	link *Link // while it knocks
}

// dialing is the part of a dial that the link keeps, until something authentic has come.
type dialing struct {
	alarm   alarm
	request *dial // nil: the link has something authentic, or was never dialled
	tries   int
	knocked bool // a Knock is out, and its Cookie has not come
}

// Dial connects in the background: Sink.Opened or Sink.DialFailed follows with tag. It reports false when the Mux is stopped;
// then nothing follows. ctx is looked at whenever a Knock is sent again. Any goroutine.
func (m *Mux) Dial(ctx context.Context, to transport.Addr, tag any) bool {
	m.mu.Lock()
	if m.stopped {
		m.mu.Unlock()
		return false
	}
	m.dials = append(m.dials, &dial{ctx: ctx, to: to, tag: tag})
	m.mu.Unlock()
	m.carrier.Wake()
	return true
}

func (d *dial) fail(m *Mux, err error) {
	m.sink.DialFailed(d.tag, err)
}

// begin knocks for the first time.
func (d *dial) begin(m *Mux, now time.Duration) {
	to := d.to.AddrPort
	if d.to.Proto != transport.UDP || !to.IsValid() || to.Port() == 0 {
		d.fail(m, ErrUnsupported)
		return
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if err := d.ctx.Err(); err != nil {
		d.fail(m, err)
		return
	}
	socket, err := m.carrier.Socket(to)
	if err != nil {
		d.fail(m, err)
		return
	}
	l := m.newLink(to, socket, knocking)
	if l == nil {
		d.fail(m, ErrFull)
		return
	}
	l.theirs.Store(m.random()) // the same for every Knock and Open, so that one loop of the other side gets them all
	d.link = l
	k := &l.working().dial
	k.request = d
	k.alarm.ring = func(now time.Duration) { d.knock(m, now) }
	d.knock(m, now)
}

// knock asks for a cookie, or gives up.
func (d *dial) knock(m *Mux, now time.Duration) {
	l := d.link
	k := &l.busy.dial
	err := d.ctx.Err()
	if k.tries++; err == nil && k.tries > knockTries {
		err = ErrSilent
	}
	if err != nil {
		m.release(l)
		d.fail(m, err)
		return
	}
	l.sendKnock()
	m.alarms.set(&k.alarm, now+knockEvery)
}

func (l *Link) sendKnock() {
	var body [BaseSize - HeaderSize]byte
	binary.LittleEndian.PutUint64(body[:], uint64(l.id))
	body[idSize] = version
	l.busy.dial.knocked = true
	l.mux.carrier.Send(int(l.socket), l.remote, Knock, l.remoteID(), body[:])
}

// cookie takes the answer to a Knock. The first one to each counts, as each cookie opens a link of its own.
func (l *Link) cookie(now time.Duration, from netip.AddrPort, b []byte) {
	if from != l.remote || l.busy == nil || !l.busy.dial.knocked {
		l.mux.Counts.Strangers.Add(1)
		return
	}
	m := l.mux
	k := &l.busy.dial
	k.knocked = false
	if l.state() == asking {
		l.aside.Store(&aside{cookies: append(slices.Clone(l.aside.Load().cookies), cookie(b[HeaderSize:]))})
		return
	}
	m.alarms.stop(&k.alarm)
	d := k.request
	if err := d.ctx.Err(); err != nil {
		m.release(l)
		d.fail(m, err)
		return
	}
	l.aside.Store(&aside{cookies: []cookie{cookie(b[HeaderSize:])}})
	l.phase.Store(uint32(asking))
	k.alarm.ring = l.knockAgain
	m.alarms.set(&k.alarm, now+cookieAfter)
	m.sink.Opened(l, d.tag)
}

// knockAgain: there has been a Cookie, and nothing authentic since. Somebody may have made it up who saw the Knock.
func (l *Link) knockAgain(now time.Duration) {
	if len(l.aside.Load().cookies) < cookieLimit {
		l.sendKnock()
		l.mux.alarms.set(&l.busy.dial.alarm, now+cookieAfter)
	}
}
