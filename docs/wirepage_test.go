package docs_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/internal/vectors"
	"github.com/carrier-p2p/carrier/opcode"
)

// A wirePage is a page about messages, with what it is held against.
type wirePage struct {
	file    string
	limits  map[string]int        // the constants that it quotes
	vectors map[string]wireVector // by name
	opcodes []string              // of its sections, in their order
	text    string
	named   map[string]bool // vectors that it speaks of
}

// check holds a page against the code: every layout against the bytes of a vector, every example against its vector, every limit
// against its constant, titles against opcodes; and every bad vector is named where it is explained, or at the head of the page.
func (p *wirePage) check(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	p.text, p.named = string(text), map[string]bool{}
	top := p.text[:sectionHead.FindStringIndex(p.text)[0]]
	for _, name := range strings.Fields(strings.NewReplacer("`", " ", ",", " ", ")", " ", ";", " ").Replace(top)) {
		p.named[name] = true
	}
	var opcodes []string
	for _, s := range readSections(t, p.text) {
		op := opcodeLine.FindStringSubmatch(s.text)[1]
		opcodes = append(opcodes, op)
		p.checkFacts(t, &s, op)
		p.checkExample(t, &s, op)
	}
	if !slices.Equal(opcodes, p.opcodes) {
		t.Errorf("sections for opcodes %v, want %v", opcodes, p.opcodes)
	}
	for name, v := range p.vectors {
		if v.bad && !p.named[name] {
			t.Errorf("the bad vector %q is not explained", name)
		}
	}
	if *update {
		if err := os.WriteFile(p.file, []byte(p.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkFacts compares a section's opcode and limits, and looks for the vectors that it names.
func (p *wirePage) checkFacts(t *testing.T, s *wireSection, op string) {
	t.Helper()
	if n, err := strconv.Atoi(op); err == nil {
		if title, _, _ := strings.Cut(s.title, ":"); opcode.Opcode(n).String() != title {
			t.Errorf("%s: opcode %d is %v", s.title, n, opcode.Opcode(n))
		}
	}
	for _, row := range wireLimitRow.FindAllStringSubmatch(s.text, -1) {
		if want, ok := p.limits[row[1]]; !ok || strconv.Itoa(want) != row[2] {
			t.Errorf("%s: %s is %d, the page says %s", s.title, row[1], want, row[2])
		}
	}
	for _, row := range wrongRow.FindAllStringSubmatch(s.text[strings.Index(s.text, "### What can be wrong"):], -1) {
		if row[1] == "vectors" || strings.Trim(row[1], "-") == "" {
			continue
		}
		for name := range strings.FieldsSeq(row[1]) {
			p.named[name] = true
			if v, ok := p.vectors[name]; !ok || !v.bad {
				t.Errorf("%s: there is no bad vector %q", s.title, name)
			}
		}
	}
}

// checkExample explains the vector of a section's example as the section's layout has it.
func (p *wirePage) checkExample(t *testing.T, s *wireSection, op string) {
	t.Helper()
	m := example.FindStringSubmatch(s.text)
	if m == nil {
		t.Errorf("%s has no example", s.title)
		return
	}
	v, ok := p.vectors[m[1]]
	if !ok || v.bad || v.op != "" && v.op != op {
		t.Errorf("%s: vector %q: there %t, bad %t, opcode %s", s.title, m[1], ok, v.bad, v.op)
		return
	}
	want, err := s.explain(v.bytes)
	switch {
	case err != nil:
		t.Errorf("%s: %s: %v", s.title, v.name, err)
	case *update:
		p.text = strings.Replace(p.text, m[0], strings.Replace(m[0], "```text\n"+m[2], "```text\n"+want, 1), 1)
	case m[2] != want:
		t.Errorf("%s: the example differs from %s (-update writes it), which is:\n%s", s.title, v.name, want)
	}
}

// A wireVector is one block of those files.
type wireVector struct {
	name, op string
	bytes    []byte
	bad      bool
}

// readVectors returns the vectors of files by their names; op is the opcode of those that do not say theirs.
func readVectors(t *testing.T, op string, files ...string) map[string]wireVector {
	t.Helper()
	all := map[string]wireVector{}
	for _, file := range files {
		for _, b := range vectors.Read(t, file).Blocks {
			all[b.Name()] = wireVector{b.Name(), cmp.Or(b.Value["op"], op), b.Bytes(t, "hex"), !b.Good()}
		}
	}
	return all
}

// A wireSection is one message on the page.
type wireSection struct {
	title, text string
	layout      []wireField
}

// A wireField is one row of a layout; size 0 stands for n, repeated says that the rows from here on come again and again.
type wireField struct {
	name         string
	offset, size int
	repeated     bool
}

var (
	sectionHead  = regexp.MustCompile(`(?m)^## \d+ (.+)$`)
	layoutRow    = regexp.MustCompile(`(?m)^\| (\d+) \| (\d+|n) \| (\w+)( …)? \|`)
	wireLimitRow = regexp.MustCompile("(?m)^\\| `([\\w.]+)` \\| (\\d+) \\|")
	wrongRow     = regexp.MustCompile(`(?m)^\| [^|]+ \| ([\w -]+) \| `)
	opcodeLine   = regexp.MustCompile(`(?m)^Opcode (\d+|none)`)
	example      = regexp.MustCompile("(?s)Vector `([^`]+)`:\n\n```text\n(.*?)```")
)

func readSections(t *testing.T, page string) (list []wireSection) {
	heads := sectionHead.FindAllStringSubmatchIndex(page, -1)
	for i, h := range heads {
		end := len(page)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		s := wireSection{title: page[h[2]:h[3]], text: page[h[1]:end]}
		for _, row := range layoutRow.FindAllStringSubmatch(s.text, -1) {
			f := wireField{name: row[3], repeated: row[4] != ""}
			f.offset, _ = strconv.Atoi(row[1])
			f.size, _ = strconv.Atoi(row[2])
			s.layout = append(s.layout, f)
		}
		if len(s.layout) == 0 {
			t.Fatalf("%s has no layout", s.title)
		}
		list = append(list, s)
	}
	return list
}

// explain writes bytes field by field. It fails where the layout and the bytes do not fit each other.
func (s *wireSection) explain(b []byte) (string, error) {
	out, at, last := &strings.Builder{}, 0, 0
	row := func(i, round int) error {
		f := s.layout[i]
		size := f.size
		if size == 0 { // what is left, or as long as the field before says
			size = len(b) - at
			if i > 0 && s.layout[i-1].name == "length" {
				size = last
			}
		}
		if round == 0 && at != f.offset {
			return fmt.Errorf("%s stands at %d, the page says %d", f.name, at, f.offset)
		}
		if at+size > len(b) {
			return fmt.Errorf("%s of %d bytes at %d goes beyond the %d there are", f.name, size, at, len(b))
		}
		for part, from := b[at:at+size], at; ; from += 16 {
			n := min(16, len(part))
			name := f.name
			if from > at {
				name = ""
			}
			fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%04x  % -47x  %s", from, part[:n], name), " "))
			if part = part[n:]; len(part) == 0 {
				break
			}
		}
		last = 0
		for k := min(size, 4) - 1; k >= 0; k-- {
			last = last<<8 | int(b[at+k])
		}
		at += size
		return nil
	}
	again := len(s.layout)
	for i, f := range s.layout {
		if f.repeated {
			again = i
		}
		if err := row(i, 0); err != nil {
			return "", err
		}
	}
	for round := 1; at < len(b); round++ {
		if again == len(s.layout) {
			return "", fmt.Errorf("%d bytes behind the last field", len(b)-at)
		}
		for i := again; i < len(s.layout); i++ {
			if err := row(i, round); err != nil {
				return "", err
			}
		}
	}
	return out.String(), nil
}
