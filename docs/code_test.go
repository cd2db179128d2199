package docs_test

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A Go block in a document has a line in front of it that says where its code lives, as a comment that readers do not see:
//
//	<!-- code: examples/hello/main.go -->           the file, from its imports on
//	<!-- code: examples/hello/main.go main -->      one declaration of it
//	<!-- code: x/x.go T.String -->                   a method
//	<!-- code: docs/example_test.go Example_call --> the body of an Example, which go test runs
var (
	marker = regexp.MustCompile(`^<!-- code: (\S+)(?: ([\w.]+))? -->$`)
	output = regexp.MustCompile(`(?ms)\n\s*// (Unordered o|O)utput:.*\z`)
)

// A block is one Go block of a page.
type block struct {
	page        string
	first, last int // its lines between the fences: [first, last)
	text        string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.first) }

// goBlocks returns the Go blocks of a page, given as lines. One that is not closed ends with the page.
func goBlocks(page string, lines []string) (blocks []block) {
	for i := 0; i < len(lines); i++ {
		if lines[i] != "```go" {
			continue
		}
		first := i + 1
		for i++; i < len(lines) && lines[i] != "```"; i++ {
		}
		blocks = append(blocks, block{page, first, i, strings.Join(lines[first:i], "\n")})
	}
	return blocks
}

// checkCode finds Go blocks that are not, to the letter, code of the tree.
func checkCode(tr *tree) (blocks int, problems []string) {
	for _, page := range tr.pages {
		lines := pageLines(tr, page)
		for _, b := range goBlocks(page, lines) {
			blocks++
			want, err := wanted(tr, lines, b)
			switch {
			case err != nil:
				problems = append(problems, fmt.Sprintf("%v: %v", b, err))
			case b.text != want:
				problems = append(problems, fmt.Sprintf("%v: differs from its source (go test ./docs -run TestCode -update), which is:\n%s", b, want))
			}
		}
	}
	return blocks, problems
}

func pageLines(tr *tree, page string) []string {
	b, err := fs.ReadFile(tr.files, page)
	if err != nil {
		return nil // readTree has just seen it
	}
	return strings.Split(string(b), "\n")
}

// wanted is what a block has to show, by the marker in front of it.
func wanted(tr *tree, lines []string, b block) (string, error) {
	m := marker.FindStringSubmatch(lineBefore(lines, b.first-1))
	if m == nil {
		return "", errors.New("no line <!-- code: file name --> says where this code lives")
	}
	return codeOf(tr, m[1], m[2])
}

// lineBefore is the last line before lines[i] that is not empty.
func lineBefore(lines []string, i int) string {
	for i--; i >= 0; i-- {
		if lines[i] != "" {
			return lines[i]
		}
	}
	return ""
}

// codeOf returns what a block with this marker has to show.
func codeOf(tr *tree, file, name string) (string, error) {
	for _, s := range tr.sources(path.Dir(file)) {
		if s.name != file {
			continue
		}
		if name == "" {
			return strings.TrimSpace(s.text[tr.fset.Position(s.ast.Package).Offset:]), nil
		}
		for _, d := range s.ast.Decls {
			if declares(d, name) {
				return shown(tr, d, name), nil
			}
		}
		return "", fmt.Errorf("%s declares no %s", file, name)
	}
	return "", fmt.Errorf("there is no %s", file)
}

func (tr *tree) sources(dir string) []*source {
	if p := tr.dirs[dir]; p != nil {
		return p.files
	}
	return nil
}

func declares(d ast.Decl, name string) bool {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return receiver(d)+d.Name.Name == name
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok && s.Name.Name == name {
				return true
			}
		}
	}
	return false
}

// receiver is "T." for the methods of T and *T, "" for functions.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if id, ok := of.(*ast.Ident); ok {
		return id.Name + "."
	}
	return "?."
}

// shown is a declaration as written, comments inside included; of an Example only the body, without its expected output.
func shown(tr *tree, d ast.Decl, name string) string {
	f, isFunc := d.(*ast.FuncDecl)
	if !isFunc || !strings.HasPrefix(name, "Example") {
		return tr.raw(d.Pos(), d.End())
	}
	body := output.ReplaceAllString(tr.raw(f.Body.Lbrace+1, f.Body.Rbrace), "")
	return strings.TrimSpace(strings.ReplaceAll(body, "\n\t", "\n"))
}

