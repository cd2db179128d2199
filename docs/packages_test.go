package docs_test

import (
	"fmt"
	"go/ast"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// wordsAtLeast and sentencesAtLeast are how short a package comment may be: "Package x implements x." teaches nobody.
const (
	wordsAtLeast     = 30
	sentencesAtLeast = 3
)

// emptyNames say nothing about what is inside.
var emptyNames = []string{"util", "utils", "common", "base", "helper", "helpers", "manager", "types", "pkg", "misc"}

func checkPackages(tr *tree) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, p := range tr.packages() {
		name, comments := "", []string{}
		for _, s := range p.files {
			if s.test && p.serving() {
				continue
			}
			name = s.ast.Name.Name
			if s.ast.Doc != nil {
				comments = append(comments, s.ast.Doc.Text())
			}
		}
		for _, part := range append(strings.Split(p.dir, "/"), strings.TrimSuffix(name, "_test")) {
			if slices.Contains(emptyNames, part) {
				bad("%s: %q is a name for anything: say what is inside", p.dir, part)
				break
			}
		}
		if len(comments) != 1 {
			bad("%s has %d package comments, must have one", p.dir, len(comments))
			continue
		}
		switch words, sentences := len(strings.Fields(comments[0])), sentenceCount(comments[0]); {
		case words < wordsAtLeast || sentences < sentencesAtLeast:
			bad("%s: the package comment has %d words in %d sentences: what is it, what is it not, who owns the state?", p.dir, words, sentences)
		case name == "main" && !strings.HasPrefix(comments[0], "Command "):
			bad("%s: the package comment does not begin with %q", p.dir, "Command ")
		case name != "main" && !strings.HasPrefix(comments[0], "Package "+name+" "):
			bad("%s: the package comment does not begin with %q", p.dir, "Package "+name)
		}
	}
	return problems
}

var sentenceEnd = regexp.MustCompile(`[a-z0-9)"]{2}[.:?](\s|$)`)

func sentenceCount(text string) int { return len(sentenceEnd.FindAllString(text, -1)) }

// TestPackages holds this repository to it.
func TestPackages(t *testing.T) { none(t, checkPackages(repository(t))) }

// TestPackagesRefuse shows that each kind of bad package is found.
func TestPackagesRefuse(t *testing.T) {
	const good = "// Package x is a thing for tests. It is not for anything else, which is why it can be short and still says\n" +
		"// enough words. Its state belongs to nobody. Errors mean nothing, since there are none at all here.\npackage x\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"good", map[string]string{"x/x.go": good, "x/y.go": "package x\n"}, ""},
		{"none", map[string]string{"x/x.go": "package x\n"}, "0 package comments"},
		{"two", map[string]string{"x/x.go": good, "x/y.go": good}, "2 package comments"},
		{"a licence is none", map[string]string{"x/x.go": "// Licence.\n\npackage x\n"}, "0 package comments"},
		{"too short", map[string]string{"x/x.go": "// Package x implements x.\npackage x\n"}, "4 words in 0 sentences"},
		{"one long sentence", map[string]string{"x/x.go": "// Package x " + strings.Repeat("and so on ", 20) + "for ever.\npackage x\n"}, "in 1 sentences"},
		{"another package's", map[string]string{"x/x.go": strings.Replace(good, "package x\n", "package z\n", 1)}, `begin with "Package z"`},
		{"a command's", map[string]string{"x/x.go": strings.Replace(good, "package x\n", "package main\n", 1)}, `begin with "Command "`},
		{"in a test only", map[string]string{"x/x.go": "package x\n", "x/x_test.go": good}, "0 package comments"},
		{"tests alone", map[string]string{"x/x_test.go": good}, ""},
		{"an empty name", map[string]string{"a/util/x.go": strings.ReplaceAll(good, "ackage x", "ackage util")}, "a name for anything"},
	} {
		t.Run(c.name, func(t *testing.T) { one(t, checkPackages(mapTree(t, c.files)), c.want) })
	}
}

// mapTree is a tree of these files.
func mapTree(t *testing.T, files map[string]string) *tree {
	t.Helper()
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return readTree(t, m)
}

// fuzzPattern is the line of .ci/run that says how it finds fuzz targets.
var fuzzPattern = regexp.MustCompile(`(?m)^fuzz_pattern='(.*)'$`)

// checkFuzz finds fuzz targets that the checks would not run: those their pattern does not see, or that need a build tag.
func checkFuzz(tr *tree, script string) (targets int, problems []string) {
	m := fuzzPattern.FindStringSubmatch(script)
	if m == nil {
		return 0, []string{".ci/run has no line fuzz_pattern='...'"}
	}
	pattern, err := regexp.Compile("(?m)" + m[1])
	if err != nil {
		return 0, []string{fmt.Sprintf(".ci/run: fuzz_pattern: %v", err)}
	}
	for _, p := range tr.packages() {
		for _, s := range p.files {
			for _, d := range s.ast.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") || !takesF(f) {
					continue
				}
				targets++
				line := strings.Split(s.text, "\n")[tr.fset.Position(f.Pos()).Line-1]
				switch {
				case !s.test:
					problems = append(problems, s.name+": "+f.Name.Name+" is not in a test file")
				case !strings.Contains(pattern.FindString(line), f.Name.Name):
					problems = append(problems, s.name+": "+f.Name.Name+" is not found by the pattern in .ci/run")
				case strings.Contains(s.text, "\n//go:build") || strings.HasPrefix(s.text, "//go:build"):
					problems = append(problems, s.name+": "+f.Name.Name+" needs a build tag, which .ci/run does not give")
				}
			}
		}
	}
	return targets, problems
}

// takesF reports whether the one parameter is a *testing.F.
func takesF(f *ast.FuncDecl) bool {
	if f.Type.Params.NumFields() != 1 {
		return false
	}
	star, ok := f.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "F"
}

// TestFuzzTargetsRun: every fuzz target of the tree is one that .ci/run finds by itself.
func TestFuzzTargetsRun(t *testing.T) {
	tr := repository(t)
	script, err := fs.ReadFile(tr.files, ".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	targets, problems := checkFuzz(tr, string(script))
	none(t, problems)
	if targets == 0 {
		t.Error("no fuzz target found: this test looks in the wrong place")
	}
}

func TestFuzzTargetsRefuse(t *testing.T) {
	const script = "fuzz_pattern='^func Fuzz[A-Za-z0-9_]*\\(.*\\*testing\\.F\\)'\n"
	for _, c := range []struct{ name, file, text, want string }{
		{"found", "a/a_test.go", "package a\nfunc FuzzX(f *testing.F) {}\n", ""},
		{"no fuzz target", "a/a_test.go", "package a\nfunc FuzzX(n int) {}\n", ""},
		{"split over lines", "a/a_test.go", "package a\nfunc FuzzX(\nf *testing.F) {}\n", "not found by the pattern"},
		{"not a test file", "a/a.go", "package a\nfunc FuzzX(f *testing.F) {}\n", "not in a test file"},
		{"tagged", "a/a_test.go", "//go:build slow\n\npackage a\nfunc FuzzX(f *testing.F) {}\n", "needs a build tag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := checkFuzz(mapTree(t, map[string]string{c.file: c.text}), script)
			one(t, problems, c.want)
		})
	}
	_, problems := checkFuzz(mapTree(t, nil), "no pattern")
	one(t, problems, "no line fuzz_pattern")
}
