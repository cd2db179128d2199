package skad

import "github.com/carrier-p2p/carrier/internal/wire"

// LookupNodeResponse (13) carries the contacts that its sender knows closest to the key, never itself, the asker or a
// client.
//
//	offset size field    meaning                          checked by
//	0      8    nonce    of the request                   ParseMessage: not 0; Core: an open question to this peer
//	8      1    count    how many records follow          ParseMessage: at most ReplyLimit; Core: at most what was asked for
//	9      2    length   of the record (per record)       ParseMessage: at most identity.RecordSizeLimit
//	11     n    record   see package identity             ParseMessage: well-formed; Core: genuine, before it is used

func appendLookupResponse(dst []byte, m *Message) []byte {
	dst = wire.AppendUint64(dst, m.Nonce)
	dst = wire.AppendUint8(dst, uint8(len(m.Contacts)))
	for _, c := range m.Contacts {
		dst = appendContact(dst, c)
	}
	return dst
}

func parseLookupResponse(m *Message, b []byte, scope Scope) error {
	count, n := wire.ConsumeUint8(b)
	if n < 0 {
		return malformed(m.Op, "no count")
	}
	b = b[n:]
	if count > ReplyLimit {
		return malformed(m.Op, "%d records, limit %d", count, ReplyLimit)
	}
	if len(b) > replySizeLimit {
		return malformed(m.Op, "%d bytes of records, limit %d", len(b), replySizeLimit)
	}
	if count > 0 && len(b) >= int(count)*recordSizeLeast { // what is too short to hold them gets no memory
		m.Contacts = make([]*Contact, 0, count)
	}
	for range count {
		c, n, err := consumeContact(m.Op, b, scope)
		if err != nil {
			return err
		}
		m.Contacts, b = append(m.Contacts, c), b[n:]
	}
	if len(b) != 0 {
		return malformed(m.Op, "%d bytes too many", len(b))
	}
	return nil
}
