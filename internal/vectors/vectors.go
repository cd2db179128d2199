// Package vectors reads golden vectors, for tests: bytes of the wire that are good or bad, with what they are made of and what is
// to become of them, in files that people read and other implementations can take. A file is blocks with an empty line between
// them; a block is lines of key=value, or of comments:
//
//	# Payloads of a protocol. expect= is ok, or the error.
//
//	name=ping
//	nonce=7
//	expect=ok
//	hex=0700000000000000
//
//	name=ping-short
//	like=ping
//	cut=1
//	expect=ErrMessage
//	hex=07000000000000
//
// What the keys mean is the package's whose vectors they are, but for those that methods here speak of.
package vectors

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A File is one file of vectors.
type File struct {
	Blocks []*Block // without the comments

	path string
	all  []*Block
}

// A Block is one vector. Value is by key; to change it use Set.
type Block struct {
	Value map[string]string

	lines []string // as they stand in the file
}

// Read reads a file, and fails the test if it is not one of vectors.
func Read(t testing.TB, path string) *File {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{path: path}
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		b := &Block{Value: map[string]string{}, lines: strings.Split(strings.Trim(part, "\n"), "\n")}
		for _, line := range b.lines {
			key, value, ok := strings.Cut(line, "=")
			if strings.HasPrefix(line, "#") {
				continue
			}
			if _, twice := b.Value[key]; !ok || twice {
				t.Fatalf("%s: %q is not key=value, or is there twice", path, line)
			}
			b.Value[key] = value
		}
		f.all = append(f.all, b)
		if len(b.Value) > 0 {
			f.Blocks = append(f.Blocks, b)
		}
	}
	return f
}

// Save writes the file anew, with what Set has changed.
func (f *File) Save(t testing.TB) {
	t.Helper()
	parts := make([]string, len(f.all))
	for i, b := range f.all {
		parts[i] = strings.Join(b.lines, "\n") + "\n"
	}
	if err := os.WriteFile(f.path, []byte(strings.Join(parts, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Weigh fails the test if fewer vectors are good than least, or fewer bad than good. Good ones say expect=ok.
func (f *File) Weigh(t testing.TB, least int) {
	t.Helper()
	good := 0
	for _, b := range f.Blocks {
		if b.Good() {
			good++
		}
	}
	if bad := len(f.Blocks) - good; good < least || bad < good {
		t.Errorf("%s: %d good vectors and %d bad ones, want %d at least, and as many bad ones as good", f.path, good, bad, least)
	}
}

// Name is the value of name=.
func (b *Block) Name() string { return b.Value["name"] }

// Good reports whether the block says expect=ok.
func (b *Block) Good() bool { return b.Value["expect"] == "ok" }

// Number is an unsigned number in Go's notation, 0 if the key is missing.
func (b *Block) Number(t testing.TB, key string) uint64 {
	t.Helper()
	if b.Value[key] == "" {
		return 0
	}
	n, err := strconv.ParseUint(b.Value[key], 0, 64)
	if err != nil {
		t.Fatalf("%s: %s: %v", b.Name(), key, err)
	}
	return n
}

// Bytes are those that stand there in hex, none if the key is missing.
func (b *Block) Bytes(t testing.TB, key string) []byte {
	t.Helper()
	return b.unhex(t, b.Value[key])
}

// Set changes a value, or adds it at the block's end.
func (b *Block) Set(key, value string) {
	b.Value[key] = value
	line := key + "=" + value
	if i := slices.IndexFunc(b.lines, func(l string) bool { return strings.HasPrefix(l, key+"=") }); i >= 0 {
		b.lines[i] = line
		return
	}
	b.lines = append(b.lines, line)
}

// Spoil returns the bytes of another vector, changed as the block says: at=OFFSET:HEX overwrites, then cut=N
// takes N bytes from the end, then add=HEX adds there.
func (b *Block) Spoil(t testing.TB, wire []byte) []byte {
	t.Helper()
	wire = bytes.Clone(wire)
	if offset, with, ok := strings.Cut(b.Value["at"], ":"); ok {
		n, err := strconv.Atoi(offset)
		change := b.unhex(t, with)
		if err != nil || n < 0 || n+len(change) > len(wire) {
			t.Fatalf("%s: at=%s of %d bytes: %v", b.Name(), b.Value["at"], len(wire), err)
		}
		copy(wire[n:], change)
	}
	cut := b.Number(t, "cut")
	if cut > uint64(len(wire)) {
		t.Fatalf("%s: cut=%d of %d bytes", b.Name(), cut, len(wire))
	}
	return append(wire[:len(wire)-int(cut)], b.Bytes(t, "add")...)
}

func (b *Block) unhex(t testing.TB, s string) []byte {
	t.Helper()
	v, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("%s: %q: %v", b.Name(), s, err)
	}
	return v
}
