package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// headerSize is the size of a record's header, which is authenticated with it; package framing draws it.
const headerSize = 4

// A RecordKey is one direction of a session: a key and the number of the next record. That is all an idle peer keeps: 40
// bytes. It belongs to one goroutine at a time, and is moved, not copied: two copies that seal would use a nonce twice.
//
// Record n is sealed with AES-256-GCM under the nonce of Noise: four zero bytes and n, big endian. After every
// RekeyEvery records the key is replaced by REKEY(key) (Noise 4.2: the first 32 bytes of ENCRYPT(key, 2^64-1, "", 32
// zero bytes)), on both sides by counting. The counter goes on and does not start again, so that n alone says which key
// a record has.
//
// fmt prints "(private)". A struct that holds a RecordKey in an unexported field must not be printed with fmt, which then
// cannot know.
type RecordKey struct {
	_       [0]func()
	counter uint64 // of the next record. Invariant: key has been replaced counter/RekeyEvery times
	key     [keySize]byte
}

// A Cipher is a RecordKey made ready for use: about 800 bytes, made in half a microsecond. It serves the key it was
// expanded from and no other, and belongs to one goroutine at a time.
type Cipher struct {
	aead  cipher.AEAD
	epoch uint64   // counter/RekeyEvery of the key inside
	nonce [12]byte // here because it would escape from the stack through the interface
}

// Expand makes the Cipher for k as it stands. Nothing is lost when the Cipher is dropped: it can be made again at any time.
func (k *RecordKey) Expand() *Cipher {
	return &Cipher{aead: newAEAD(&k.key), epoch: k.counter / RekeyEvery}
}

// Counter returns the number of the next record.
func (k *RecordKey) Counter() uint64 { return k.counter }

// Seal seals a record in place as the next one. rec is the 4-byte header, the plaintext, and 16 bytes of room for the
// tag; the header is authenticated. Does not allocate, except once in RekeyEvery records. After 2^64-1 records,
// ErrNonceEnd.
func (k *RecordKey) Seal(c *Cipher, rec []byte) error {
	if len(rec) < headerSize {
		invariant.Bug("handshake: bug: sealing a record of %d bytes", len(rec))
	}
	return k.SealWith(c, rec[:headerSize], rec[headerSize:])
}

// SealWith is Seal with any authenticated data ad; body is the plaintext and 16 bytes of room. Datagrams put Counter
// into ad before the call, for OpenAt. ad and body must not overlap.
func (k *RecordKey) SealWith(c *Cipher, ad, body []byte) error {
	if len(body) < tagSize {
		invariant.Bug("handshake: bug: sealing %d bytes, no room for the tag", len(body))
	}
	if k.counter == math.MaxUint64 {
		return ErrNonceEnd
	}
	k.refresh(c)
	plain := body[:len(body)-tagSize]
	c.aead.Seal(plain[:0], c.nonceOf(k.counter), plain, ad)
	k.advance(c)
	return nil
}

// Open opens the next record in place: header is its 4-byte header, body the ciphertext with its tag, as framing.NextRecord
// gives them. plain aliases body. ErrOpen means that it is not the peer's next record; body is then spoiled and the session
// over. Does not allocate, except once in RekeyEvery records.
func (k *RecordKey) Open(c *Cipher, header, body []byte) (plain []byte, err error) {
	if k.counter == math.MaxUint64 {
		return nil, ErrNonceEnd
	}
	k.refresh(c)
	if plain, err = c.open(k.counter, header, body); err == nil {
		k.advance(c)
	}
	return plain, err
}

// OpenAt opens a datagram that carries its own number, in place. Numbers may come in any order; that none comes twice
// is for a Window to see to: Check before, Accept after. A datagram of the next key's turn is tried with that key,
// which then stays; one from before the last change of keys is lost (ErrOpen), at worst WindowSize of RekeyEvery.
// ErrOpen concerns this datagram alone. A key opens either datagrams, with OpenAt, or a stream, with Open: OpenAt does
// not count.
func (k *RecordKey) OpenAt(c *Cipher, counter uint64, ad, body []byte) (plain []byte, err error) {
	if counter == math.MaxUint64 {
		return nil, ErrNonceEnd
	}
	k.refresh(c)
	switch counter / RekeyEvery {
	case c.epoch:
		return c.open(counter, ad, body)
	case c.epoch + 1:
		next := RecordKey{key: rekeyed(c), counter: counter}
		if plain, err = next.Expand().open(counter, ad, body); err == nil {
			*k = next // c follows with its next use
		}
		return plain, err
	}
	return nil, ErrOpen
}

// refresh makes c serve k again if k has changed its key since, through another Cipher.
func (k *RecordKey) refresh(c *Cipher) {
	if epoch := k.counter / RekeyEvery; c.epoch != epoch {
		c.aead, c.epoch = newAEAD(&k.key), epoch
	}
}

// advance counts a record. The key changes right after the last record under it, so that a record that fails to open never
// changes it twice.
func (k *RecordKey) advance(c *Cipher) {
	k.counter++
	if k.counter%RekeyEvery == 0 {
		k.key = rekeyed(c)
		k.refresh(c)
	}
}

// rekeyed is REKEY of Noise 4.2. The nonce 2^64-1 is used for nothing else.
func rekeyed(c *Cipher) (key [keySize]byte) {
	var zeros [keySize]byte
	copy(key[:], c.aead.Seal(nil, c.nonceOf(math.MaxUint64), zeros[:], nil))
	return key
}

func (c *Cipher) open(counter uint64, ad, body []byte) ([]byte, error) {
	plain, err := c.aead.Open(body[:0], c.nonceOf(counter), body, ad)
	if err != nil {
		return nil, ErrOpen // the cause says no more
	}
	return plain, nil
}

func (c *Cipher) nonceOf(counter uint64) []byte {
	binary.BigEndian.PutUint64(c.nonce[4:], counter)
	return c.nonce[:]
}

func newAEAD(key *[keySize]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		invariant.Bug("handshake: bug: AES with 32 bytes: %v", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		invariant.Bug("handshake: bug: GCM: %v", err)
	}
	return aead
}

// Wipe clears the key, for when a session ends. Using it afterwards is a bug that shows as ErrNonceEnd.
func (k *RecordKey) Wipe() { *k = RecordKey{counter: math.MaxUint64} }

// Format prints "(private)" for every verb.
func (k RecordKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, private) }

// MarshalText returns "(private)", which is what encoding/json then prints.
func (k RecordKey) MarshalText() ([]byte, error) { return []byte(private), nil }

// LogValue makes slog print "(private)".
func (k RecordKey) LogValue() slog.Value { return slog.StringValue(private) }

// Format prints "(private)" for every verb.
func (c *Cipher) Format(f fmt.State, _ rune) { fmt.Fprint(f, private) }

const private = "(private)"
