package broadcast

import (
	"errors"
	"slices"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// A dial is a contact that is being dialled, with what waits for it. It belongs to the home loop.
type dial struct {
	to      *skad.Contact
	waiting []parcel
}

// A parcel is an encoded message.
type parcel struct {
	op      opcode.Opcode
	id      spread.MessageID
	payload []byte
}

// send sends a message to a contact, which is dialled first if need be. What cannot go out is a failure.
func (c *Component) send(to *skad.Contact, m *spread.Message) {
	id := to.ID.Identity()
	c.room = m.Append(c.room[:0])
	p, ok := c.net.ConnMgr().Peer(id)
	if ok {
		if err := p.TrySendRaw(m.Op, c.room); err == nil {
			return
		} else if !errors.Is(err, engine.ErrClosed) {
			c.counts.unsent++
			c.fail(to, m.ID)
			return
		}
	}
	if err := c.dial(to, id, m); err != nil {
		c.counts.unsent++
		c.fail(to, m.ID)
	}
}

func (c *Component) fail(to *skad.Contact, id spread.MessageID) {
	c.failed = append(c.failed, failure{to, id})
}

// errDials says that no more contacts can be dialled, or no more be kept for them.
var errDials = errors.New("broadcast: too many dials")

// errNoAddress says that a contact names none that may be dialled.
var errNoAddress = errors.New("broadcast: a contact without an address")

// dial has the encoded message wait for a connection.
func (c *Component) dial(to *skad.Contact, id identity.ID, m *spread.Message) error {
	d := c.dials[id]
	if c.waiting+len(c.room) > dialBytes || d == nil && len(c.dials) == dialsLimit || d != nil && len(d.waiting) == dialMessages {
		return errDials
	}
	if d == nil {
		d = &dial{to: to}
		c.dials[id] = d
		if err := c.reach(d); err != nil {
			delete(c.dials, id)
			return err
		}
	}
	d.waiting = append(d.waiting, parcel{m.Op, m.ID, slices.Clone(c.room)})
	c.waiting += len(c.room)
	return nil
}

// reach connects to the contact: by Config.Connect, or at whichever of its addresses leads to it.
func (c *Component) reach(d *dial) error {
	ended := func(p *engine.PeerClient, err error) {
		c.inbox.put(item{kind: dialled, peer: p, dial: d, err: err})
		c.task.Wake()
	}
	if len(d.to.Addrs) == 0 {
		return errNoAddress
	}
	c.counts.dials++
	if c.cfg.Connect != nil {
		return c.cfg.Connect(d.to, ended)
	}
	return c.net.DialNodeAsync(d.to.ID.Identity(), d.to.Addrs, ended)
}

// dialEnded sends what has waited, or gives it up.
func (c *Component) dialEnded(i *item) {
	d := i.dial
	if i.err != nil {
		c.counts.dialsFailed++
	}
	delete(c.dials, d.to.ID.Identity())
	for _, w := range d.waiting {
		c.waiting -= len(w.payload)
		if i.err != nil || i.peer.TrySendRaw(w.op, w.payload) != nil {
			c.counts.unsent++
			c.fail(d.to, w.id)
		}
	}
}
