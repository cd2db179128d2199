package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/blake2b"
)

// ErrID is wrapped by the errors of ParseID.
var ErrID = errors.New("identity: not an ID")

// An ID names a node: BLAKE2b-256 of its public key. It is also the node's place in the overlay, read as a 256-bit
// number with its first byte the most significant. The zero ID means "no node"; nobody owns it.
type ID [32]byte

// String returns 64 hexadecimal digits, the form ParseID reads.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first 16 digits, for logs and tables. It is no proof of anything: 64 bits can be searched for.
func (id ID) Short() string { return hex.EncodeToString(id[:8]) }

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool { return id == ID{} }

// Less orders IDs as numbers.
func (id ID) Less(other ID) bool { return bytes.Compare(id[:], other[:]) < 0 }

// LogValue makes slog print the short form.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.Short()) }

// MarshalText returns the form of String, so that IDs may stand in JSON and in configuration files.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads the form of String.
func (id *ID) UnmarshalText(text []byte) error {
	got, err := ParseID(string(text))
	if err == nil {
		*id = got
	}
	return err
}

// ParseID reads 64 hexadecimal digits of either case. Errors wrap ErrID.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != hex.EncodedLen(len(id)) {
		return ID{}, fmt.Errorf("%w: %d characters where 64 hexadecimal digits belong", ErrID, len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("%w: %v", ErrID, err)
	}
	return id, nil
}

// ID returns the name that belongs to a public key.
func (k PublicKey) ID() ID { return blake2b.Sum256(k[:]) }

// Hash is BLAKE2b-256, the hash of IDs, puzzles and everything in the overlay that is named by its content.
func Hash(b []byte) [32]byte { return blake2b.Sum256(b) }
