package handshake

import (
	"io"

	reference "github.com/flynn/noise"
)

// An independent implementation of Noise, flynn/noise, stands beside ours in the tests: what is bad in the vectors is made
// with it, and what we write it must read.

// suite is what the name Noise_XX_25519_AESGCM_SHA256 ends in.
var suite = reference.NewCipherSuite(curve25519{}, reference.CipherAESGCM, reference.HashSHA256)

// curve25519 is our Diffie-Hellman for it.
type curve25519 struct{}

func (curve25519) GenerateKeypair(random io.Reader) (reference.DHKey, error) {
	var private, public [keySize]byte
	if _, err := io.ReadFull(random, private[:]); err != nil {
		return reference.DHKey{}, err
	}
	publicKey(&public, &private)
	return reference.DHKey{Private: private[:], Public: public[:]}, nil
}

func (curve25519) DH(private, public []byte) ([]byte, error) {
	var secret [keySize]byte
	if err := sharedSecret(&secret, (*[keySize]byte)(private), (*[keySize]byte)(public)); err != nil {
		return nil, err
	}
	return secret[:], nil
}

func (curve25519) DHLen() int     { return keySize }
func (curve25519) DHName() string { return "25519" }

// referenceKeys are what the last message leaves.
type referenceKeys struct{ toResponder, toInitiator *reference.CipherState }
