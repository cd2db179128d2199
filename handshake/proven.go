package handshake

import (
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Over a link that has itself proven which keys its ends have, and seals what it carries, there is nothing left to agree
// upon. Each side states who it is, the responder first:
//
//	initiator                                responder
//	  ◀──────────────────────── statement    version 1 | network tag 8 | record and parameters, as in message 2
//	  statement ────────────────────────▶
//
// As in the Noise handshake the initiator answers only whom it meant, and the responder decides last.

// NewProvenInitiator waits, from engine time now, for the statement of the responder, whose key the link has proven to be
// remote. The errors are ErrPeerMismatch and ErrSelf, if that is the wrong one, and those of a bad Config.
func NewProvenInitiator(c *Config, now time.Duration, expect identity.ID, remote identity.PublicKey) (*Machine, error) {
	m, err := newProven(c, now, remote)
	if err != nil {
		return nil, err
	}
	m.expect, m.initiates = expect, true
	if err := m.checkID(remote.ID()); err != nil {
		return nil, err
	}
	return m, nil
}

// NewProvenResponder begins with the statement of a responder, to an initiator whose key the link has proven to be remote.
func NewProvenResponder(c *Config, now time.Duration, remote identity.PublicKey) (*Machine, error) {
	m, err := newProven(c, now, remote)
	if err != nil {
		return nil, err
	}
	m.owes = true
	return m, nil
}

func newProven(c *Config, now time.Duration, remote identity.PublicKey) (*Machine, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Machine{c: c, linked: &remote, deadline: now + c.timeout(), state: awaitStatement}, nil
}

// receiveStatement checks who the other side says it is. An initiator then owes the responder the same.
func (m *Machine) receiveStatement(msg []byte) error {
	switch {
	case len(msg) < helloSize:
		return fmt.Errorf("%w: statement of %d bytes", ErrMessage, len(msg))
	case msg[0] != helloVersion:
		return fmt.Errorf("%w: %d", ErrVersion, msg[0])
	case [8]byte(msg[1:helloSize]) != networkTag(m.c.prologue()):
		return ErrNetwork
	}
	var err error
	if m.result, err = m.checkProof(msg[helloSize:], nil); err != nil {
		return err
	}
	m.owes = m.initiates
	m.move(done)
	return nil
}

// statement is what this side says, with its length.
func (m *Machine) statement() []byte {
	out := appendHello(make([]byte, lengthSize, lengthSize+helloSize+proofSizeLimit), networkTag(m.c.prologue()))
	out = m.appendProof(out)
	size := len(out) - lengthSize
	out[0], out[1] = byte(size), byte(size>>8)
	return out
}
