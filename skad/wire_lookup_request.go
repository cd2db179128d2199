package skad

import "github.com/carrier-p2p/carrier/framing/wire"

// LookupNodeRequest (12) asks for the contacts closest to a key.
//
//	offset size field   meaning                         checked by
//	0      8    nonce   drawn at random by the asker    ParseMessage: not 0
//	8      1    count   most contacts wanted            ParseMessage: 1 to ReplyLimit
//	9      32   key     most significant byte first     -

func appendLookupRequest(dst []byte, m *Message) []byte {
	dst = wire.AppendUint64(dst, m.Nonce)
	dst = wire.AppendUint8(dst, m.Count)
	return appendID(dst, &m.Key)
}

func parseLookupRequest(m *Message, b []byte) error {
	count, n := wire.ConsumeUint8(b)
	if n < 0 {
		return malformed(m.Op, "no count")
	}
	if count == 0 || count > ReplyLimit {
		return malformed(m.Op, "%d contacts wanted, limit %d", count, ReplyLimit)
	}
	b = b[n:]
	key, n := consumeID(b)
	if n != len(b) {
		return malformed(m.Op, "%d bytes where the key belongs", len(b))
	}
	m.Count, m.Key = count, key
	return nil
}
