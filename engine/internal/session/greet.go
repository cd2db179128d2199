package session

import (
	"github.com/carrier-p2p/carrier/handshake"
)

// greetLimit bounds what is kept of a connection that has not proven itself: one handshake message (4 KiB and its
// length), and behind it the first record, in which the other side grants credit.
const greetLimit = 6 << 10

// A Greeter cuts the handshake messages out of a connection's first bytes. The zero value is ready; it belongs to the
// peer's loop.
type Greeter struct {
	held []byte
}

// Keep adds what arrived. It fails with handshake.ErrMessageTooLong when the other side sends more than a handshake
// needs: then the connection is to be closed.
func (g *Greeter) Keep(b []byte) error {
	if len(g.held)+len(b) > greetLimit {
		return handshake.ErrMessageTooLong
	}
	g.held = append(g.held, b...)
	return nil
}

// Next returns the next whole handshake message, without its length, or false if there is none yet. The message is good
// until the next call of Keep.
func (g *Greeter) Next() (msg []byte, ok bool, err error) {
	msg, n, err := handshake.NextMessage(g.held)
	if err != nil || n == 0 {
		return nil, false, err
	}
	g.held = g.held[n:]
	return msg, true, nil
}

// Rest returns what came behind the last handshake message: the beginning of the records.
func (g *Greeter) Rest() []byte { return g.held }
