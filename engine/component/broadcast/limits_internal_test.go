package broadcast

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// contact n is one that can be dialled.
func contact(n int, flags identity.Flags) *skad.Contact {
	at := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:4001")}
	return skad.NewContact(identity.Record{PublicKey: identity.PublicKey{byte(n), byte(n >> 8), 1}, Addrs: []transport.Addr{at}, Flags: flags}, skad.Private)
}

// dialler is a component whose dials never end, and what has it send size bytes to contact n.
func dialler() (c *Component, send func(n, size int) error) {
	c = &Component{dials: map[identity.ID]*dial{}}
	c.cfg.Connect = func(*skad.Contact, func(*engine.PeerClient, error)) error { return nil }
	return c, func(n, size int) error {
		c.room = make([]byte, size)
		to := contact(n, 0)
		return c.dial(to, to.ID.Identity(), &spread.Message{Op: opcode.BroadcastCode})
	}
}

// So many messages wait for one dial, so many are dialled at a time, and so many bytes wait for all.
func TestDialsAreBounded(t *testing.T) {
	_, send := dialler()
	for i := range dialMessages + 1 {
		if err := send(0, 10); (i == dialMessages) != errors.Is(err, errDials) || i < dialMessages && err != nil {
			t.Errorf("message %d for one: %v", i, err)
		}
	}
	_, send = dialler()
	for n := range dialsLimit + 1 {
		if err := send(n, 10); (n == dialsLimit) != errors.Is(err, errDials) || n < dialsLimit && err != nil {
			t.Errorf("dial %d: %v", n, err)
		}
	}
	c, send := dialler()
	for c.waiting+spread.PayloadLimit <= dialBytes {
		if err := send(c.waiting/spread.PayloadLimit/dialMessages, spread.PayloadLimit); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(dialsLimit, spread.PayloadLimit); !errors.Is(err, errDials) {
		t.Errorf("%d bytes wait, and more: %v", c.waiting, err)
	}
}

// A dial that fails, or cannot begin, leaves nothing behind, and what waited for it is a failure each.
func TestDialEnds(t *testing.T) {
	c, send := dialler()
	for range 3 {
		if err := send(0, 10); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range c.dials {
		c.dialEnded(&item{kind: dialled, dial: d, err: errNoAddress})
	}
	if len(c.dials) != 0 || c.waiting != 0 || len(c.failed) != 3 || c.counts.unsent != 3 || c.counts.dialsFailed != 1 {
		t.Errorf("%d dials, %d bytes wait, %d failures, counted %+v", len(c.dials), c.waiting, len(c.failed), c.counts)
	}
	nowhere := contact(1, 0)
	nowhere.Addrs = nil
	if err := c.dial(nowhere, nowhere.ID.Identity(), &spread.Message{}); !errors.Is(err, errNoAddress) || len(c.dials) != 0 {
		t.Errorf("nowhere to dial: %v, %d dials", err, len(c.dials))
	}
}

// The queue of an application is full by messages and by bytes, and one that has no room is asked again later and later, but not
// ever later.
func TestDeliveriesAreBounded(t *testing.T) {
	var many, large deliveries
	for range deliverMessages {
		if many.full() {
			t.Fatalf("full with %d messages", many.len())
		}
		many.push(Message{})
	}
	payload := make([]byte, 1<<20)
	for range deliverBytes / len(payload) {
		if large.full() {
			t.Fatalf("full with %d bytes", large.bytes)
		}
		large.push(Message{Payload: payload})
	}
	if !many.full() || !large.full() {
		t.Errorf("full: %v by messages, %v by bytes", many.full(), large.full())
	}
	c := &Component{}
	c.cfg.Deliver = func(Message) bool { return false }
	c.ready.push(Message{})
	now, last := time.Duration(0), time.Duration(0)
	for range 12 {
		c.deliverNext(now)
		if wait := c.ready.at - now; wait < last || wait < deliverAgain || wait > deliverMost {
			t.Errorf("asked again after %v, before that %v", wait, last)
		}
		last, now = c.ready.at-now, c.ready.at
	}
	if last != deliverMost || c.counts.refused != 12 {
		t.Errorf("after %d refusals asked again after %v", c.counts.refused, last)
	}
}

// The table of connected peers holds so many of a bucket, and nobody who only asks.
func TestLinkedIsBounded(t *testing.T) {
	self := contact(0, 0).ID
	l := linked{self: self}
	client := contact(1, identity.FlagClient)
	l.add(client)
	if got := l.Closest(client.ID, 1, nil); len(got) != 0 {
		t.Errorf("a client is in the table: %v", got)
	}
	for n := 1; n < 40*linkedPerBucket; n++ {
		l.add(contact(n, 0))
	}
	if n := len(l.Sharing(0, nil)); n != linkedPerBucket {
		t.Errorf("%d in a bucket, want %d", n, linkedPerBucket)
	}
}
