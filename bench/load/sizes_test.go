package load

import (
	"math"
	"testing"
)

// Sizes come in their shares, the same in every run, within every stream.
func TestSizes(t *testing.T) {
	mix := Config{Sizes: []SizeShare{{64, 70}, {1024, 25}, {65536, 5}}}.sizes()
	if mix.largest() != 65536 {
		t.Errorf("the largest is %d", mix.largest())
	}
	for _, stream := range []uint32{0, 1, 1000} {
		counts := map[int]float64{}
		const n = 20_000
		for seq := range uint64(n) {
			size := mix.pick(seq, stream)
			if size != mix.pick(seq, stream) {
				t.Fatal("one message has two sizes")
			}
			counts[size]++
		}
		for _, share := range mix.shares {
			if want := float64(share.Share) / 100; math.Abs(counts[share.Bytes]/n-want) > 0.02 {
				t.Errorf("stream %d: %v of the messages have %d B, want %v", stream, counts[share.Bytes]/n, share.Bytes, want)
			}
		}
	}
	if one := (Config{Size: 99}).sizes(); one.pick(5, 5) != 99 || one.largest() != 99 {
		t.Errorf("one size: %+v", one)
	}
}
