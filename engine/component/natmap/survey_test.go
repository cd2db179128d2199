package natmap

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A survey finds what a node would find, lists what the gateway maps, and leaves nothing behind.
func TestLook(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(f *fake)
		trial  Port
		kind   Kind
		mapped bool
		listed int
	}{
		{"both protocols", func(*fake) {}, tcp4001, KindMapped, true, 1},
		{"nothing is tried", func(*fake) {}, Port{}, KindLooking, false, 1},
		{"no address", func(f *fake) { f.address = "192.168.9.9" }, tcp4001, KindStacked, false, 1},
		{"refused", func(f *fake) {
			f.deaf = true
			f.soap = func(action string, args map[string]string) (int, string) {
				if action == "AddPortMapping" {
					return soapFault(606)
				}
				return f.goodSOAP(action, args)
			}
		}, tcp4001, KindRefused, false, 1},
		{"silent", func(f *fake) { f.deaf, f.found = true, func(string) string { return "" } }, tcp4001, KindSilent, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.set(func() { c.spoil(f) })
			s := Look(t.Context(), f.at, c.trial)
			if s.Kind() != c.kind || len(s.Mappings) > 0 != c.mapped || len(s.Listed) != c.listed || s.Gateway.Addr != f.at {
				t.Errorf("%v, want %v: %+v", s.Kind(), c.kind, s)
			}
			if c.listed > 0 && s.Listed[0] != (Listed{"TCP", 80, "192.168.1.3", 8080, "web?", 60, true}) {
				t.Errorf("%+v", s.Listed)
			}
			f.set(func() {
				if len(f.table) != 0 {
					t.Errorf("left behind: %v", f.table)
				}
				if c.trial == (Port{}) && slices.Contains(f.calls, "AddPortMapping") {
					t.Errorf("%v", f.calls)
				}
			})
		})
	}
}

// A gateway's words are cut and cannot paint the terminal; errors are said in a few.
func TestWords(t *testing.T) {
	if got := printable("\x1b[31mred\n" + strings.Repeat("x", 1000)); strings.ContainsAny(got, "\x1b\n") || len(got) != nameLimit {
		t.Errorf("%q", got)
	}
	for err, want := range map[error]string{nil: "", ErrGone: "nobody listens at the gateway", pmpError(errors.New("x")): "the gateway's answer makes no sense"} {
		a := AgentReport{Err: err}
		if got := a.Why(); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}
