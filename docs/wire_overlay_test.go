package docs_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

const wireOverlay = "wire-overlay.md"

// overlayLimits are the constants that the page quotes.
var overlayLimits = map[string]int{
	"skad.ReplyLimit": skad.ReplyLimit, "skad.FingerprintLimit": skad.FingerprintLimit, "skad.RouteTTL": skad.RouteTTL, "skad.RouteCopyLimit": skad.RouteCopyLimit,
	"skad.RoutePayloadLimit": skad.RoutePayloadLimit, "identity.RecordSizeLimit": identity.RecordSizeLimit,
	"spread.PayloadLimit": spread.PayloadLimit, "spread.IDLimit": spread.IDLimit, "overlay.PayloadLimit": overlay.PayloadLimit,
}

// overlayVectors are the files of vectors.
var overlayVectors = []string{"../skad/testdata/messages.txt", "../skad/spread/testdata/messages.txt", "../engine/component/overlay/testdata/envelopes.txt", "../engine/component/reach/testdata/messages.txt"}

// A wireVector is one block of those files.
type wireVector struct {
	name, op string
	bytes    []byte
	bad      bool
}

func readVectors(t *testing.T) map[string]wireVector {
	all := map[string]wireVector{}
	for _, file := range overlayVectors {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "\n\n") {
			value := map[string]string{}
			for _, line := range strings.Split(block, "\n") {
				k, v, _ := strings.Cut(line, "=")
				value[k] = v
			}
			if value["name"] == "" {
				continue
			}
			b, err := hex.DecodeString(value["hex"])
			if err != nil {
				t.Fatalf("%s: %s: %v", file, value["name"], err)
			}
			all[value["name"]] = wireVector{value["name"], value["op"], b, value["expect"] != "ok"}
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
	sectionHead     = regexp.MustCompile(`(?m)^## \d+ (.+)$`)
	layoutRow       = regexp.MustCompile(`(?m)^\| (\d+) \| (\d+|n) \| (\w+)( …)? \|`)
	overlayLimitRow = regexp.MustCompile("(?m)^\\| `([\\w.]+)` \\| (\\d+) \\|")
	wrongRow        = regexp.MustCompile(`(?m)^\| [^|]+ \| ([\w -]+) \| `)
	opcodeLine      = regexp.MustCompile(`(?m)^Opcode (\d+|none)`)
	example         = regexp.MustCompile("(?s)Vector `([^`]+)`:\n\n```text\n(.*?)```")
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

// TestWireOverlay holds wire-overlay.md against the code: every layout against the bytes of a vector, every example against
// its vector, every limit against its constant, titles against opcodes; and every bad vector is named where it is explained.
func TestWireOverlay(t *testing.T) {
	text, err := os.ReadFile(wireOverlay)
	if err != nil {
		t.Fatal(err)
	}
	page, vectors := string(text), readVectors(t)
	named := map[string]bool{}
	for _, name := range strings.Fields(strings.NewReplacer("`", " ", ",", " ", ")", " ", ";", " ").Replace(page[:sectionHead.FindStringIndex(page)[0]])) {
		named[name] = true
	}
	seen := map[string]bool{}
	for _, s := range readSections(t, page) {
		op := opcodeLine.FindStringSubmatch(s.text)[1]
		if n, err := strconv.Atoi(op); err == nil {
			seen[op] = true
			if got := opcode.Opcode(n).String(); got != s.title {
				t.Errorf("%s: opcode %d is %s", s.title, n, got)
			}
		}
		for _, row := range overlayLimitRow.FindAllStringSubmatch(s.text, -1) {
			if want, ok := overlayLimits[row[1]]; !ok || strconv.Itoa(want) != row[2] {
				t.Errorf("%s: %s is %d, the page says %s", s.title, row[1], want, row[2])
			}
		}
		for _, row := range wrongRow.FindAllStringSubmatch(s.text[strings.Index(s.text, "### What can be wrong"):], -1) {
			if row[1] == "vectors" || strings.Trim(row[1], "-") == "" {
				continue
			}
			for _, name := range strings.Fields(row[1]) {
				named[name] = true
				if v, ok := vectors[name]; !ok || !v.bad {
					t.Errorf("%s: there is no bad vector %q", s.title, name)
				}
			}
		}
		m := example.FindStringSubmatch(s.text)
		if m == nil {
			t.Errorf("%s has no example", s.title)
			continue
		}
		v, ok := vectors[m[1]]
		if !ok || v.bad || v.op != "" && v.op != op {
			t.Errorf("%s: vector %q: there %t, bad %t, opcode %s", s.title, m[1], ok, v.bad, v.op)
			continue
		}
		want, err := s.explain(v.bytes)
		switch {
		case err != nil:
			t.Errorf("%s: %s: %v", s.title, v.name, err)
		case *update:
			page = strings.Replace(page, m[0], strings.Replace(m[0], "```text\n"+m[2], "```text\n"+want, 1), 1)
		case m[2] != want:
			t.Errorf("%s: the example differs from %s (-update writes it), which is:\n%s", s.title, v.name, want)
		}
	}
	for name, v := range vectors {
		if v.bad && !named[name] && name != "not-ours" {
			t.Errorf("the bad vector %q is not explained", name)
		}
	}
	for _, op := range []string{"12", "13", "21", "22", "23", "24", "25", "26", "27", "28"} {
		if !seen[op] {
			t.Errorf("opcode %s has no section", op)
		}
	}
	if *update {
		if err := os.WriteFile(wireOverlay, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
