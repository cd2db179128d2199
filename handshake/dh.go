package handshake

import "github.com/cloudflare/circl/dh/x25519"

// X25519 (RFC 7748) is circl's, and this file is all that knows it. A public key is 22 us and a secret 33, on any machine
// without its assembly 33 and 53; crypto/ecdh takes 42 and 45, or 53 and 51, and keeps a copy of every private key that nobody
// can wipe: docs/decisions/0009-x25519.md. Neither branches on a secret or looks anything up by one.

// publicKey computes the public half of a private key, which is clamped first as RFC 7748 5 says.
func publicKey(public, private *[keySize]byte) {
	x25519.KeyGen((*x25519.Key)(public), (*x25519.Key)(private))
}

// sharedSecret refuses public keys of low order. Noise allows an all-zero secret (section 12.1) but then a peer could fix a
// part of the key schedule without knowing anybody's secret; RFC 7748 6.1 lets us look.
func sharedSecret(secret, private, public *[keySize]byte) error {
	if !x25519.Shared((*x25519.Key)(secret), (*x25519.Key)(private), (*x25519.Key)(public)) {
		clear(secret[:])
		return ErrLowOrder
	}
	return nil
}
