package datagram

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// moving is the question whether a peer is at another address now. Both addresses are asked, with a token each:
//
//	new answers, old does not    the link moves
//	old answers                  the peer is where it was, and somebody copies its datagrams
//	neither                      nothing was shown
type moving struct {
	alarm    alarm
	to       netip.AddrPort
	toToken  uint64
	oldToken uint64
	tries    int
	answered bool // by the new address
}

// suspect begins to ask, unless it is asking already. The answer decides, not who asks first, so a stranger that keeps
// showing addresses delays a move by 800 ms at a time and prevents none: the next newest datagram is the peer's again.
func (m *Mux) suspect(l *Link, from netip.AddrPort) {
	v := &l.working().move
	if v.alarm.place > 0 {
		return
	}
	*v = moving{to: from, toToken: m.random(), oldToken: m.random()}
	v.alarm.ring = func(now time.Duration) { m.probeMove(l, now) }
	m.probeMove(l, m.loop.Now())
}

// probeMove asks both addresses, or decides.
func (m *Mux) probeMove(l *Link, now time.Duration) {
	v := &l.busy.move
	if v.tries++; v.tries > probeTries {
		if v.answered {
			l.move(v.to)
		} else {
			m.Counts.Stayed.Add(1)
		}
		l.rest()
		return
	}
	if !v.answered {
		m.probe(l, v.to, v.toToken, probeSize)
	}
	m.probe(l, l.path(), v.oldToken, probeSize)
	m.alarms.set(&v.alarm, now+probeEvery)
}

// move makes an address the link's own. Nothing is known of the size of the path to there.
func (l *Link) move(to netip.AddrPort) {
	l.aside.Store(&aside{moved: to})
	l.limit.Store(uint32(l.mux.cfg.Size - HeaderSize))
	l.heard = 0
	l.mux.alarms.stop(&l.busy.size.alarm)
	l.mux.Counts.Moved.Add(1)
}

// probe sends a Probe of size bytes.
func (m *Mux) probe(l *Link, to netip.AddrPort, token uint64, size int) {
	body := make([]byte, size-HeaderSize)
	binary.LittleEndian.PutUint64(body, token)
	m.carrier.Send(int(l.socket), to, Probe, l.remoteID(), body)
}

// probed takes an answer to a Probe.
func (l *Link) probed(now time.Duration, from netip.AddrPort, token uint64) {
	b := l.busy
	if b == nil {
		return // late
	}
	if v := &b.move; v.alarm.place > 0 {
		switch {
		case from == v.to && token == v.toToken:
			v.answered = true
			return
		case from == l.path() && token == v.oldToken:
			l.mux.alarms.stop(&v.alarm)
			l.mux.Counts.Stayed.Add(1)
			l.rest()
			return
		}
	}
	if z := &b.size; z.alarm.place > 0 && from == l.path() && token == z.token {
		z.arrived(now)
	}
}
