package skad

import "github.com/carrier-p2p/carrier/internal/wire"

// Route (24) carries a payload towards the node closest to a key, one hop.
//
//	offset size field    meaning                                      checked by
//	0      8    nonce    drawn at random for this hop                 ParseMessage: not 0
//	8      8    route    number of the message, drawn by its origin   Core: not seen before with this copy and as many hops
//	16     32   origin   ID of the origin, claimed                    -
//	48     32   key      where it wants to go                         -
//	80     1    ttl      hops left behind this one                    ParseMessage: below RouteTTL
//	81     1    copy     which copy, from 0                           ParseMessage: below RouteCopyLimit
//	82     n    payload  the rest                                     ParseMessage: at most RoutePayloadLimit

func appendRoute(dst []byte, m *Message) []byte {
	dst = wire.AppendUint64(dst, m.Nonce)
	dst = wire.AppendUint64(dst, m.Route)
	dst = appendID(dst, &m.Origin)
	dst = appendID(dst, &m.Key)
	dst = wire.AppendUint8(dst, m.TTL)
	dst = wire.AppendUint8(dst, m.Copy)
	return append(dst, m.Payload...)
}

func parseRoute(m *Message, b []byte) error {
	const head = 8 + 32 + 32 + 1 + 1
	if len(b) < head {
		return malformed(m.Op, "head cut short at %d bytes", len(b))
	}
	m.Route, _ = wire.ConsumeUint64(b)
	m.Origin, _ = consumeID(b[8:])
	m.Key, _ = consumeID(b[40:])
	m.TTL, m.Copy = b[72], b[73]
	if m.TTL >= RouteTTL || m.Copy >= RouteCopyLimit {
		return malformed(m.Op, "ttl %d, copy %d", m.TTL, m.Copy)
	}
	if len(b)-head > RoutePayloadLimit {
		return malformed(m.Op, "payload of %d bytes, limit %d", len(b)-head, RoutePayloadLimit)
	}
	m.Payload = b[head:len(b):len(b)]
	return nil
}
