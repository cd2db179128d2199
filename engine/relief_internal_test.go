package engine

import (
	"sync"
	"testing"
)

// What is short is claimed once, however many loops see it at the same time: with pieces of a tenth of it,
// ten times; and anew when what was claimed has been given back and did not help.
func TestReliefClaimsOnce(t *testing.T) {
	const short, piece, loops = 1000, 100, 8
	var r relief
	for round := range 100 {
		var all sync.WaitGroup
		claims := make([]int, loops)
		for i := range loops {
			all.Go(func() {
				for claims[i] < short && r.claim(short, piece) {
					claims[i]++
				}
			})
		}
		all.Wait()
		sum := 0
		for _, n := range claims {
			sum += n
		}
		if sum != short/piece {
			t.Fatalf("round %d: %d claims of %d bytes, where %d are short", round, sum, piece, short)
		}
		for range sum {
			r.given(piece)
		}
	}
	if r.claim(0, piece) || r.claim(-1, piece) {
		t.Error("claimed where nothing is short")
	}
	if !r.claim(1, 10*short) || r.claim(10*short, 1) {
		t.Error("what is claimed counts whole, though it may be more than is short")
	}
}
