package skad

import "testing"

// BenchmarkAdopt offers 10,000 contacts to an empty table, which is how simulations begin: per contact, most of which
// find no place.
func BenchmarkAdopt(b *testing.B) {
	rnd := newRand(1)
	all := make([]*Contact, 10_000)
	for i := range all {
		all[i] = fakeContact(randomID(rnd), i)
	}
	b.ReportAllocs()
	for b.Loop() {
		c := newCore(b, 2, nil)
		for _, d := range all {
			c.Adopt(0, d)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all)), "ns/contact")
}
