package opcode_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/opcode"
)

// A row of the table in docs/opcodes.md: one code, or a range of numbers without one.
type row struct {
	first, last opcode.Opcode
	cells       []string // name, answered by, payload limit, credited, needs proven peer
}

// TestOpcodesMatchDocs holds docs/opcodes.md to the facts in both directions: every row is a code with exactly these
// facts, every code is a row, and the ranges named as not assigned are, without a gap up to the first application code.
func TestOpcodesMatchDocs(t *testing.T) {
	rows := docsRows(t)
	var documented []opcode.Facts
	next := opcode.Opcode(0)
	for _, r := range rows {
		if r.first != next {
			t.Errorf("the row for %d follows the one that ends at %d: numbers are missing, twice or out of order", r.first, int(next)-1)
		}
		next = r.last + 1
		if r.cells[0] != "" {
			documented = append(documented, rowFacts(t, r))
			continue
		}
		if !strings.HasPrefix(r.cells[1], "never assigned: ") && !strings.HasPrefix(r.cells[1], "not assigned: ") {
			t.Errorf("numbers %d to %d have no name and do not say that they are not assigned: %q", r.first, r.last, r.cells[1])
		}
		for c := r.first; c <= r.last; c++ {
			if f, ok := opcode.FactsOf(c); ok {
				t.Errorf("%d is not assigned according to the document, but is %s", c, f.Name)
			}
		}
	}
	if next != opcode.ApplicationOpCodeStart {
		t.Errorf("the table ends at %d, applications start at %d", next-1, opcode.ApplicationOpCodeStart)
	}
	for i, f := range opcode.All() {
		if i >= len(documented) || documented[i] != f {
			t.Errorf("no row with exactly these facts: %+v", f)
		}
	}
	if len(documented) != len(opcode.All()) {
		t.Errorf("%d rows with names, %d codes", len(documented), len(opcode.All()))
	}
}

// docsRows returns the rows of the first table of the document.
func docsRows(t *testing.T) []row {
	t.Helper()
	b, err := os.ReadFile("../docs/opcodes.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 8 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		first, last, isRange := strings.Cut(cells[1], "-")
		from, err := strconv.ParseUint(first, 10, 32)
		if err != nil {
			continue // the head of the table
		}
		to := from
		if isRange {
			if to, err = strconv.ParseUint(last, 10, 32); err != nil {
				t.Fatalf("not a range of numbers: %q", line)
			}
		}
		rows = append(rows, row{opcode.Opcode(from), opcode.Opcode(to), cells[2:7]})
	}
	if len(rows) == 0 {
		t.Fatal("docs/opcodes.md has no table")
	}
	return rows
}

func rowFacts(t *testing.T, r row) opcode.Facts {
	t.Helper()
	return opcode.Facts{
		Code:         r.first,
		Name:         r.cells[0],
		AnsweredBy:   r.cells[1],
		PayloadLimit: parseSize(t, r.cells[2]),
		Credited:     parseYes(t, r.cells[3]),
		NeedsProven:  parseYes(t, r.cells[4]),
	}
}

func parseYes(t *testing.T, s string) bool {
	t.Helper()
	if s != "yes" && s != "no" {
		t.Errorf("%q is neither yes nor no", s)
	}
	return s == "yes"
}

func parseSize(t *testing.T, s string) int {
	t.Helper()
	number, unit, _ := strings.Cut(s, " ")
	n, err := strconv.Atoi(number)
	factor, ok := map[string]int{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]
	if err != nil || !ok {
		t.Errorf("not a size: %q", s)
	}
	return n * factor
}

