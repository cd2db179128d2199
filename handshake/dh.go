package handshake

import (
	"io"

	"github.com/cloudflare/circl/dh/x25519"
	"github.com/flynn/noise"

	"github.com/carrier-p2p/carrier/framing/invariant"
)

// suite is what the name Noise_XX_25519_AESGCM_SHA256 ends in.
var suite = noise.NewCipherSuite(curve25519{}, noise.CipherAESGCM, noise.HashSHA256)

// curve25519 gives flynn/noise X25519 (RFC 7748) from circl. Noise's own goes through x/crypto and crypto/ecdh, which from
// raw private bytes computes the public key anew for each shared secret: 92 us instead of 32.
type curve25519 struct{}

func (curve25519) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	var private, public x25519.Key
	if _, err := io.ReadFull(random, private[:]); err != nil {
		return noise.DHKey{}, err
	}
	x25519.KeyGen(&public, &private)
	return noise.DHKey{Private: private[:], Public: public[:]}, nil
}

// DH refuses public keys of low order. Noise allows an all-zero secret (section 12.1) but then a peer could fix a part
// of the key schedule without knowing anybody's secret; RFC 7748 6.1 lets us look.
func (curve25519) DH(privateKey, publicKey []byte) ([]byte, error) {
	if len(privateKey) != keySize || len(publicKey) != keySize {
		invariant.Bug("handshake: bug: DH of %d and %d bytes", len(privateKey), len(publicKey))
	}
	var shared x25519.Key
	if !x25519.Shared(&shared, (*x25519.Key)(privateKey), (*x25519.Key)(publicKey)) {
		return nil, ErrLowOrder
	}
	return shared[:], nil
}

func (curve25519) DHLen() int     { return keySize }
func (curve25519) DHName() string { return "25519" }
