package spread

import (
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
	"github.com/carrier-p2p/carrier/opcode"
)

// Broadcast (21) carries a message, one hop.
//
//	offset size field      meaning                                   checked by
//	0      1    hop        hops from the origin; 0: without a duty   Parse: at most height+1; Core: 1 from the origin alone
//	1      1    height     common prefix of sender and receiver      Core: exactly that
//	2      16   id         hash of all from offset 90 on, the first  Parse: not 0; Core: not seen before; Verifier: is that
//	                       16 bytes of its BLAKE2b-256
//	18     64   signature  of all 32 bytes of that hash, by origin   Verifier, under the domain of the network
//	82     8    solution   last 8 bytes of the origin's X            Verifier: the puzzles
//	90     32   origin     Ed25519 key                               Verifier: canonical, not of low order
//	122    8    seq        number of the message                     Parse: not 0; Core: above the origin's floor
//	130    n    payload    the rest                                  Parse: at most PayloadLimit
//
// The id travels, though it follows from the rest, so that a duplicate costs a lookup and not a hash: most arrivals are
// duplicates.
const headSize = 1 + 1 + 16 + 64 + 8 + 32 + 8

func appendBroadcast(dst []byte, m *Message) []byte {
	dst = wire.AppendUint8(dst, m.Hop)
	dst = wire.AppendUint8(dst, m.Height)
	dst = append(dst, m.ID[:]...)
	dst = append(dst, m.Signature[:]...)
	dst = append(dst, m.Solution[24:]...)
	return appendNamed(dst, m)
}

// appendNamed appends what the id names.
func appendNamed(dst []byte, m *Message) []byte {
	dst = append(dst, m.Origin[:]...)
	dst = wire.AppendUint64(dst, m.Seq)
	return append(dst, m.Payload...)
}

func parseBroadcast(b []byte) (Message, error) {
	const op = opcode.BroadcastCode
	if len(b) < headSize {
		return Message{}, malformed(op, "head cut short at %d bytes", len(b))
	}
	if len(b)-headSize > PayloadLimit {
		return Message{}, malformed(op, "payload of %d bytes, limit %d", len(b)-headSize, PayloadLimit)
	}
	m := Message{Op: op, Hop: b[0], Height: b[1], ID: MessageID(b[2:18])}
	m.Signature, m.Origin = [64]byte(b[18:82]), identity.PublicKey(b[90:122])
	copy(m.Solution[24:], b[82:90])
	m.Seq, _ = wire.ConsumeUint64(b[122:])
	m.Payload = b[headSize:len(b):len(b)]
	switch {
	case m.ID.IsZero() || m.Seq == 0:
		return Message{}, malformed(op, "id %v, seq %d", m.ID, m.Seq)
	case int(m.Hop) > int(m.Height)+1:
		return Message{}, malformed(op, "hop %d at height %d", m.Hop, m.Height)
	}
	return m, nil
}
