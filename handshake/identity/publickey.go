package identity

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"log/slog"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// ErrKey says that a public key is one that nobody, or everybody, can sign for.
var ErrKey = errors.New("identity: public key is of low order or not in canonical form")

// A PublicKey is an Ed25519 public key (RFC 8032, 5.1.2): the encoding of a curve point.
type PublicKey [32]byte

// String returns 64 hexadecimal digits.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// LogValue makes slog print the key as text.
func (k PublicKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// lowOrderY holds the y coordinates, little endian, of the eight points whose order divides 8. Each stands for both
// signs of x.
var lowOrderY = [5][32]byte{
	{},          // order 4
	{1},         // the neutral point
	nearP(0xec), // p-1, order 2
	{ // order 8
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	},
	{ // order 8
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	},
}

// nearP returns the encoding of the number 2^255-256+first: with p = 2^255-19, first = 0xed is p.
func nearP(first byte) (y [32]byte) {
	for i := range y {
		y[i] = 0xff
	}
	y[0], y[31] = first, 0x7f
	return y
}

// Check rejects, with ErrKey, keys that crypto/ed25519 would take and an identity cannot stand on:
//
//   - Points of low order. The equation of a signature, S·B = R + k·A, then hardly depends on the message: anyone can
//     write signatures for such a key, so the ID would belong to everybody.
//   - Encodings of y that are not below p = 2^255-19. crypto/ed25519 reduces them, so one key would have two encodings and
//     hence two IDs.
//
// That the bytes are a point at all is left to the signature check. So are points with a component of small order: their
// owner must know a secret key as for any other, and testing for them costs as much as a signature check. Takes 40 ns.
func (k PublicKey) Check() error {
	y := k
	y[31] &= 0x7f // the sign of x
	if y[31] == 0x7f && y[0] >= 0xed {
		ones := byte(0xff)
		for _, b := range y[1:31] {
			ones &= b
		}
		if ones == 0xff {
			return ErrKey
		}
	}
	for i := range lowOrderY {
		if y == lowOrderY[i] {
			return ErrKey
		}
	}
	return nil
}

// Verify reports whether sig is the signature of Identity.Sign by the owner of k under the same domain. About 50 us. It
// implies Check: keys that Check rejects verify nothing.
func (k PublicKey) Verify(domain string, msg []byte, sig *[64]byte) bool {
	if k.Check() != nil {
		return false
	}
	var room [signedRoom]byte
	return ed25519.Verify(k[:], appendSigned(room[:0], domain, msg), sig[:])
}

// signedRoom is what of a signed message needs no memory from the heap: a domain and a hash.
const signedRoom = 256

// appendSigned appends what is signed for msg: u8 length of the domain | domain | msg. The length in front makes the
// pair (domain, msg) readable back from the bytes, so no signature counts for two pairs.
func appendSigned(dst []byte, domain string, msg []byte) []byte {
	if len(domain) == 0 || len(domain) > 255 {
		invariant.Bug("identity: bug: a signature domain has 1 to 255 bytes, not %d", len(domain))
	}
	dst = append(dst, byte(len(domain)))
	dst = append(dst, domain...)
	return append(dst, msg...)
}
