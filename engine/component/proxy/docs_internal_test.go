package proxy

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// docs/relay.md says what the code does: the limits, the sizes of every message with its fields in a row, and the reasons.
func TestRelayDocument(t *testing.T) {
	b, err := os.ReadFile("../../../docs/relay.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	defaults := map[string]int64{"ReservationsDefault": ReservationsDefault, "CircuitsDefault": CircuitsDefault, "CircuitsPerNodeDefault": CircuitsPerNodeDefault,
		"WindowDefault": WindowDefault, "MemoryDefault": MemoryDefault, "BytesDefault": BytesDefault,
		"LifetimeDefault": int64(LifetimeDefault), "DurationDefault": int64(DurationDefault)}
	units := map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "h": int64(time.Hour)}
	rows := regexp.MustCompile("(?m)^\\| `\\w+` \\| (\\d+)(?: (\\w+))? \\| `(\\w+)` \\|").FindAllStringSubmatch(page, -1)
	if len(rows) != len(defaults) {
		t.Errorf("%d limits in the document, %d in the code", len(rows), len(defaults))
	}
	for _, row := range rows {
		if n, _ := strconv.ParseInt(row[1], 10, 64); n*units[row[2]] != defaults[row[3]] {
			t.Errorf("%s is %d, the document says %s %s", row[3], defaults[row[3]], row[1], row[2])
		}
	}

	found := map[int]int{} // size by kind; 0 is the response, -1 any size
	for _, table := range regexp.MustCompile(`(?s)\| offset \| size \| name \| meaning \|\n\|---\|---\|---\|---\|\n(.*?)\n\n`).FindAllStringSubmatch(page, -1) {
		size, kinds := 0, []int{0}
		for _, line := range strings.Split(table[1], "\n") {
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			if at, err := strconv.Atoi(cells[0]); err != nil || at != size {
				t.Errorf("row %q begins at %s, the one before ends at %d", line, cells[0], size)
			}
			if cells[2] == "kind" {
				kinds = nil
				for _, n := range regexp.MustCompile(`\d+`).FindAllString(cells[3], -1) {
					k, _ := strconv.Atoi(n)
					kinds = append(kinds, k)
				}
			}
			if n, err := strconv.Atoi(cells[1]); err == nil {
				size += n
			} else if size = -1; !strings.Contains(cells[3], "1 to 16,367 bytes") || dataLimit != 16367 {
				t.Errorf("%q: at most %d", line, dataLimit)
			}
		}
		for _, k := range kinds {
			found[k] = size
		}
	}
	want := map[int]int{0: responseSize}
	for k := int(kindReserve); k < len(sizes); k++ {
		if want[k] = sizes[k]; sizes[k] == 0 {
			want[k] = -1
		}
	}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("messages in the document, by kind: %v, in the code: %v", found, want)
	}
	for i, name := range reasonNames {
		if !strings.Contains(page, fmt.Sprintf("\n| %d | %s | ", i, name)) {
			t.Errorf("no row for reason %d, %s", i, name)
		}
	}
	if strings.Contains(page, fmt.Sprintf("\n| %d | ", len(reasonNames))) {
		t.Errorf("more reasons in the document than %d", len(reasonNames))
	}
}
