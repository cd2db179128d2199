package framing_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

const wireDocument = "../docs/wire.md"

// A page is docs/wire.md, cut up: tables and examples by section ("5 Record").
type page struct {
	text   string
	tables []table
}

type table struct {
	section string
	head    []string
	rows    [][]string
}

func loadPage(t *testing.T) page {
	t.Helper()
	b, err := os.ReadFile(wireDocument)
	if err != nil {
		t.Fatal(err)
	}
	p := page{text: string(b)}
	section, inTable := "", false
	for line := range strings.Lines(p.text) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = title
		}
		if !strings.HasPrefix(line, "|") {
			inTable = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !inTable:
			p.tables, inTable = append(p.tables, table{section: section, head: cells}), true
		case !strings.HasPrefix(cells[0], "---"):
			last := &p.tables[len(p.tables)-1]
			last.rows = append(last.rows, cells)
		}
	}
	return p
}

// tablesOf returns the tables of a section whose first columns are these.
func (p page) tablesOf(section string, head ...string) (found []table) {
	for _, t := range p.tables {
		if (section == "" || t.section == section) && slices.Equal(t.head[:min(len(head), len(t.head))], head) {
			found = append(found, t)
		}
	}
	return found
}

// A sample is a message that the code has written, and what its fields are: numbers are read little endian at the offset
// and in the size that the document gives; bytes must stand there as they are.
type sample struct {
	wire   []byte
	fields map[string]any
}

// TestWireDocumentLayouts holds every layout table against a sample: the rows follow one another without a gap from 0 to
// the end of the sample, and each field stands where the document says.
func TestWireDocumentLayouts(t *testing.T) {
	greeting := func(name string) []byte { return handshakeVector(t, "plain", name) }
	m1, m2, m3 := greeting("message_1"), greeting("message_2"), greeting("message_3")
	body := bytes.Repeat([]byte{0xc1}, 300)
	rec := make([]byte, framing.RecordHeaderSize)
	framing.PutRecordHeader(rec, framing.Kind(7), len(body)+framing.TagSize)
	tag := bytes.Repeat([]byte{0xaa}, framing.TagSize)
	frame := framing.AppendFrame(nil, framing.Frame{Op: 0x01020304, Flags: 0x0f, ID: 0x0a0b0c0d, Payload: body})
	payload := func(name string) []byte { return frameVector(t, name).frames[0].Payload }
	record, params := handshakeVector(t, "plain", "init_record"), []byte("parameters")
	proof := append(binary.LittleEndian.AppendUint16(nil, uint16(len(record))), append(bytes.Clone(record), params...)...)

	samples := map[string][]sample{
		"3 Handshake message 1": {{m1, map[string]any{"length": len(m1) - 2, "e": m1[2:34], "version": 1, "tag": "e5766b89a224ea3a"}}},
		"4 Handshake messages 2 and 3": {
			{m2, map[string]any{"length": len(m2) - 2, "e": m2[2:34], "s": m2[34:82], "proof": m2[82:]}},
			{m3, map[string]any{"length": len(m3) - 2, "s": m3[2:50], "proof": m3[50:]}},
			{proof, map[string]any{"record length": len(record), "record": record, "parameters": params}},
		},
		"5 Record": {{slices.Concat(rec, body, tag), map[string]any{"length": 316, "kind": 7, "sealed": body, "tag": tag}}},
		"6 Frame": {{frame, map[string]any{
			"length": len(body), "flags": 0x0f, "opcode": 0x01020304, "id": 0x0a0b0c0d, "payload": body}}},
		"8 Ping and Pong":                   {{payload("ping"), map[string]any{"echo": []byte("carrier!")}}},
		"9 Keepalive and KeepaliveResponse": {{payload("keepalive"), map[string]any{"echo": []byte{1}}}},
		"10 Disconnect and Error":           {{payload("disconnect"), map[string]any{"code": 1, "text": []byte("node goes down")}}},
		"11 Credit":                         {{payload("credit"), map[string]any{"granted": 1 << 20}}},
	}
	p := loadPage(t)
	for section, want := range samples {
		tables := p.tablesOf(section, "offset", "size", "name")
		if len(tables) != len(want) {
			t.Errorf("section %q has %d layout tables, want %d", section, len(tables), len(want))
			continue
		}
		for i := range want {
			checkLayout(t, section, tables[i].rows, want[i])
		}
	}
	if n := len(p.tablesOf("", "offset", "size", "name")); n != 10 {
		t.Errorf("%d layout tables, of which 10 are checked", n)
	}
}

