package spread

import (
	"testing"

	"github.com/carrier-p2p/carrier/skad"
)

// BenchmarkReceive: a message that is known, and one that is not, without its signature check.
func BenchmarkReceive(b *testing.B) {
	b.Run("message=known", func(b *testing.B) {
		s := newStage(b, nil)
		from := s.peer(1, 1)
		m := s.via(from, s.message(s.origin, 1, "x"))
		s.receive(from, m)
		b.ReportAllocs()
		for b.Loop() {
			s.core.Receive(0, from, &m)
		}
		if s.core.Stats().Dropped[skad.SpreadKnown] == 0 {
			b.Fatal("not a duplicate")
		}
	})
	b.Run("message=new/payload=256", func(b *testing.B) {
		s := newStage(b, func(c *Config) {
			c.OriginRate, c.OriginBurst, c.TotalRate, c.TotalBurst = rateLimit, rateLimit, rateLimit, rateLimit
		})
		from, payload := s.peer(2, 1), string(make([]byte, 256))
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m := s.via(from, s.message(s.origin, uint64(i+1), payload))
			s.core.Receive(0, from, &m)
			for _, ok := s.core.Next(); ok; _, ok = s.core.Next() {
			}
		}
		if int(s.core.Stats().Delivered) < min(b.N, rateLimit) {
			b.Fatalf("%d of %d delivered", s.core.Stats().Delivered, b.N)
		}
	})
}
