package handshake

import (
	"errors"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A state says which message a machine waits for.
//
//	NewInitiator ──▶ awaitReply ──message 2 good──────────────────────────────▶ done
//	NewResponder ──▶ awaitHello ──message 1 good──▶ awaitProof ──message 3 good──▶ done
//	NewProven…   ──▶ awaitStatement ──the other's statement good──▶ done           (proven.go)
//	                 each await... ──anything else (but see Lossy), or the deadline──▶ failed
type state uint8

const (
	awaitHello     state = iota // responder: message 1
	awaitReply                  // initiator: message 2; message 1 is out
	awaitProof                  // responder: message 3; message 2 is out
	awaitStatement              // over a link that has proven the keys: the other side's statement
	done
	failed
	stateCount
)

var allowed = [stateCount][stateCount]bool{
	awaitHello: {awaitProof: true, failed: true},
	awaitReply: {done: true, failed: true},
	awaitProof: {done: true, failed: true},

	awaitStatement: {done: true, failed: true},
}

func (s state) String() string {
	return [...]string{"awaitHello", "awaitReply", "awaitProof", "awaitStatement", "done", "failed"}[s]
}

// A Machine is one handshake, seen from one end. It belongs to one goroutine at a time. It starts nothing and keeps no
// more of a peer's data than the record and parameters that it will report.
//
// Drive it so: pass whole messages to Receive (NextMessage cuts them from a stream), after each call write what Next
// returns, and call Expire at Deadline. The initiator is done as soon as its message 3 is ready to be written; whether the
// responder likes it shows in the first record that opens, or in a closed connection.
type Machine struct {
	c         *Config
	noise     *noise              // nil before the first message, and after the last
	out       []byte              // message to be written, with its length
	result    *Result             // set when the proof was good
	expect    identity.ID         // whom the initiator wants; zero: anyone
	owes      bool                // our statement has still to be made
	initiates bool                // of the two with statements, this is the initiator
	lossy     bool                // see Lossy
	foreign   bool                // the last message did not open
	linked    *identity.PublicKey // over a link that proves keys: the key of its other end. nil: Noise proves
	observed  transport.Addr
	deadline  time.Duration
	state     state
}

// A Result is what a handshake that is done has found out.
type Result struct {
	Remote    *identity.Record // proven; shared if there is a Cache, so never changed
	RemoteRaw []byte           // its bytes, to be handed on
	ID        identity.ID      // of Remote
	Params    Params           // what the peer says of itself
	Send      RecordKey        // for what we write; none over a link that seals by itself, as Recv and Binding
	Recv      RecordKey        // for what the peer writes
	Binding   [32]byte         // hash of the whole handshake: both ends have the same, no other handshake ever will (Noise 11.2)
}

// NewInitiator starts a handshake at engine time now. Message 1 is ready at once: it costs one key, 20 us. The peer
// must prove to be expect, if that is not zero. c is kept.
func NewInitiator(c *Config, now time.Duration, expect identity.ID) (*Machine, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	m := &Machine{c: c, expect: expect, deadline: now + c.timeout(), state: awaitReply}
	tag, err := m.begin(true)
	if err == nil {
		err = m.write(appendHello(nil, tag))
	}
	if err != nil {
		return nil, fmt.Errorf("handshake: message 1: %w", err)
	}
	return m, nil
}

// NewResponder waits for message 1 from engine time now. It computes nothing yet and takes 160 bytes, since whoever opens a
// connection can have one. c is kept.
func NewResponder(c *Config, now time.Duration) (*Machine, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Machine{c: c, deadline: now + c.timeout(), state: awaitHello}, nil
}

// Observe sets the address under which the peer is seen, to be told to it: Params.Observed. It has an effect until our
// record is sent: before the first Receive.
func (m *Machine) Observe(a transport.Addr) { m.observed = a }

// Lossy says that messages come over datagrams, so that anybody may have written one: a message that is not the peer's is an
// error and leaves the handshake where it was. Before the first Receive. Over is then what tells whether an error has ended it.
func (m *Machine) Lossy() { m.lossy = true }

// Hello reports whether msg may be somebody's message 1, in the network of this machine. Whose, it does not say.
func (m *Machine) Hello(msg []byte) bool { return checkHello(msg, networkTag(m.c.prologue())) == nil }

// Over reports whether the handshake is done or has failed.
func (m *Machine) Over() bool { return m.state == done || m.state == failed }

// Receive takes the peer's next message, whole and without its length. Up to 200 us of work, so it runs off the loop
// when there are many. msg is not kept. Any error ends the handshake (but see Lossy): nothing more is taken or written, and
// later calls return ErrState. So does a call on a machine that is done, which stays done.
func (m *Machine) Receive(now time.Duration, msg []byte) error {
	if m.Over() {
		return ErrState
	}
	var before noise
	if m.lossy && m.noise != nil {
		before = *m.noise
		defer before.wipe()
	}
	err := m.receive(now, msg)
	if err != nil && !(m.lossy && m.undo(&before, err)) {
		m.fail()
	}
	return err
}

// undo takes a message back that was not the peer's, and reports whether there was one. before is the Noise state as it was.
func (m *Machine) undo(before *noise, err error) bool {
	switch {
	case errors.Is(err, ErrTimeout):
		return false
	case m.state == awaitHello:
		m.wipe()
		m.out = nil
		return true
	case m.state == awaitReply, m.state == awaitProof && m.foreign: // message 2 may be anybody's who has seen message 1
		*m.noise, m.result = *before, nil
		return true
	}
	return false
}

func (m *Machine) receive(now time.Duration, msg []byte) error {
	if now >= m.deadline {
		return ErrTimeout
	}
	if m.foreign = len(msg) > MessageLimit; m.foreign {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrMessageTooLong, len(msg), MessageLimit)
	}
	switch m.state {
	case awaitHello:
		return m.receiveHello(msg)
	case awaitReply:
		return m.receiveReply(msg)
	case awaitProof:
		return m.receiveProof(msg)
	case awaitStatement:
		return m.receiveStatement(msg)
	}
	invariant.Bug("handshake: bug: receiving in state %v", m.state)
	return nil
}

