package docs_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limitRow is a row of a table in tuning.md that names a constant: | field | default | constant | what |
var limitRow = regexp.MustCompile("(?m)^\\|[^|]*\\| *([0-9]+(?: (?:KiB|MiB|ms|s))?) *\\| *`([A-Za-z]+)` *\\|")

// checkLimits compares the rows of a page with the constants named ...Default of some files, in both directions.
func checkLimits(tr *tree, page string, files ...string) (problems []string) {
	want, file := map[string]int64{}, strings.Join(files, ", ")
	for _, f := range files {
		values, err := constants(tr, f)
		if err != nil {
			return []string{err.Error()}
		}
		maps.Copy(want, values)
	}
	maps.DeleteFunc(want, func(name string, _ int64) bool { return !ast.IsExported(name) || !strings.HasSuffix(name, "Default") })
	b, err := fs.ReadFile(tr.files, page)
	if err != nil {
		return []string{err.Error()}
	}
	for _, m := range limitRow.FindAllStringSubmatch(string(b), -1) {
		value, known := want[m[2]]
		switch n := spelled(m[1]); {
		case !known:
			problems = append(problems, fmt.Sprintf("%s: %s has no constant %s, or twice in the table", page, file, m[2]))
		case n != value:
			problems = append(problems, fmt.Sprintf("%s: %s is %s, and %d in %s", page, m[2], m[1], value, file))
		}
		delete(want, m[2])
	}
	for name := range want {
		problems = append(problems, fmt.Sprintf("%s: no row for %s of %s", page, name, file))
	}
	slices.Sort(problems)
	return problems
}

// spelled reads "16384", "64 KiB", "10 s"; spans are in nanoseconds.
func spelled(text string) int64 {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return -1
	}
	return n * map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "ms": int64(time.Millisecond), "s": int64(time.Second)}[unit]
}

// constants computes the numeric constants of one file, with the type checker, which for these needs no more than to be
// told what a second is.
func constants(tr *tree, file string) (map[string]int64, error) {
	for _, p := range tr.packages() {
		for _, s := range p.files {
			if s.name != file {
				continue
			}
			conf := types.Config{Importer: clockOnly{}, Error: func(error) {}} // names from other files are missing, and do not matter
			checked, _ := conf.Check(p.dir, tr.fset, []*ast.File{s.ast}, nil)
			values := map[string]int64{}
			for _, name := range checked.Scope().Names() {
				c, ok := checked.Scope().Lookup(name).(*types.Const)
				if !ok {
					continue
				}
				if n, exact := constant.Int64Val(constant.ToInt(c.Val())); exact {
					values[name] = n
				}
			}
			return values, nil
		}
	}
	return nil, fmt.Errorf("there is no %s", file)
}

// figure is a constant that is named with its value in running text: `coolAfter` (250 ms).
var figure = regexp.MustCompile("`([A-Za-z]+)` \\(([0-9]+(?: (?:KiB|MiB|ms|s))?)\\)")

// checkFigures compares figures in all pages with the constants of a file. Names that the file does not have are others'.
func checkFigures(tr *tree, file string) (found int, problems []string) {
	values, err := constants(tr, file)
	if err != nil {
		return 0, []string{err.Error()}
	}
	for _, page := range tr.pages {
		for _, m := range figure.FindAllStringSubmatch(strings.Join(pageLines(tr, page), " "), -1) {
			value, known := values[m[1]]
			if known {
				found++
			}
			if known && spelled(m[2]) != value {
				problems = append(problems, fmt.Sprintf("%s: %s is said to be %s, and is %d in %s", page, m[1], m[2], value, file))
			}
		}
	}
	return found, problems
}

// clockOnly imports a package time that has units, and empty packages for all else.
type clockOnly struct{}

func (clockOnly) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	if path == "time" {
		duration := types.NewNamed(types.NewTypeName(0, p, "Duration", nil), types.Typ[types.Int64], nil)
		p.Scope().Insert(duration.Obj())
		for name, d := range map[string]time.Duration{
			"Nanosecond": time.Nanosecond, "Microsecond": time.Microsecond, "Millisecond": time.Millisecond,
			"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
		} {
			p.Scope().Insert(types.NewConst(0, p, name, duration, constant.MakeInt64(int64(d))))
		}
	}
	p.MarkComplete()
	return p, nil
}

// TestLimits: every default of the engine is in tuning.md, with its value.
func TestLimits(t *testing.T) {
	tr := repository(t)
	none(t, checkLimits(tr, "docs/tuning.md", "engine/limits.go"))
	if want, err := constants(tr, "engine/limits.go"); err != nil || want["PeersDefault"] == 0 {
		t.Errorf("%v, %v: this test looks in the wrong place", want, err)
	}
}

// TestDeliveryLimits: so are those of what delivers.
func TestDeliveryLimits(t *testing.T) {
	none(t, checkLimits(repository(t), "docs/delivery.md", "engine/component/ack/limits.go", "engine/component/backoff/limits.go"))
}

// TestFigures: where a page names a constant of the engine with its value, that is its value.
func TestFigures(t *testing.T) {
	found, problems := checkFigures(repository(t), "engine/limits.go")
	none(t, problems)
	if found < 5 {
		t.Errorf("%d figures found: this test looks in the wrong place", found)
	}
}

func TestFiguresRefuse(t *testing.T) {
	const code = "package x\n\nimport \"time\"\n\nconst (\n\tsweepEvery = 100 * time.Millisecond\n\tlater = elsewhere + 1\n)\n"
	for _, c := range []struct{ name, page, want string }{
		{"right", "every `sweepEvery` (100 ms).", ""},
		{"wrong", "every `sweepEvery` (100 s).", "sweepEvery is said to be 100 s, and is 100000000"},
		{"over a line's end", "every `sweepEvery`\n(100 s).", "sweepEvery is said to be"},
		{"another's", "`other` (3)", ""},
		{"not known here", "`later` (3)", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := checkFigures(mapTree(t, map[string]string{"x/limits.go": code, "docs/page.md": c.page}), "x/limits.go")
			one(t, problems, c.want)
		})
	}
}

func TestLimitsRefuse(t *testing.T) {
	const code = "package x\n\nimport \"time\"\n\nconst (\n\tSizeDefault = 2 << 20\n\tSpanDefault = 2*time.Second + 500*time.Millisecond\n\thidden = 1\n)\n"
	const size, span = "| `Size` | 2 MiB | `SizeDefault` | bytes |\n", "| `Span` | 2500 ms | `SpanDefault` | time |\n"
	for _, c := range []struct{ name, page, want string }{
		{"right", size + span, ""},
		{"a row that names nothing", size + span + "| `Other` | `Size` | | as Size |\n", ""},
		{"wrong size", strings.Replace(size, "2 MiB", "2 KiB", 1) + span, "SizeDefault is 2 KiB, and 2097152"},
		{"wrong span", size + strings.Replace(span, "2500 ms", "2 s", 1), "SpanDefault is 2 s, and 2500000000"},
		{"a row less", size, "no row for SpanDefault"},
		{"a constant less", size + span + "| `Old` | 1 | `OldDefault` | |\n", "has no constant OldDefault"},
		{"a row twice", size + span + size, "or twice in the table"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := mapTree(t, map[string]string{"x/limits.go": code, "docs/page.md": c.page})
			one(t, checkLimits(tr, "docs/page.md", "x/limits.go"), c.want)
		})
	}
}
