package handshake

import (
	"slices"
	"testing"
)

// Sealing and opening, in order or as datagrams, must not allocate.
func TestRecordAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, size := range []int{0, 64, 16 << 10, 64 << 10} {
		seal, open := keyPair(0)
		cs, co := seal.Expand(), open.Expand()
		var w Window
		rec := record(string(make([]byte, size)), 0)
		work := slices.Clone(rec)
		if n := testing.AllocsPerRun(200, func() {
			copy(work, rec)
			if err := seal.Seal(cs, work); err != nil {
				t.Fatal(err)
			}
			if _, err := open.Open(co, work[:headerSize], work[headerSize:]); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%d bytes: Seal and Open allocate %v times, promised 0", size, n)
		}
		if n := testing.AllocsPerRun(200, func() {
			copy(work, rec)
			counter := seal.Counter()
			if err := seal.SealWith(cs, work[:headerSize], work[headerSize:]); err != nil || !w.Check(counter) {
				t.Fatal(err)
			}
			if _, err := open.OpenAt(co, counter, work[:headerSize], work[headerSize:]); err != nil || !w.Accept(counter) {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%d bytes: datagrams allocate %v times, promised 0", size, n)
		}
		if n := testing.AllocsPerRun(200, func() {
			work[len(work)-1]++
			if _, err := open.Open(co, work[:headerSize], work[headerSize:]); err == nil {
				t.Fatal("opened with a wrong tag")
			}
		}); n != 0 {
			t.Errorf("%d bytes: refusing allocates %v times, promised 0", size, n)
		}
	}
}
