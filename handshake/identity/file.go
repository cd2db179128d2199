package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// An identity file is text, ends every line with a line feed, and looks like this:
//
//	carrier identity 1
//	# secret: whoever has this file is this node
//	id       <64 hexadecimal digits>
//	seed     <64 hexadecimal digits>
//	solution <16 hexadecimal digits: the last 8 bytes of X>
//	check    <32 hexadecimal digits: the first 16 bytes of BLAKE2b-256 of everything before this line>
//
// The number in the first line is the version; it rises with any change of what follows.
const (
	fileMagic   = "carrier identity "
	fileVersion = 1
	fileWarning = "# secret: whoever has this file is this node\n"
)

var (
	// ErrFileTruncated says that the end of an identity file is missing.
	ErrFileTruncated = errors.New("identity: file is truncated")

	// ErrFileCorrupt says that an identity file is damaged, or is something else.
	ErrFileCorrupt = errors.New("identity: file is corrupt or not an identity")

	// ErrFileVersion says that an identity file was written by a newer carrier.
	ErrFileVersion = errors.New("identity: file is of a newer version")

	// ErrFileTaken says that Save would have replaced something that is not this identity.
	ErrFileTaken = errors.New("identity: file exists and is not this identity")

	// ErrFileMode says that others than the owner may read or write an identity file.
	ErrFileMode = errors.New("identity: file is open to others than its owner")
)

// Save writes the identity to path with mode 0600: into a temporary file beside it, synced, renamed over path, and the
// directory synced. After a crash path holds the old content or the new. It replaces an older file of the same key, for
// instance after Solve; anything else at path stays, and the error is ErrFileTaken: a key that is overwritten is lost.
func (id *Identity) Save(path string) error {
	old, err := Load(path)
	switch {
	case err == nil && old.ID() != id.ID():
		return fmt.Errorf("%w: %s holds %s", ErrFileTaken, path, old.ID().Short())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s: %w", ErrFileTaken, path, err)
	}
	b := id.appendFile(nil)
	defer clear(b)
	if err := writeAtomic(path, b); err != nil {
		return fmt.Errorf("identity: saving: %w", err)
	}
	return nil
}

// Load reads a file that Save has written. Errors wrap fs.ErrNotExist and the like, ErrFileTruncated, ErrFileCorrupt or
// ErrFileVersion, and name the file. Load does not judge who else may read the file: see CheckMode.
func Load(path string) (*Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, fileSizeLimit))
	defer clear(b)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	id, err := parseFile(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, path)
	}
	return id, nil
}

// CheckMode returns ErrFileMode if others than the owner have any right to the file: worth a warning at start, not a
// refusal, since containers and network file systems often cannot do better. On Windows, where modes mean nothing, it
// returns nil.
func CheckMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if m := info.Mode().Perm(); m&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%w: %s has mode %04o, wanted 0600", ErrFileMode, path, m)
	}
	return nil
}

func (id *Identity) appendFile(b []byte) []byte {
	b = append(b, fileMagic...)
	b = strconv.AppendInt(b, fileVersion, 10)
	b = append(b, '\n')
	b = append(b, fileWarning...)
	b = appendLine(b, "id       ", id.s().id[:])
	b = appendLine(b, "seed     ", id.s().key.Seed())
	b = appendLine(b, "solution ", id.s().solution[24:])
	sum := blake2b.Sum256(b)
	return appendLine(b, "check    ", sum[:16])
}

func appendLine(b []byte, name string, value []byte) []byte {
	return append(hex.AppendEncode(append(b, name...), value), '\n')
}

// parseFile takes exactly what appendFile writes. The version comes first, since a newer one may differ in everything else.
func parseFile(b []byte) (*Identity, error) {
	first, rest, whole := bytes.Cut(b, []byte("\n"))
	number, ok := strings.CutPrefix(string(first), fileMagic)
	if !ok {
		if !whole && strings.HasPrefix(fileMagic, string(first)) {
			return nil, ErrFileTruncated
		}
		return nil, ErrFileCorrupt
	}
	version, err := strconv.Atoi(number)
	switch {
	case !whole:
		return nil, ErrFileTruncated
	case err != nil || version < 1:
		return nil, ErrFileCorrupt
	case version > fileVersion:
		return nil, fmt.Errorf("%w: %d, this carrier knows %d", ErrFileVersion, version, fileVersion)
	}
	var seed, solution [32]byte
	var claimedID ID
	defer clear(seed[:])
	rest, ok = bytes.CutPrefix(rest, []byte(fileWarning))
	ok = ok && nextLine(&rest, "id       ", claimedID[:]) &&
		nextLine(&rest, "seed     ", seed[:]) &&
		nextLine(&rest, "solution ", solution[24:])
	if len(b) < fileSize {
		return nil, ErrFileTruncated
	}
	if !ok {
		return nil, ErrFileCorrupt
	}
	// Writing it again proves the check, the ID and every other byte at once.
	id := newIdentity(&seed, solution)
	again := id.appendFile(nil)
	defer clear(again)
	if !bytes.Equal(again, b) {
		return nil, ErrFileCorrupt
	}
	return id, nil
}

// fileSize is the length of a file of version 1. A shorter one has probably lost its end.
const fileSize = len(fileMagic) + 2 + len(fileWarning) + 4*10 + 64 + 64 + 16 + 32

// nextLine takes the line "name value" off the front of rest.
func nextLine(rest *[]byte, name string, value []byte) bool {
	line, after, whole := bytes.Cut(*rest, []byte("\n"))
	digits, named := bytes.CutPrefix(line, []byte(name))
	if !whole || !named || len(digits) != hex.EncodedLen(len(value)) {
		return false
	}
	*rest = after
	_, err := hex.Decode(value, digits)
	return err == nil
}

func writeAtomic(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".identity-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the rename last. Windows cannot sync a directory, and does not need to.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
