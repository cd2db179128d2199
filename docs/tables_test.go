package docs_test

import (
	"fmt"
	"strings"
	"testing"
)

// checkTables finds rows with another number of cells than the head of their table: readers lose what is too much. A bar that
// is no border has a backslash in front, in code as well.
func checkTables(tr *tree) (problems []string) {
	for _, page := range tr.pages {
		head := 0 // cells of the table's first row; 0: there is no table
		for i, line := range outsideCode(pageLines(tr, page)) {
			cells := cellsOf(line)
			if head == 0 || cells == 0 {
				head = cells
			}
			if cells != head {
				problems = append(problems, fmt.Sprintf("%s:%d: %d cells in a table of %d", page, i+1, cells, head))
			}
		}
	}
	return problems
}

// outsideCode is the lines of a page with empty ones in place of fenced code.
func outsideCode(lines []string) []string {
	out, fenced := make([]string, len(lines)), false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimLeft(line, " "), "```")
		if !fence && !fenced {
			out[i] = line
		}
		fenced = fenced != fence
	}
	return out
}

// cellsOf is how many cells a row of a table has; 0: the line is none.
func cellsOf(line string) int {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return 0
	}
	return strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") - 1
}

// TestTables holds every document to it.
func TestTables(t *testing.T) { none(t, checkTables(repository(t))) }

func TestTablesRefuse(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a table", "| a | b |\n|---|---|\n| 1 | 2 |\n", ""},
		{"two tables", "| a | b |\n|---|---|\n\n| a |\n|---|\n", ""},
		{"in a list", "- x\n\n  | a | b |\n  |---|---|\n  | 1 | 2 |\n", ""},
		{"a bar in code", "| a | b |\n|---|---|\n| `x|y` | 2 |\n", "docs/page.md:3: 3 cells in a table of 2"},
		{"a bar that is marked", "| a | b |\n|---|---|\n| `x\\|y` | 2 |\n", ""},
		{"a cell that is missing", "| a | b |\n|---|---|\n| 1 |\n", "1 cells in a table of 2"},
		{"code", "```\n| a | b |\n| 1 |\n```\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			one(t, checkTables(mapTree(t, map[string]string{"docs/page.md": c.text})), c.want)
		})
	}
}
