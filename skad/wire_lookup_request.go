package skad

import "github.com/carrier-p2p/carrier/internal/wire"

// LookupNodeRequest (12) asks for the contacts closest to a key.
//
//	offset size field   meaning                                       checked by
//	0      8    nonce   drawn at random by the asker                  ParseMessage: not 0
//	8      1    count   most contacts wanted                          ParseMessage: 1 to ReplyLimit
//	9      32   key     most significant byte first                   -
//	41     2 n  known   fingerprints of records the asker has, known.go   ParseMessage: rising, at most FingerprintLimit

func appendLookupRequest(dst []byte, m *Message) []byte {
	dst = wire.AppendUint64(dst, m.Nonce)
	dst = wire.AppendUint8(dst, m.Count)
	return append(appendID(dst, &m.Key), m.Payload...)
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
	if n < 0 {
		return malformed(m.Op, "%d bytes where the key belongs", len(b))
	}
	if b = b[n:]; !checkKnown(b) {
		return malformed(m.Op, "%d bytes that are no rising fingerprints, limit %d", len(b), 2*FingerprintLimit)
	}
	m.Count, m.Key = count, key
	if len(b) > 0 {
		m.Payload = b
	}
	return nil
}
