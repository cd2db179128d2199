package handshake

import "github.com/cloudflare/circl/dh/x25519"

// X25519 (RFC 7748) is circl's. Through x/crypto and crypto/ecdh, which from raw private bytes compute the public key anew for
// each shared secret, it costs 92 us instead of 32.

// sharedSecret refuses public keys of low order. Noise allows an all-zero secret (section 12.1) but then a peer could fix a
// part of the key schedule without knowing anybody's secret; RFC 7748 6.1 lets us look.
func sharedSecret(secret, private, public *x25519.Key) error {
	if !x25519.Shared(secret, private, public) {
		return ErrLowOrder
	}
	return nil
}
