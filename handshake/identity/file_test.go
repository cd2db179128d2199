package identity

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSaveLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	id := generate(t, 1, smallPuzzle)
	if err := id.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID() != id.ID() || got.PublicKey() != id.PublicKey() || got.Solution() != id.Solution() || got.StaticKey() != id.StaticKey() {
		t.Error("loaded identity differs")
	}
	if sig := got.Sign("d", nil); !id.PublicKey().Verify("d", nil, &sig) {
		t.Error("loaded identity signs with another key")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if int(info.Size()) != fileSize || fileSize > fileSizeLimit {
		t.Errorf("%d bytes, fileSize is %d", info.Size(), fileSize)
	}
	only(t, dir, "key")
}

// only fails if dir holds other files than name: temporary ones left behind.
func only(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("directory holds %v, %v, want %s alone", entries, err, name)
	}
}

// The form of the file, written out: a change of it must be meant, and needs a new version.
func TestFileForm(t *testing.T) {
	id, err := FromSeed(context.Background(), [32]byte{1}, Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	want := `carrier identity 1
# secret: whoever has this file is this node
id       ` + id.ID().String() + `
seed     0100000000000000000000000000000000000000000000000000000000000000
solution 0000000000000000
check    `
	if got := string(id.appendFile(nil)); !strings.HasPrefix(got, want) || len(got) != len(want)+33 {
		t.Errorf("file is\n%s, want\n%s and 32 digits", got, want)
	}
}

func TestSaveReplacesOnlyTheSameKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	id, other := generate(t, 1, Puzzle{}), generate(t, 2, Puzzle{})
	if err := id.Save(path); err != nil {
		t.Fatal(err)
	}
	solved, err := id.Solve(context.Background(), Puzzle{DynamicBits: 8}, GenerateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := solved.Save(path); err != nil {
		t.Errorf("new solution of the same key: %v", err)
	}
	if got, err := Load(path); err != nil || got.Solution() != solved.Solution() {
		t.Errorf("the new solution is not there: %v", err)
	}
	if err := other.Save(path); !errors.Is(err, ErrFileTaken) {
		t.Errorf("another key: %v, want ErrFileTaken", err)
	}
	if got, err := Load(path); err != nil || got.ID() != id.ID() {
		t.Errorf("the refused Save has changed the file: %v", err)
	}
	foreign := filepath.Join(dir, "foreign")
	for _, content := range []string{"", "shopping list\n", fileMagic + "2\nfrom the future\n"} {
		if err := os.WriteFile(foreign, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := id.Save(foreign); !errors.Is(err, ErrFileTaken) {
			t.Errorf("over %q: %v, want ErrFileTaken", content, err)
		}
		if b, err := os.ReadFile(foreign); err != nil || string(b) != content {
			t.Errorf("%q became %q, %v", content, b, err)
		}
	}
}

func TestSaveFails(t *testing.T) {
	id := generate(t, 1, Puzzle{})
	dir := t.TempDir()
	if err := id.Save(filepath.Join(dir, "none", "key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a missing directory: %v, want fs.ErrNotExist", err)
	}
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := id.Save(sub); err == nil {
		t.Error("over a directory")
	}
	only(t, dir, "sub")
}

func TestLoadRejects(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	good := string(generate(t, 1, smallPuzzle).appendFile(nil))
	replace := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	tests := []struct {
		name, content string
		want          error
	}{
		{"empty", "", ErrFileTruncated},
		{"beginning of the first word", "car", ErrFileTruncated},
		{"something else", "-----BEGIN PRIVATE KEY-----\n", ErrFileCorrupt},
		{"binary", "\x7fELF\x02\x01", ErrFileCorrupt},
		{"version 2", replace("identity 1", "identity 2"), ErrFileVersion},
		{"version 2 of another length", fileMagic + "2\n", ErrFileVersion},
		{"version 0", replace("identity 1", "identity 0"), ErrFileCorrupt},
		{"version 01", replace("identity 1", "identity 01"), ErrFileCorrupt},
		{"version x", replace("identity 1", "identity x"), ErrFileCorrupt},
		{"without the warning", replace(fileWarning, strings.Repeat("#", len(fileWarning)-1)+"\n"), ErrFileCorrupt},
		{"lines end otherwise", strings.ReplaceAll(good, "\n", "\r\n"), ErrFileCorrupt},
		{"a line too many", good + "\n", ErrFileCorrupt},
		{"far too long", good + strings.Repeat("x", 1<<20), ErrFileCorrupt},
		{"capital digits", strings.ToUpper(good[60:]), ErrFileCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			id, err := Load(path)
			if !errors.Is(err, tt.want) || id != nil {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%v does not name the file", err)
			}
		})
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v, want fs.ErrNotExist", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a directory loads")
	}
}

// Cut anywhere: truncated, and said so. Any byte changed: refused.
func TestFileDamaged(t *testing.T) {
	good := generate(t, 1, smallPuzzle).appendFile(nil)
	for n := range good {
		if _, err := parseFile(good[:n]); !errors.Is(err, ErrFileTruncated) {
			t.Errorf("the first %d bytes: %v, want ErrFileTruncated", n, err)
		}
		for _, flip := range []byte{1, 0x20, 0x80} {
			b := bytes.Clone(good)
			b[n] ^= flip
			if id, err := parseFile(b); err == nil || id != nil {
				t.Errorf("byte %d xor %x: loads", n, flip)
			}
		}
	}
}

func TestCheckMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing here")
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := CheckMode(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if err := generate(t, 1, Puzzle{}).Save(path); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]error{0o600: nil, 0o400: nil, 0o640: ErrFileMode, 0o604: ErrFileMode, 0o602: ErrFileMode} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := CheckMode(path); !errors.Is(err, want) {
			t.Errorf("mode %04o: %v, want %v", mode, err, want)
		}
		if _, err := Load(path); err != nil {
			t.Errorf("mode %04o must not keep a node from starting: %v", mode, err)
		}
	}
}

// Law: what parses is what that identity writes; errors are of the three kinds.
func FuzzParseFile(f *testing.F) {
	good := generate(f, 1, smallPuzzle).appendFile(nil)
	f.Add(good)
	f.Add(good[:200])
	f.Add([]byte(fileMagic + "2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := parseFile(b)
		if err == nil {
			if again := id.appendFile(nil); !bytes.Equal(again, b) {
				t.Fatalf("parsed %q, wrote %q", b, again)
			}
			return
		}
		if !errors.Is(err, ErrFileTruncated) && !errors.Is(err, ErrFileCorrupt) && !errors.Is(err, ErrFileVersion) {
			t.Fatalf("error of an unknown kind: %v", err)
		}
	})
}