// TestFactsAreSound checks what holds for all codes together, whatever the single numbers are.
func TestFactsAreSound(t *testing.T) {
	all := opcode.All()
	if !slices.IsSortedFunc(all, func(a, b opcode.Facts) int { return cmp.Compare(a.Code, b.Code) }) {
		t.Error("All is not in the order of the numbers")
	}
	names := map[string]opcode.Opcode{}
	for _, f := range all {
		if other, ok := names[f.Name]; ok {
			t.Errorf("%d and %d are both called %s", other, f.Code, f.Name)
		}
		names[f.Name] = f.Code
		if got, ok := opcode.FactsOf(f.Code); !ok || got != f {
			t.Errorf("FactsOf(%d) = %+v, %t; All has %+v", f.Code, got, ok, f)
		}
		if f.AnsweredBy == "" {
			t.Errorf("%s is answered by nobody in particular", f.Name)
		}
		if f.NeedsProven != (f.Code != opcode.UnregisteredCode) {
			t.Errorf("%s: needs proven peer: %t", f.Name, f.NeedsProven)
		}
		if (f.PayloadLimit > 0) != (f.Code != opcode.UnregisteredCode) || f.PayloadLimit > opcode.DefaultPayloadLimit {
			t.Errorf("%s: payload limit %d", f.Name, f.PayloadLimit)
		}
		// What flows without credit is bounded by its size alone.
		if !f.Credited && f.PayloadLimit > 1<<10 {
			t.Errorf("%s is not credited and may be %d bytes", f.Name, f.PayloadLimit)
		}
	}
}

// TestUncredited pins the codes that must flow when credit is used up; a deadlock follows from any of them missing.
func TestUncredited(t *testing.T) {
	var got []opcode.Opcode
	for _, f := range opcode.All() {
		if !f.Credited {
			got = append(got, f.Code)
		}
	}
	want := []opcode.Opcode{
		opcode.KeepaliveCode, opcode.KeepaliveResponseCode, opcode.PingCode, opcode.PongCode,
		opcode.DisconnectCode, opcode.ErrorCode, opcode.CreditCode,
	}
	if !slices.Equal(got, want) {
		t.Errorf("uncredited are %v, want %v", got, want)
	}
}

// TestNumbers pins the numbers on the wire, those of the protocol's description first. None may ever change.
func TestNumbers(t *testing.T) {
	want := map[opcode.Opcode]uint32{
		opcode.UnregisteredCode: 0, opcode.BytesCode: 1, opcode.KeepaliveCode: 2, opcode.KeepaliveResponseCode: 3,
		opcode.ProxyResponseCode: 9, opcode.PingCode: 10, opcode.PongCode: 11, opcode.LookupNodeRequestCode: 12,
		opcode.LookupNodeResponseCode: 13, opcode.DisconnectCode: 14, opcode.ProxyRequestCode: 15,
		opcode.MetricRequestCode: 16, opcode.MetricResponseCode: 17, opcode.AckResponseCode: 18,
		opcode.ErrorCode: 19, opcode.CreditCode: 20, opcode.BroadcastCode: 21, opcode.BroadcastHaveCode: 22,
		opcode.BroadcastWantCode: 23, opcode.RouteCode: 24, opcode.RouteAckCode: 25, opcode.RecordCode: 26,
		opcode.DialBackRequestCode: 27, opcode.DialBackResponseCode: 28, opcode.NoReplyCode: 29,
	}
	for c, n := range want {
		if uint32(c) != n {
			t.Errorf("%v is %d, want %d", c, uint32(c), n)
		}
	}
	if len(want) != len(opcode.All()) {
		t.Errorf("%d codes pinned, %d exist", len(want), len(opcode.All()))
	}
	if opcode.ApplicationOpCodeStart != 1000 {
		t.Errorf("applications start at %d", opcode.ApplicationOpCodeStart)
	}
}

func TestString(t *testing.T) {
	for c, want := range map[opcode.Opcode]string{
		0: "Unregistered", 1: "Bytes", 3: "KeepaliveResponse", 4: "Opcode(4)", 8: "Opcode(8)", 12: "LookupNodeRequest",
		28: "DialBackResponse", 29: "NoReply", 30: "Opcode(30)", 1003: "Opcode(1003)", 1<<32 - 1: "Opcode(4294967295)",
	} {
		if got := fmt.Sprint(c); got != want {
			t.Errorf("%d prints %q, want %q", uint32(c), got, want)
		}
	}
}
