package skad

import "github.com/carrier-p2p/carrier/internal/wire"

// RouteAck (25) answers a Route, hop by hop: the next node has taken the message over, or will not.
//
//	offset size field    meaning                       checked by
//	0      8    nonce    of the Route                  ParseMessage: not 0; Core: an open question to this peer
//	8      1    verdict  0: taken over, 1: refused     ParseMessage: 0 or 1

func appendRouteAck(dst []byte, m *Message) []byte {
	dst = wire.AppendUint64(dst, m.Nonce)
	verdict := uint8(0)
	if m.Refused {
		verdict = 1
	}
	return wire.AppendUint8(dst, verdict)
}

func parseRouteAck(m *Message, b []byte) error {
	if len(b) != 1 || b[0] > 1 {
		return malformed(m.Op, "not one verdict: % x", b[:min(len(b), 8)])
	}
	m.Refused = b[0] == 1
	return nil
}
