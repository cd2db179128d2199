package engine

import "testing"

// The text of a goodbye is a stranger's, and ends in logs and on terminals: nothing of it moves a cursor,
// changes a colour or turns what stands beside it around.
func TestClipIsPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"so long":                "so long",
		"línea – 線":              "línea – 線",
		"\x1b[31mred\x1b[0m":     " [31mred [0m",
		"\u009b2J":               " 2J",
		"a\x7fb\tc\r\nd":         "a b c  d",
		"abc\u202edcba\u2066":    "abc dcba ",
		"joined\u200bbyte\ufeff": "joined byte ",
	} {
		if got := clip(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
