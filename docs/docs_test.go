// Package docs_test keeps promises that no compiler checks: which package may import which, that every package explains
// itself, that the documents say what the code does, that links lead somewhere, and that the code in the documents is code
// that runs.
//
// It reads the tree itself, through go/parser and not through the go command, so that the test cache sees every file it
// depends on. Each rule is a function from a tree to the problems it finds, and is tested twice: on small bad trees, which
// must not pass, and on this repository, which must.
//
//	floors_test.go    imports go down the floors; outside libraries come in through one door
//	packages_test.go  one package comment each, no empty names, fuzz targets where the checks run them
//	links_test.go     relative links and their anchors
//	tables_test.go    rows with as many cells as their head
//	code_test.go      Go blocks in documents are the body of a program or an Example in the tree
//	tuning_test.go    the table of limits in tuning.md is that of the constants
//	example_test.go   the code that docs/components.md shows
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/carrier-p2p/carrier"

// A tree is what the rules look at: the module's files, without those of modules inside it.
type tree struct {
	files fs.FS
	fset  *token.FileSet
	dirs  map[string]*pkg // by path inside the module; "." is the top
	pages []string        // *.md
}

// A pkg is one directory with Go files, all build tags together.
type pkg struct {
	dir   string
	files []*source
}

type source struct {
	name string // path inside the module
	test bool
	text string
	ast  *ast.File
}

// repository is this module's tree.
func repository(t *testing.T) *tree {
	t.Helper()
	return readTree(t, os.DirFS(".."))
}

func readTree(t *testing.T, files fs.FS) *tree {
	t.Helper()
	tr := &tree{files: files, fset: token.NewFileSet(), dirs: map[string]*pkg{}}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || exists(files, path.Join(name, "go.mod"))) {
				return fs.SkipDir
			}
			return nil
		case strings.HasSuffix(name, ".md"):
			tr.pages = append(tr.pages, name)
		case strings.HasSuffix(name, ".go"):
			return tr.addSource(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr *tree) addSource(name string) error {
	b, err := fs.ReadFile(tr.files, name)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(tr.fset, name, b, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	if tr.dirs[dir] == nil {
		tr.dirs[dir] = &pkg{dir: dir}
	}
	tr.dirs[dir].files = append(tr.dirs[dir].files, &source{name, strings.HasSuffix(name, "_test.go"), string(b), f})
	return nil
}

// packages returns the packages in the order of their paths.
func (tr *tree) packages() []*pkg {
	var all []*pkg
	for _, p := range tr.dirs {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return all
}

// serving reports whether p has code besides tests.
func (p *pkg) serving() bool {
	return slices.ContainsFunc(p.files, func(s *source) bool { return !s.test })
}

func exists(files fs.FS, name string) bool {
	_, err := fs.Stat(files, name)
	return err == nil
}

// none reports every problem as a failure of its own.
func none(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

// one expects exactly one problem, with these words in it; no words: no problem.
func one(t *testing.T, problems []string, words string) {
	t.Helper()
	switch {
	case words == "" && len(problems) == 0:
	case words == "" || len(problems) != 1 || !strings.Contains(problems[0], words):
		t.Errorf("problems %q, want one with %q", problems, words)
	}
}
