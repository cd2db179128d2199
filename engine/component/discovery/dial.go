package discovery

import (
	"errors"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A dial is a contact that something waits to be sent to. It tries one address of the contact after the other. Owned by
// the home loop.
type dial struct {
	contact *skad.Contact
	addrs   []transport.Addr // those of the contact that are worth a try
	next    int              // of addrs
	beganAt time.Duration
	over    bool
	parcels []parcel
	then    []func(*engine.PeerClient, error) // of Connect
}

// A parcel is a message that waits for a connection.
type parcel struct {
	op       opcode.Opcode
	bytes    []byte
	question bool
}

// errNoAddress: the contact has no address that could be dialled in this scope.
var errNoAddress = errors.New("discovery: this node has no address that can be dialled")

// dialFor has the message in c.room wait for a connection to a contact.
func (c *Component) dialFor(now time.Duration, to *skad.Contact, op opcode.Opcode, question bool) {
	var d *dial
	err := error(ErrBusy)
	if op != opcode.RouteCode || c.parcelled+len(c.room) <= parcelBytes {
		d, err = c.dialTo(now, to)
	}
	if err == nil && len(d.parcels) == parcelLimit {
		err = ErrBusy
	}
	if err != nil {
		c.counts.Unsent++
		if question {
			c.fail(now, to, op == opcode.PingCode, false)
		}
		return
	}
	d.parcels = append(d.parcels, parcel{op, slices.Clone(c.room), question})
	c.parcelled += len(c.room)
	if question {
		c.dialled = append(c.dialled, to)
	}
}

// dialTo returns the dial of a contact, a new one if there is none.
func (c *Component) dialTo(now time.Duration, to *skad.Contact) (*dial, error) {
	d := c.dials[to.ID]
	switch {
	case d != nil:
		return d, nil
	case len(c.dials) >= c.cfg.Dials+dialQueueLimit:
		return nil, ErrBusy
	}
	addrs := c.worthATry(to.Addrs)
	if len(addrs) == 0 {
		return nil, errNoAddress
	}
	d = &dial{contact: to, addrs: addrs, beganAt: now}
	c.dials[to.ID] = d
	if c.dialling < c.cfg.Dials {
		c.dialling++
		c.begin(d)
	} else {
		c.waiting = append(c.waiting, d)
	}
	return d, nil
}

// An addressBook is a component that knows which of a peer's addresses can lead to it from here: component/addressmap.
type addressBook interface {
	engine.ComponentInterface
	Order(addrs []transport.Addr) []transport.Addr
}

// worthATry are the addresses to dial, best first; without an address map those of the record, as they are.
func (c *Component) worthATry(addrs []transport.Addr) []transport.Addr {
	if book, ok := engine.ComponentOf[addressBook](c.net); ok {
		return book.Order(addrs)
	}
	return addrs
}

// begin dials the next address. The overlay fills free places and pushes nobody out.
func (c *Component) begin(d *dial) {
	c.counts.Dials++
	t := engine.Target{Addr: d.addrs[d.next], ID: d.contact.ID.Identity()}
	d.next++
	if err := c.net.DialSpareAsync(t, func(_ *engine.PeerClient, err error) { c.tell(item{kind: dialled, dial: d, err: err}) }); err != nil {
		c.tell(item{kind: dialled, dial: d, err: err})
	}
}

// dialEnded takes the outcome of dialling one address. If it has worked the session is here already, or about to be
// told.
func (c *Component) dialEnded(now time.Duration, d *dial, err error) {
	switch {
	case d.over:
		c.dialFreed()
	case err == nil && c.sessions[d.contact.ID] != nil:
		c.dialDone(d, c.sessions[d.contact.ID])
		c.dialFreed()
	case err != nil && d.next < len(d.addrs) && !noRoom(err):
		c.begin(d)
	default: // nobody there; or there was, and the connection has ended at once
		if err == nil {
			err = engine.ErrClosed
		}
		c.counts.DialsFailed++
		full := noRoom(err)
		if full {
			c.counts.NoRoom++
			c.yield(now)
		}
		waited := c.forget(d)
		for _, f := range d.then {
			f(nil, err)
		}
		if len(waited) > 0 {
			pings := !slices.ContainsFunc(waited, func(x parcel) bool { return x.op != opcode.PingCode })
			c.fail(d.beganAt, d.contact, pings, full)
		}
		c.dialFreed()
	}
}

// noRoom reports whether a dial has ended for want of a place at this node.
func noRoom(err error) bool {
	var limit *engine.LimitError
	return errors.As(err, &limit)
}

// dialDone sends what has waited for a session.
func (c *Component) dialDone(d *dial, s *session) {
	for _, x := range c.forget(d) {
		c.room = append(c.room[:0], x.bytes...)
		c.send(s.usedAt, s, x.op, x.question)
	}
	for _, f := range d.then {
		f(s.peer, nil)
	}
}

// forget takes a dial out, and returns what has waited for it. One that is under way comes back to dialEnded, which then
// lets the next one begin.
func (c *Component) forget(d *dial) []parcel {
	waited := d.parcels
	for _, x := range waited {
		c.parcelled -= len(x.bytes)
	}
	d.over, d.parcels = true, nil
	delete(c.dials, d.contact.ID)
	return waited
}

// dialFreed begins the next dial that waits.
func (c *Component) dialFreed() {
	for len(c.waiting) > 0 {
		d := c.waiting[0]
		c.waiting[0] = nil
		if c.waiting = c.waiting[1:]; len(c.waiting) == 0 {
			c.waiting = nil
		}
		if !d.over {
			c.begin(d)
			return
		}
	}
	c.dialling--
}

// Connect calls then, on the home loop, with the open connection to a contact, dialling it through the overlay's bounded
// dials if there is none; then must not block. Errors that Connect itself returns are ErrBusy and ErrClosed.
func (c *Component) Connect(to *skad.Contact, then func(*engine.PeerClient, error)) error {
	return c.Do(func(now time.Duration, _ *skad.Core) {
		if s := c.sessions[to.ID]; s != nil {
			then(s.peer, nil)
			return
		}
		d, err := c.dialTo(now, to)
		if err != nil {
			then(nil, err)
			return
		}
		d.then = append(d.then, then)
	})
}
