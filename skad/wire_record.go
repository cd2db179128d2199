package skad

// Record (26) asks for the node record of its receiver, answers that, or pushes a new record of its sender.
//
//	offset size field    meaning                                              checked by
//	0      8    nonce    of the question; 0: a push, nobody has asked         ParseMessage: not 0 where the record is missing
//	8      2    length   of the record; absent in a question                  ParseMessage: at most identity.RecordSizeLimit
//	10     n    record   see package identity                                 ParseMessage: well-formed; Core: the sender's, genuine

func appendRecord(dst []byte, m *Message) []byte {
	dst = appendPing(dst, m)
	if len(m.Contacts) > 0 {
		dst = appendContact(dst, m.Contacts[0])
	}
	return dst
}

func parseRecord(m *Message, b []byte, scope Scope) error {
	if len(b) == 0 {
		if m.Nonce == 0 {
			return malformed(m.Op, "a question with nonce 0")
		}
		return nil
	}
	c, n, err := consumeContact(m.Op, b, scope)
	if err != nil {
		return err
	}
	if n != len(b) {
		return malformed(m.Op, "%d bytes too many", len(b)-n)
	}
	m.Contacts = []*Contact{c}
	return nil
}
