package datagram

import "time"

// sizing is the search for the largest datagram of the path (RFC 8899): a Probe of that size is sent and answered, or not.
// The largest allowed is tried first, as most paths carry it; then the halves.
type sizing struct {
	alarm alarm
	link  *Link
	token uint64
	known int // carried
	size  int // being tried
	below int // not carried, or one above the largest allowed
	tries int
}

// search begins to look for more than what the path is taken to carry.
func (m *Mux) search(l *Link) {
	known := int(l.limit.Load()) + HeaderSize
	if known >= m.cfg.SizeMax {
		return
	}
	z := &l.working().size
	m.alarms.stop(&z.alarm)
	*z = sizing{link: l, known: known, size: m.cfg.SizeMax, below: m.cfg.SizeMax + 1}
	z.alarm.ring = z.again
	z.ask(m.loop.Now())
}

// ask sends the next Probe.
func (z *sizing) ask(now time.Duration) {
	m := z.link.mux
	z.token = m.random()
	m.probe(z.link, z.link.path(), z.token, z.size)
	m.alarms.set(&z.alarm, now+sizeEvery)
}

// again: no answer has come in time.
func (z *sizing) again(now time.Duration) {
	if z.tries++; z.tries < sizeTries {
		z.ask(now)
		return
	}
	z.below = z.size
	z.next(now)
}

// arrived: the size is carried.
func (z *sizing) arrived(now time.Duration) {
	z.known = z.size
	z.link.limit.Store(uint32(z.size - HeaderSize))
	z.next(now)
}

// next tries another size, or ends the search.
func (z *sizing) next(now time.Duration) {
	m := z.link.mux
	m.alarms.stop(&z.alarm)
	if z.below-z.known <= sizeStep {
		z.link.rest()
		return
	}
	z.size, z.tries = (z.known+z.below)/2, 0
	z.ask(now)
}
