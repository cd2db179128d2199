package sim

import (
	"math"
	"testing"
)

// TestContactsLaw: the values that the table of facts gives for it.
func TestContactsLaw(t *testing.T) {
	for _, v := range []struct {
		n, k int
		want float64
	}{{1000, 16, 1.85}, {4000, 16, 2.23}, {200_000, 16, 3.27}, {1000, 8, 2.25}, {1000, 20, 1.75}} {
		if got := ContactsLaw(v.n, v.k); math.Abs(got-v.want) > .01 {
			t.Errorf("n=%d k=%d: %v, want %v", v.n, v.k, got, v.want)
		}
	}
}

// TestPathLaw: by hand.
func TestPathLaw(t *testing.T) {
	for _, v := range []struct {
		lengths []int
		m       float64
		d       int
		want    float64
	}{
		{nil, .5, 1, 0},
		{[]int{1}, .9, 1, 1}, // known beforehand
		{[]int{0, 1}, .2, 1, .8},
		{[]int{0, 1}, .2, 2, 1 - .04},
		{[]int{0, 0, 1}, .5, 1, .25},
		{[]int{0, 3, 1}, .5, 2, .75*.75 + .25*(1-.75*.75)},
		{[]int{0, 5}, 1, 8, 0},
		{[]int{0, 5}, 0, 1, 1},
	} {
		if got := PathLaw(v.lengths, v.m, v.d); math.Abs(got-v.want) > 1e-12 {
			t.Errorf("%v m=%v d=%d: %v, want %v", v.lengths, v.m, v.d, got, v.want)
		}
	}
}
