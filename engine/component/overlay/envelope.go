package overlay

import (
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
	"github.com/carrier-p2p/carrier/skad"
)

// An envelope is the payload of a routed message.
//
//	offset size field      meaning                                        checked by
//	0      1    kind       1: for whoever is closest, 2: for the node     parse: one of these
//	                       that is the key, 3: receipt of such a one
//	1      32   origin     Ed25519 key                                    verify: canonical, not of low order
//	33     8    solution   last 8 bytes of the origin's X                 verify: the puzzles
//	41     8    number     of the message; of the one received            parse: not 0
//	49     64   signature  by origin, of kind | key | number | payload    verify, under the domain of the network
//	113    n    payload    the rest; none in a receipt                    parse: at most PayloadLimit
type envelope struct {
	kind      kind
	origin    identity.PublicKey
	solution  [32]byte // only the last 8 bytes travel
	number    uint64
	signature [64]byte
	payload   []byte // aliases what was parsed
}

type kind uint8

const (
	toClosest kind = 1 + iota
	toNode
	receipt
)

const envelopeSize = 1 + 32 + 8 + 8 + 64

// PayloadLimit is the largest payload in bytes.
const PayloadLimit = skad.RoutePayloadLimit - envelopeSize

// domainPrefix separates these signatures from every other use of a node's key, the network's name behind it one network
// from another.
const domainPrefix = "carrier/1 routed "

var errEnvelope = errors.New("overlay: not an envelope")

func (e *envelope) append(dst []byte) []byte {
	dst = append(dst, byte(e.kind))
	dst = append(dst, e.origin[:]...)
	dst = append(dst, e.solution[24:]...)
	dst = wire.AppendUint64(dst, e.number)
	dst = append(dst, e.signature[:]...)
	return append(dst, e.payload...)
}

// parse reads what append wrote, and nothing else.
func parse(b []byte) (envelope, error) {
	if len(b) < envelopeSize || len(b) > skad.RoutePayloadLimit {
		return envelope{}, fmt.Errorf("%w: %d bytes", errEnvelope, len(b))
	}
	e := envelope{kind: kind(b[0]), origin: identity.PublicKey(b[1:33]), signature: [64]byte(b[49:113])}
	copy(e.solution[24:], b[33:41])
	e.number, _ = wire.ConsumeUint64(b[41:])
	e.payload = b[envelopeSize:len(b):len(b)]
	switch {
	case e.kind < toClosest || e.kind > receipt:
		return envelope{}, fmt.Errorf("%w: kind %d", errEnvelope, e.kind)
	case e.number == 0:
		return envelope{}, fmt.Errorf("%w: number 0", errEnvelope)
	case e.kind == receipt && len(e.payload) > 0:
		return envelope{}, fmt.Errorf("%w: a receipt of %d bytes", errEnvelope, len(b))
	}
	return e, nil
}

// appendSigned appends what is signed: the key is in the message around the envelope.
func (e *envelope) appendSigned(dst []byte, key skad.ID) []byte {
	id := key.Identity()
	dst = append(dst, byte(e.kind))
	dst = append(dst, id[:]...)
	dst = wire.AppendUint64(dst, e.number)
	return append(dst, e.payload...)
}

// verify checks the origin's work and its signature, in the order of their cost.
func (e *envelope) verify(p identity.Puzzle, domain string, key skad.ID, room []byte) error {
	if err := p.Check(e.origin, e.solution); err != nil {
		return err
	}
	if !e.origin.Verify(domain, e.appendSigned(room, key), &e.signature) {
		return errors.New("overlay: its origin has not signed it")
	}
	return nil
}