func (m *Machine) receiveHello(msg []byte) error {
	if err := checkHello(msg, networkTag(m.c.prologue())); err != nil {
		return err
	}
	if _, err := m.begin(false); err != nil {
		return err
	}
	if _, err := m.noise.read(msg); err != nil {
		return err
	}
	if err := m.write(m.appendProof(nil)); err != nil {
		return err
	}
	m.move(awaitProof)
	return nil
}

// receiveReply answers only a responder that has proven itself, so that the initiator's name goes to nobody else.
func (m *Machine) receiveReply(msg []byte) error {
	if err := m.receivePayload(msg); err != nil {
		return err
	}
	if err := m.write(m.appendProof(nil)); err != nil {
		return err
	}
	toResponder, toInitiator := m.noise.split()
	m.finish(toResponder, toInitiator)
	return nil
}

func (m *Machine) receiveProof(msg []byte) error {
	if err := m.receivePayload(msg); err != nil {
		return err
	}
	toResponder, toInitiator := m.noise.split()
	m.finish(toInitiator, toResponder)
	return nil
}

// receivePayload takes a message with the other side's proof.
func (m *Machine) receivePayload(msg []byte) error {
	payload, err := m.noise.read(msg)
	if m.foreign = err != nil; err == nil {
		m.result, err = m.checkProof(payload, m.noise.peerStatic[:])
	}
	return err
}

// Next returns a message to be written, once; with its length, ready for a stream. The slice is the caller's.
func (m *Machine) Next() (wire []byte, ok bool) {
	if m.owes {
		m.owes = false
		return m.statement(), true
	}
	wire, m.out = m.out, nil
	return wire, wire != nil
}

// Done reports whether the peer has proven itself. There may still be a message to write.
func (m *Machine) Done() bool { return m.state == done }

// Result returns what was found out, once Done; before that, the zero Result. The keys count, so one copy of them is used.
func (m *Machine) Result() Result {
	if m.state != done {
		return Result{}
	}
	return *m.result
}

// Deadline returns the engine time at which Expire wants to be called; transport.Never when the handshake is over.
func (m *Machine) Deadline() time.Duration {
	if m.state == done || m.state == failed {
		return transport.Never
	}
	return m.deadline
}

// Expire ends a handshake whose deadline has come, with ErrTimeout. At any other time it does nothing and returns nil.
func (m *Machine) Expire(now time.Duration) error {
	if now < m.Deadline() {
		return nil
	}
	m.fail()
	return ErrTimeout
}

// begin makes the Noise state, and returns the tag of the network.
func (m *Machine) begin(initiator bool) (tag [8]byte, err error) {
	prologue := m.c.prologue()
	m.noise, err = newNoise(initiator, m.c.Identity.StaticKey(), m.c.Identity.StaticPublic(), prologue, m.c.rand())
	return networkTag(prologue), err
}

func (m *Machine) write(payload []byte) error {
	room := lengthSize + 2*keySize + 2*tagSize + len(payload)
	out, err := m.noise.write(make([]byte, lengthSize, room), payload)
	if err != nil {
		return err
	}
	size := len(out) - lengthSize
	if size > MessageLimit {
		invariant.Bug("handshake: bug: wrote a message of %d bytes", size)
	}
	out[0], out[1] = byte(size), byte(size>>8)
	m.out = out
	return nil
}

func (m *Machine) finish(send, recv [keySize]byte) {
	m.result.Send.key = send
	m.result.Recv.key = recv
	m.result.Binding = m.noise.transcript
	m.move(done)
	m.wipe()
}

func (m *Machine) fail() {
	m.move(failed)
	m.out, m.result, m.owes = nil, nil, false
	m.wipe()
}

// wipe clears the private keys that this handshake has copied or made, and what was derived from them.
func (m *Machine) wipe() {
	if m.noise == nil {
		return
	}
	m.noise.wipe()
	m.noise = nil
}

// Format prints the state for every verb, since fmt would follow the pointers to the keys for some.
func (m *Machine) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "handshake(%v)", m.state) }

func (m *Machine) move(to state) {
	if !allowed[m.state][to] {
		invariant.Bug("handshake: bug: %v -> %v", m.state, to)
	}
	m.state = to
}
