package scenario

import "testing"

// law: the distance of two words is symmetric, and 0 only for equal ones.
func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"size", "size", 0}, {"size", "sizes", 1}, {"szie", "size", 1}, {"sise", "size", 1}, {"", "rate", 4},
		{"druation", "duration", 1}, {"conns", "rate", 5}, {"abcdefghijklmnop", "abcdefghijklmnop", 0}, {"abcdefghijklmnopq", "abcdefghijklmnopq", 16},
	} {
		if got, back := distance(test.a, test.b), distance(test.b, test.a); got != test.want || back != test.want {
			t.Errorf("%q and %q: %d, %d the other way round, want %d", test.a, test.b, got, back, test.want)
		}
	}
	for _, test := range []struct{ typed, want string }{
		{"szie", "size"}, {"rat", "rate"}, {"xy", ""}, {"r", ""}, {"conections", ""}, {"", ""}, {"directoin", "direction"},
	} {
		if got := nearest(test.typed, body.keys); got != test.want {
			t.Errorf("%q: %q was meant, want %q", test.typed, got, test.want)
		}
	}
}

// Every key that is told is one that is read, and the other way round.
func TestKeys(t *testing.T) {
	for _, at := range []place{head, body} {
		for _, key := range at.keys {
			p := parser{file: &File{}, said: map[string]bool{}}
			if at.name == body.name {
				p.run = &Run{}
			}
			if err := p.line(key, "x", 1); err != nil && err.Error() == noKey(key, at, place{}).Error() {
				t.Errorf("%s: %v", at.name, err)
			}
		}
	}
}
