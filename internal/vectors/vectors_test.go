package vectors_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/internal/vectors"
)

const file = `# What they are.
# And more.

name=a
op=0x10
expect=ok
hex=0102030405

# Between.

name=b
like=a
at=1:ffff
cut=1
add=aa
expect=bad
`

func write(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "vectors.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	f := vectors.Read(t, write(t, file))
	if len(f.Blocks) != 2 {
		t.Fatalf("%d blocks", len(f.Blocks))
	}
	a, b := f.Blocks[0], f.Blocks[1]
	if a.Name() != "a" || !a.Good() || b.Good() || a.Number(t, "op") != 16 || a.Number(t, "none") != 0 || len(a.Bytes(t, "none")) != 0 {
		t.Errorf("read as %v and %v", a.Value, b.Value)
	}
	wire := a.Bytes(t, "hex")
	if got := fmt.Sprintf("%x", b.Spoil(t, wire)); got != "01ffff04aa" || wire[1] != 2 {
		t.Errorf("spoiled: %s, and the original is %x", got, wire)
	}
	f.Weigh(t, 1)
}

// A file that is saved is the one that was read, but for what was set.
func TestSave(t *testing.T) {
	path := write(t, file)
	f := vectors.Read(t, path)
	saved := func() string {
		f.Save(t)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := saved(); got != file {
		t.Errorf("nothing was set, saved is\n%s", got)
	}
	f.Blocks[0].Set("hex", "07")
	f.Blocks[1].Set("hex", "08")
	want := strings.Replace(file, "hex=0102030405", "hex=07", 1) + "hex=08\n"
	if got := saved(); got != want || f.Blocks[1].Value["hex"] != "08" {
		t.Errorf("saved is\n%s", got)
	}
}

// A witness is a test that fails without failing this one.
type witness struct {
	testing.TB
	said string
}

func (w *witness) Helper()                        {}
func (w *witness) Errorf(format string, a ...any) { w.said = fmt.Sprintf(format, a...) }
func (w *witness) Fatalf(format string, a ...any) { w.Errorf(format, a...); panic(w) }
func (w *witness) Fatal(a ...any)                 { w.Fatalf("%v", a...) }

// What is wrong with a file, or does not fit a vector, fails the test.
func TestFailures(t *testing.T) {
	block := func(text string, ask func(*witness, *vectors.Block)) func(*witness) {
		return func(w *witness) { ask(w, vectors.Read(w, write(t, "name=x\n"+text)).Blocks[0]) }
	}
	spoil := func(w *witness, b *vectors.Block) { b.Spoil(w, make([]byte, 3)) }
	for name, x := range map[string]struct {
		do   func(*witness)
		want string
	}{
		"no file":      {func(w *witness) { vectors.Read(w, filepath.Join(t.TempDir(), "none")) }, "no such file"},
		"no key":       {func(w *witness) { vectors.Read(w, write(t, "nonsense")) }, "nonsense"},
		"a key twice":  {func(w *witness) { vectors.Read(w, write(t, "a=1\na=2")) }, "twice"},
		"few":          {func(w *witness) { vectors.Read(w, write(t, file)).Weigh(w, 2) }, "1 good vectors and 1 bad ones"},
		"few bad":      {func(w *witness) { vectors.Read(w, write(t, "expect=ok")).Weigh(w, 1) }, "0 bad ones"},
		"no number":    {block("n=x", func(w *witness, b *vectors.Block) { b.Number(w, "n") }), "invalid syntax"},
		"no hex":       {block("hex=x", func(w *witness, b *vectors.Block) { b.Bytes(w, "hex") }), "invalid byte"},
		"at no offset": {block("at=x:00", spoil), "at=x:00"},
		"at beyond":    {block("at=2:0000", spoil), "of 3 bytes"},
		"at before":    {block("at=-1:00", spoil), "of 3 bytes"},
		"cut beyond":   {block("cut=4", spoil), "cut=4"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &witness{TB: t}
			func() {
				defer func() {
					if r := recover(); r != nil && r != any(w) {
						panic(r)
					}
				}()
				x.do(w)
			}()
			if !strings.Contains(w.said, x.want) {
				t.Errorf("failed with %q, want %q", w.said, x.want)
			}
		})
	}
}
