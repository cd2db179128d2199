package identity

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/blake2b"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// staticDomain separates the X25519 key from every other use of the seed. Changing it changes every node's static key.
const staticDomain = "carrier/1 x25519 static key"

// private is what the key material shows of itself, whoever asks.
const private = "(private)"

// An Identity is a node's secret: its Ed25519 key, the X25519 key derived from it, and its solution of the dynamic
// puzzle. It does not change after it is made and may be used from any goroutine.
//
// It does not give itself away: fmt with any verb, encoding/json and log/slog print "(private)", and == does not
// compile. The zero Identity is none.
type Identity struct {
	// s returns the secrets. They lie behind a function because fmt calls no methods on unexported fields of other structs,
	// and follows a pointer it finds there when the verb does not suit it; of a function it prints the address.
	s func() *secret
}

type secret struct {
	key      ed25519.PrivateKey // seed | public key
	public   PublicKey
	id       ID
	static   [32]byte // X25519 private key, clamped where it is used
	staticPK [32]byte
	solution [32]byte
}

// newIdentity derives everything from the seed. It cannot fail for a seed of 32 bytes.
func newIdentity(seed *[32]byte, solution [32]byte) *Identity {
	s := &secret{key: ed25519.NewKeyFromSeed(seed[:]), solution: solution}
	copy(s.public[:], s.key[32:])
	s.id = s.public.ID()
	s.static = blake2b.Sum256(append([]byte(staticDomain), seed[:]...))
	static, err := ecdh.X25519().NewPrivateKey(s.static[:])
	if err != nil {
		invariant.Bug("identity: bug: X25519 refuses 32 bytes: %v", err)
	}
	copy(s.staticPK[:], static.PublicKey().Bytes())
	return hide(s)
}

func hide(s *secret) *Identity { return &Identity{s: func() *secret { return s }} }

// FromSeed rebuilds an identity from its 32-byte secret and searches for a solution of the dynamic puzzle of p (Solve).
// The static puzzle is a property of the seed: if the seed does not solve it the error is ErrPuzzle, and only another
// seed helps.
func FromSeed(ctx context.Context, seed [32]byte, p Puzzle) (*Identity, error) {
	return newIdentity(&seed, [32]byte{}).Solve(ctx, p, GenerateOptions{})
}

// ID returns the node's name.
func (id *Identity) ID() ID { return id.s().id }

// PublicKey returns the Ed25519 key that the name is made of.
func (id *Identity) PublicKey() PublicKey { return id.s().public }

// Solution returns X of the dynamic puzzle.
func (id *Identity) Solution() [32]byte { return id.s().solution }

// StaticKey returns the X25519 private key for the handshake. It is a secret like the identity itself.
func (id *Identity) StaticKey() [32]byte { return id.s().static }

// StaticPublic returns the X25519 public key, as it stands in the node's record.
func (id *Identity) StaticPublic() [32]byte { return id.s().staticPK }

// Sign signs msg under a domain, a constant of 1 to 255 bytes that says what kind of thing is signed, so that a
// signature given in one place means nothing in another. PublicKey.Verify checks it. About 25 us.
func (id *Identity) Sign(domain string, msg []byte) (sig [64]byte) {
	var room [signedRoom]byte
	copy(sig[:], ed25519.Sign(id.s().key, appendSigned(room[:0], domain, msg)))
	return sig
}

// Signer lends the Ed25519 key to a protocol that has signatures of its own, such as TLS. It signs whatever it is given, so
// it goes to transports only; what they sign (a certificate, which begins with byte 0x30, and the handshake of TLS 1.3, which
// begins with 64 spaces) is never a message under one of our domains, whose first byte is the length of the domain.
func (id *Identity) Signer() crypto.Signer { return signer{id} }

type signer struct{ id *Identity }

func (s signer) Public() crypto.PublicKey { return s.id.s().key.Public() }

func (s signer) Sign(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.id.s().key.Sign(rand, message, opts)
}

// Format prints "(private)" for every verb.
func (id Identity) Format(f fmt.State, _ rune) { fmt.Fprint(f, private) }

// String returns "(private)".
func (id Identity) String() string { return private }

// MarshalText returns "(private)", which is what encoding/json and the like then print.
func (id Identity) MarshalText() ([]byte, error) { return []byte(private), nil }

// LogValue makes slog print "(private)".
func (id Identity) LogValue() slog.Value { return slog.StringValue(private) }