// raw is the text between two places of one file.
func (tr *tree) raw(from, to token.Pos) string {
	at := tr.fset.Position(from)
	for _, s := range tr.sources(path.Dir(at.Filename)) {
		if s.name == at.Filename {
			return s.text[at.Offset:tr.fset.Position(to).Offset]
		}
	}
	return ""
}

var update = flag.Bool("update", false, "rewrite the Go blocks of the documents from their sources")

// TestCode holds every document to it.
func TestCode(t *testing.T) {
	if *update {
		rewrite(t, repository(t))
	}
	blocks, problems := checkCode(repository(t))
	none(t, problems)
	if blocks == 0 {
		t.Error("no Go block found: this test looks in the wrong place")
	}
}

// rewrite brings the blocks of every page up to their sources.
func rewrite(t *testing.T, tr *tree) {
	t.Helper()
	for _, page := range tr.pages {
		lines := pageLines(tr, page)
		blocks := goBlocks(page, lines)
		for _, b := range slices.Backward(blocks) {
			if want, err := wanted(tr, lines, b); err == nil && want != b.text {
				lines = slices.Replace(lines, b.first, b.last, strings.Split(want, "\n")...)
				if err := os.WriteFile("../"+page, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestCodeRefuses(t *testing.T) {
	files := map[string]string{
		"x/main.go":      "// Command x.\npackage main\n\nimport \"fmt\"\n\n// A T.\ntype T struct{ N int }\n\n// main says so.\nfunc main() {\n\t// why\n\tfmt.Println(1)\n}\n",
		"x/main_test.go": "package main\n\nfunc (u *U) one() { return 1 }\n\nfunc Example_one() {\n\tif true {\n\t\tprint(1)\n\t}\n\t// Output:\n\t// 1\n}\n",
	}
	for _, c := range []struct{ name, page, want string }{
		{"a file", "<!-- code: x/main.go -->\n```go\npackage main\n\nimport \"fmt\"\n\n// A T.\ntype T struct{ N int }\n\n// main says so.\nfunc main() {\n\t// why\n\tfmt.Println(1)\n}\n```\n", ""},
		{"a function", "<!-- code: x/main.go main -->\n\n```go\nfunc main() {\n\t// why\n\tfmt.Println(1)\n}\n```\n", ""},
		{"a type", "<!-- code: x/main.go T -->\n```go\ntype T struct{ N int }\n```\n", ""},
		{"a method", "<!-- code: x/main_test.go U.one -->\n```go\nfunc (u *U) one() { return 1 }\n```\n", ""},
		{"another's method", "<!-- code: x/main_test.go V.one -->\n```go\nfunc (u *U) one() { return 1 }\n```\n", "declares no V.one"},
		{"an Example", "<!-- code: x/main_test.go Example_one -->\n```go\nif true {\n\tprint(1)\n}\n```\n", ""},
		{"another language", "```sh\nmake check\n```\n", ""},
		{"no marker", "text\n```go\nfunc main() {}\n```\n", "no line <!-- code"},
		{"drifted", "<!-- code: x/main.go T -->\n```go\ntype T struct{ N int64 }\n```\n", "differs from its source"},
		{"a comment less", "<!-- code: x/main.go main -->\n```go\nfunc main() {\n\tfmt.Println(1)\n}\n```\n", "differs"},
		{"no such file", "<!-- code: x/none.go T -->\n```go\ntype T struct{ N int }\n```\n", "there is no x/none.go"},
		{"no such name", "<!-- code: x/main.go U -->\n```go\ntype U int\n```\n", "declares no U"},
		{"never closed", "<!-- code: x/main.go T -->\n```go\ntype T struct{ N int }\n", "differs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := map[string]string{"docs/page.md": c.page}
			for name, text := range files {
				all[name] = text
			}
			_, problems := checkCode(mapTree(t, all))
			one(t, problems, c.want)
		})
	}
}
