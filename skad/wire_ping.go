package skad

import "github.com/carrier-p2p/carrier/internal/wire"

// Ping (10) asks whether the other side is alive, Pong (11) says so. The answer to a Ping is its payload, unchanged.
//
//	offset size field   meaning                         checked by
//	0      8    nonce   drawn at random by the asker    ParseMessage: not 0; Core: an open question to this peer

func appendPing(dst []byte, m *Message) []byte { return wire.AppendUint64(dst, m.Nonce) }

func parsePing(m *Message, b []byte) error {
	if len(b) != 0 {
		return malformed(m.Op, "%d bytes too many", len(b))
	}
	return nil
}
