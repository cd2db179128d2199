package handshake

import (
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A token is one step of a message (Noise 5.3 and 7.5).
type token uint8

const (
	tokenE  token = iota // an ephemeral key, in clear
	tokenS               // the static key, sealed
	tokenEE              // the secrets of two keys: the first letter is the initiator's, the second the responder's
	tokenES
	tokenSE
)

// patternXX is XX: what the three messages consist of, before their payloads.
var patternXX = [3][]token{
	{tokenE},
	{tokenE, tokenEE, tokenS, tokenES},
	{tokenS, tokenSE},
}

// protocolName begins the transcript. It has exactly the 32 bytes of a hash, so it is not hashed first (Noise 5.2).
const protocolName = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

// A noise is one end of a Noise_XX_25519_AESGCM_SHA256 handshake (revision 34), one message after the other. It does what the
// specification says and nothing for carrier alone: the published vectors hold it. It makes a third of the garbage that a
// general implementation does, which matters when thousands dial at once, and every secret lies in it, to be wiped at the end.
type noise struct {
	initiator bool
	keyed     bool   // key is set: from now on what is mixed in is sealed
	message   int    // the next
	count     uint64 // of what was sealed under key

	chain, transcript, key        [keySize]byte // ck, h and k of the specification
	static, ephemeral             [keySize]byte // our private keys
	staticPublic, ephemeralPublic [keySize]byte
	peerStatic, peerEphemeral     [keySize]byte

	aead  cipher.AEAD // of key; nil until it is used
	nonce [12]byte    // here because it would escape from the stack through the interface
	hash  hash.Hash
}

// newNoise begins a handshake. random gives the ephemeral key, once.
func newNoise(initiator bool, static, staticPublic [keySize]byte, prologue []byte, random io.Reader) (*noise, error) {
	x := &noise{initiator: initiator, static: static, staticPublic: staticPublic, hash: sha256.New()}
	copy(x.transcript[:], protocolName)
	x.chain = x.transcript
	x.mix(prologue)
	_, err := io.ReadFull(random, x.ephemeral[:])
	return x, err
}

// write appends the next message to dst, which may have anything in it.
func (x *noise) write(dst, payload []byte) ([]byte, error) {
	for _, t := range patternXX[x.message] {
		switch t {
		case tokenE:
			publicKey(&x.ephemeralPublic, &x.ephemeral)
			x.mix(x.ephemeralPublic[:])
			dst = append(dst, x.ephemeralPublic[:]...)
		case tokenS:
			dst = x.seal(dst, x.staticPublic[:])
		default:
			if err := x.agree(t); err != nil {
				return nil, err
			}
		}
	}
	x.message++
	return x.seal(dst, payload), nil
}

// read takes the next message and returns its payload. ErrMessage: too short; ErrLowOrder; ErrAuthentication.
func (x *noise) read(msg []byte) (payload []byte, err error) {
	whole := len(msg)
	take := func(n int) (part []byte) {
		if n > len(msg) {
			err = fmt.Errorf("%w: %d bytes", ErrMessage, whole)
			return nil
		}
		part, msg = msg[:n], msg[n:]
		return part
	}
	for _, t := range patternXX[x.message] {
		switch t {
		case tokenE:
			copy(x.peerEphemeral[:], take(keySize))
			x.mix(x.peerEphemeral[:])
		case tokenS:
			if sealed := take(keySize + tagSize); err == nil {
				_, err = x.open(x.peerStatic[:0], sealed)
			}
		default:
			err = x.agree(t)
		}
		if err != nil {
			return nil, err
		}
	}
	x.message++
	return x.open(nil, msg)
}

// agree mixes in the secret of two keys. Ours is the static one where our letter is s, and so is theirs.
func (x *noise) agree(t token) error {
	ours, theirs := &x.ephemeral, &x.peerEphemeral
	if t == tokenSE && x.initiator || t == tokenES && !x.initiator {
		ours = &x.static
	}
	if t == tokenES && x.initiator || t == tokenSE && !x.initiator {
		theirs = &x.peerStatic
	}
	var secret [keySize]byte
	if err := sharedSecret(&secret, ours, theirs); err != nil {
		return err
	}
	x.chain, x.key = hkdf(&x.chain, secret[:])
	clear(secret[:])
	x.keyed, x.count, x.aead = true, 0, nil
	return nil
}

// mix is MixHash.
func (x *noise) mix(data []byte) {
	x.hash.Reset()
	x.hash.Write(x.transcript[:])
	x.hash.Write(data)
	x.hash.Sum(x.transcript[:0])
}

// seal is EncryptAndHash.
func (x *noise) seal(dst, plain []byte) []byte {
	at := len(dst)
	if x.keyed {
		dst = x.cipher().Seal(dst, x.nonce[:], plain, x.transcript[:])
	} else {
		dst = append(dst, plain...)
	}
	x.mix(dst[at:])
	return dst
}

// open is DecryptAndHash.
func (x *noise) open(dst, sealed []byte) (plain []byte, err error) {
	if !x.keyed {
		plain = append(dst, sealed...)
	} else if plain, err = x.cipher().Open(dst, x.nonce[:], sealed, x.transcript[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthentication, err)
	}
	x.mix(sealed)
	return plain, nil
}

// cipher returns the cipher of key, with nonce set to be used once.
func (x *noise) cipher() cipher.AEAD {
	if x.aead == nil {
		x.aead = newAEAD(&x.key)
	}
	binary.BigEndian.PutUint64(x.nonce[4:], x.count)
	x.count++
	return x.aead
}

// split returns the keys of the two directions, when all messages have been exchanged (Noise 5.2, Split).
func (x *noise) split() (toResponder, toInitiator [keySize]byte) {
	if x.message != len(patternXX) {
		invariant.Bug("handshake: bug: split after %d messages", x.message)
	}
	return hkdf(&x.chain, nil)
}

// wipe clears every secret. What the collector has moved elsewhere, and the expanded cipher, stay until they are overwritten.
func (x *noise) wipe() { *x = noise{} }

// hkdf is Noise's HKDF (4.3) with two outputs. input is a secret, or nothing.
func hkdf(chain *[keySize]byte, input []byte) (first, second [keySize]byte) {
	temp := hmacSHA256(chain, input)
	first = hmacSHA256(&temp, []byte{1})
	var b [keySize + 1]byte
	copy(b[:], first[:])
	b[keySize] = 2
	second = hmacSHA256(&temp, b[:])
	clear(temp[:])
	clear(b[:])
	return first, second
}

// hmacSHA256 is HMAC (RFC 2104) of at most 33 bytes. Unlike crypto/hmac it needs no memory but the stack's.
func hmacSHA256(key *[keySize]byte, data []byte) [sha256.Size]byte {
	var inner [sha256.BlockSize + keySize + 1]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	if len(data) > len(inner)-sha256.BlockSize {
		invariant.Bug("handshake: bug: HMAC of %d bytes", len(data))
	}
	for i := range sha256.BlockSize {
		k := byte(0)
		if i < keySize {
			k = key[i]
		}
		inner[i], outer[i] = k^0x36, k^0x5c
	}
	n := copy(inner[sha256.BlockSize:], data)
	sum := sha256.Sum256(inner[:sha256.BlockSize+n])
	copy(outer[sha256.BlockSize:], sum[:])
	sum = sha256.Sum256(outer[:])
	clear(inner[:])
	clear(outer[:])
	return sum
}