// checkLayout walks the rows. A size of n is what the other rows leave of the sample, or, where it stands twice, the size
// of the bytes expected; an offset with n in it is not computed but must be where the row before ends.
func checkLayout(t *testing.T, section string, rows [][]string, s sample) {
	t.Helper()
	fixed := 0
	for _, row := range rows {
		size, _ := strconv.Atoi(row[1])
		fixed += size
	}
	at, seen := 0, map[string]bool{}
	for _, row := range rows {
		name := row[2]
		want, known := s.fields[name]
		seen[name] = true
		size, err := strconv.Atoi(row[1])
		if row[1] == "n" {
			size, err = len(s.wire)-fixed, nil
			if b, ok := want.([]byte); ok {
				size = len(b)
			}
		}
		if off, bad := strconv.Atoi(row[0]); err != nil || !known || (bad == nil && off != at) || (bad != nil && !strings.Contains(row[0], "n")) {
			t.Errorf("%s: row %q does not begin where the one before ends, at %d, or is of no known field", section, row, at)
			return
		}
		if at+size > len(s.wire) {
			t.Errorf("%s: %s ends at %d, the sample has %d bytes", section, name, at+size, len(s.wire))
			return
		}
		here := s.wire[at : at+size]
		var same bool
		switch want := want.(type) {
		case int:
			same = littleEndian(here) == uint64(want)
		case string:
			same = hex.EncodeToString(here) == want
		case []byte:
			same = bytes.Equal(here, want)
		}
		if !same {
			t.Errorf("%s: at %d, in %d bytes, stands % x; %s is %v", section, at, size, here, name, want)
		}
		at += size
	}
	if at != len(s.wire) || len(seen) != len(s.fields) {
		t.Errorf("%s: the rows end at %d of %d bytes and name %d of %d fields", section, at, len(s.wire), len(seen), len(s.fields))
	}
}

