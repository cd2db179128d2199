package gnetio

import "testing"

// TestSetQueueLimit: the option is on the socket, and is set only when it changes.
func TestSetQueueLimit(t *testing.T) {
	pa, pb := newProbe(), newProbe()
	_, bound := start(t, Config{Loops: 1}, pb, loopback())
	a, _ := start(t, Config{Loops: 1}, pa)
	la, _ := connect(t, a, pa, pb, bound[0])
	get := func() int {
		v, ok := queueLimitOf(int(la.fd))
		if !ok {
			t.Skip("no such option here")
		}
		return v
	}
	for _, n := range []int{128 << 10, 0, 16 << 10} {
		la.SetQueueLimit(n)
		if got := get(); got != n {
			t.Errorf("TCP_NOTSENT_LOWAT is %d, want %d", got, n)
		}
	}
	setQueueLimit(int(la.fd), 99)
	la.SetQueueLimit(16 << 10)
	if got := get(); got != 99 {
		t.Errorf("an unchanged limit was set again")
	}
	la.SetQueueLimit(-1)
	if got := get(); got != 0 {
		t.Errorf("TCP_NOTSENT_LOWAT is %d after a negative limit, want the default, 0", got)
	}
}