func littleEndian(b []byte) (v uint64) {
	for i := range b {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

// framingConstants are this package's, for the tables and for packages whose constants are made of them.
var framingConstants = map[string]constant.Value{
	"RecordHeaderSize":  constant.MakeInt64(framing.RecordHeaderSize),
	"TagSize":           constant.MakeInt64(framing.TagSize),
	"RecordBodyLimit":   constant.MakeInt64(framing.RecordBodyLimit),
	"RecordGather":      constant.MakeInt64(framing.RecordGather),
	"FrameHeaderSize":   constant.MakeInt64(framing.FrameHeaderSize),
	"FramePayloadLimit": constant.MakeInt64(framing.FramePayloadLimit),
	"FragmentedLimit":   constant.MakeInt64(framing.FragmentedLimit),
	"GatheredLimit":     constant.MakeInt64(framing.GatheredLimit),
}

// TestWireDocumentLimits holds every row of a table of limits against its constant.
func TestWireDocumentLimits(t *testing.T) {
	constants := map[string]map[string]constant.Value{
		"engine":    constantsOf(t, "../engine"),
		"handshake": constantsOf(t, "../handshake"),
		"opcode":    constantsOf(t, "../opcode"),
		"framing":   framingConstants,
	}
	for _, facts := range opcode.All() {
		constants["opcode"]["Facts("+facts.Name+")"] = constant.MakeInt64(int64(facts.PayloadLimit))
	}
	seen := map[string]bool{}
	for _, table := range loadPage(t).tablesOf("", "limit", "value", "why") {
		for _, row := range table.rows {
			pkg, name, _ := strings.Cut(strings.Trim(row[0], "`"), ".")
			seen[pkg+"."+name] = true
			value, _, _ := strings.Cut(row[1], " ")
			want := constants[pkg][name]
			if want == nil {
				t.Errorf("%s: there is no constant %s", table.section, row[0])
			} else if got := strings.ReplaceAll(value, ",", ""); got != want.ExactString() {
				t.Errorf("%s: %s is %s, the document says %s", table.section, row[0], want, row[1])
			}
		}
	}
	for name := range constants["framing"] {
		if !seen["framing."+name] {
			t.Errorf("framing.%s stands in no table of limits", name)
		}
	}
}

// TestWireDocumentCodes holds the flags and the codes of goodbyes against the constants, in both directions.
func TestWireDocumentCodes(t *testing.T) {
	p := loadPage(t)
	documented := map[string]string{}
	for _, table := range p.tablesOf("10 Disconnect and Error", "code", "name", "meaning") {
		for _, row := range table.rows {
			documented["Code"+row[1]] = row[0]
		}
	}
	codes := map[string]string{}
	for name, value := range constantsOf(t, "../engine") {
		if regexp.MustCompile(`^Code[A-Z]`).MatchString(name) {
			codes[name] = value.ExactString()
		}
	}
	if len(codes) == 0 || !maps.Equal(documented, codes) {
		t.Errorf("the document has the codes %v, the engine %v", documented, codes)
	}
	var flags framing.Flags
	for _, table := range p.tablesOf("6 Frame", "flag", "name", "meaning") {
		for _, row := range table.rows {
			bit, err := strconv.ParseUint(row[0], 0, 8)
			if err != nil || framing.Flags(bit).String() != row[1] {
				t.Errorf("flag %s is %v, the document calls it %s", row[0], framing.Flags(bit), row[1])
			}
			flags |= framing.Flags(bit)
		}
	}
	if all := framing.FlagReply | framing.FlagWantsAck | framing.FlagMore | framing.FlagCompressed; flags != all {
		t.Errorf("the document has the flags %v, the code %v", flags, all)
	}
}

// TestWireDocumentErrors: every error of this package has its row, and every error named exists in its package.
func TestWireDocumentErrors(t *testing.T) {
	p := loadPage(t)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`(\\w+)\\.(Err\\w+)`").FindAllStringSubmatch(p.text, -1) {
		named[m[1]+"."+m[2]] = true
		dir := map[string]string{"session": "engine/internal/session"}[m[1]]
		if dir == "" {
			dir = m[1]
		}
		if !declares(t, "../"+dir, m[2]) {
			t.Errorf("the document names %s.%s, which does not exist", m[1], m[2])
		}
	}
	for name := range errorsByName {
		if !named["framing."+name] {
			t.Errorf("framing.%s is in no table of what can be wrong", name)
		}
	}
	for _, table := range p.tablesOf("", "what", "error", "fault and fate") {
		for _, row := range table.rows {
			if fate := row[2]; !strings.Contains(fate, "close") && !strings.Contains(fate, "drop") && !strings.HasPrefix(fate, "taken") {
				t.Errorf("%s: %q has no fate", table.section, row)
			}
		}
	}
}

// exampleBlocks matches a worked example: where its vector is, the bytes, the bytes explained.
var exampleBlocks = regexp.MustCompile("(?s)Vector: `([^`]+)`, `([^`]+)`(?:, `([^`]+)`)?\n\n```text\n(.*?)```\n\n```text\n(.*?)```\n")

// TestWireDocument holds every example against its vector and against Dump, and every numbered section of a message to
// having one. -update writes the examples.
func TestWireDocument(t *testing.T) {
	p := loadPage(t)
	if version := constantsOf(t, "../handshake")["helloVersion"]; !strings.Contains(p.text, "\nVersion "+version.ExactString()+" · ") {
		t.Errorf("the head does not say version %v", version)
	}
	examples := 0
	text := exampleBlocks.ReplaceAllStringFunc(p.text, func(block string) string {
		examples++
		m := exampleBlocks.FindStringSubmatch(block)
		b, explained := exampleBytes(t, m[1], m[2], m[3])
		want := fmt.Sprintf("```text\n%s```\n\n```text\n%s```\n", wrapped(b), explained)
		head, got, _ := strings.Cut(block, "```")
		if got = "```" + got; got != want && !*update {
			t.Errorf("the example of %s %s differs from its vector; want\n%s", m[1], m[2], want)
		}
		return head + want
	})
	if sections := strings.Count(p.text, "\n### Example\n"); examples < sections || sections < 9 {
		t.Errorf("%d examples in %d sections", examples, sections)
	}
	if *update {
		if err := os.WriteFile(wireDocument, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// exampleBytes returns the bytes of a vector and their explanation.
func exampleBytes(t *testing.T, path, name, part string) (b []byte, explained string) {
	t.Helper()
	if part != "" {
		b = handshakeVector(t, name, part)
		return b, framing.DumpStream(b)
	}
	v := fileVector(t, filepath.Join("..", path), name)
	return v.wire, v.explained
}

// wrapped writes hex in lines of 32 bytes.
func wrapped(b []byte) string {
	var out strings.Builder
	for word := range strings.FieldsSeq(runs(b)) {
		for len(word) > 64 {
			out.WriteString(word[:64] + "\n")
			word = word[64:]
		}
		out.WriteString(word + "\n")
	}
	return out.String()
}

func frameVector(t *testing.T, name string) vector {
	return fileVector(t, "testdata/frames.txt", name)
}

func fileVector(t *testing.T, path, name string) vector {
	t.Helper()
	_, vectors := loadVectors(t, path)
	i := slices.IndexFunc(vectors, func(v vector) bool { return v.name == name })
	if i < 0 {
		t.Fatalf("%s has no vector %q", path, name)
	}
	return vectors[i]
}

// handshakeVector returns one value of a block of handshake.txt.
func handshakeVector(t *testing.T, name, key string) []byte {
	t.Helper()
	text, err := os.ReadFile("../handshake/testdata/handshake.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "\nname="+name+"\n")
	block, _, _ = strings.Cut(block, "\n\n")
	_, value, _ := strings.Cut(block, "\n"+key+"=")
	value, _, _ = strings.Cut(value, "\n")
	b, err := hex.DecodeString(value)
	if err != nil || len(b) == 0 {
		t.Fatalf("handshake.txt: %s: no %s (%v)", name, key, err)
	}
	return b
}

// constantsOf returns the constants that a package declares. It looks at their declarations alone, so that this package
// need not import what stands above it; what it cannot compute without packages other than framing is missing.
func constantsOf(t *testing.T, dir string) map[string]constant.Value {
	t.Helper()
	fset := token.NewFileSet()
	conf := types.Config{Importer: onlyFraming{}, Error: func(error) {}}
	pkg, _ := conf.Check(dir, fset, sources(t, fset, dir, func(d ast.Decl) bool {
		g, ok := d.(*ast.GenDecl)
		return ok && g.Tok != token.VAR
	}), nil)
	values := map[string]constant.Value{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && c.Val().Kind() == constant.Int {
			values[name] = c.Val()
		}
	}
	return values
}

// onlyFraming imports framingConstants and nothing else.
type onlyFraming struct{}

func (onlyFraming) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, filepath.Base(path))
	if pkg.Name() != "framing" {
		return nil, fmt.Errorf("%s is not looked at", path)
	}
	for name, value := range framingConstants {
		pkg.Scope().Insert(types.NewConst(token.NoPos, pkg, name, types.Typ[types.UntypedInt], value))
	}
	pkg.MarkComplete()
	return pkg, nil
}

// declares reports whether a package declares a variable of this name.
func declares(t *testing.T, dir, name string) bool {
	t.Helper()
	for _, file := range sources(t, token.NewFileSet(), dir, func(d ast.Decl) bool { return true }) {
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, spec := range g.Specs {
					if slices.ContainsFunc(spec.(*ast.ValueSpec).Names, func(id *ast.Ident) bool { return id.Name == name }) {
						return true
					}
				}
			}
		}
	}
	return false
}

// sources parses the files of a package without its tests, keeping the declarations that pass.
func sources(t *testing.T, fset *token.FileSet, dir string, keep func(ast.Decl) bool) (files []*ast.File) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		f.Decls = slices.DeleteFunc(f.Decls, func(d ast.Decl) bool { return !keep(d) })
		files = append(files, f)
	}
	if len(files) == 0 {
		t.Fatalf("no Go files in %s", dir)
	}
	return files
}

// The sealed record of the vectors is what anybody gets who follows the document: AES-256-GCM with this key, the nonce of
// record 0, and the header as additional data.
func TestSealedVector(t *testing.T) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain := frameVector(t, "ping-empty").wire
	want := make([]byte, framing.RecordHeaderSize)
	framing.PutRecordHeader(want, framing.KindFrames, len(plain)+framing.TagSize)
	want = aead.Seal(want, make([]byte, 12), plain, want[:framing.RecordHeaderSize])
	if got := fileVector(t, "testdata/streams.txt", "record-sealed").wire; !bytes.Equal(got, want) {
		t.Errorf("the vector is %x, want %x", got, want)
	}
}
