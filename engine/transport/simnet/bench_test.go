package simnet_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// An echo answers every read with as many bytes and counts the calls; it is as little as a Sink can be.
type echo struct {
	events int
	out    []byte
}

func (s *echo) Opened(l transport.Link, tag any) {
	s.events++
	if tag != nil {
		s.answer(l, len(s.out))
	}
}

func (s *echo) Bytes(l transport.Link, b []byte) {
	s.events++
	s.answer(l, len(b))
}

func (s *echo) answer(l transport.Link, size int) {
	if n, err := l.Write(s.out[:size]); n != size || err != nil {
		panic(fmt.Sprintf("wrote %d of %d, %v", n, size, err))
	}
}

func (s *echo) Writable(transport.Link)       { s.events++ }
func (s *echo) Closed(transport.Link, error)  { s.events++ }
func (s *echo) Turn(lp transport.Loop)        { s.events++; lp.Wake() }
func (s *echo) DialFailed(any, error)         { s.events++ }
func (s *echo) Refused(transport.Addr, error) {}
func (s *echo) Failed(error)                  {}

// echoes is hosts nodes of which each has dialled its neighbour and sends size bytes to and fro.
func echoes(t testing.TB, w simnet.Weather, hosts, size int) (*simnet.Net, []*echo) {
	n := simnet.New(1, w)
	var sinks []*echo
	var all []*simnet.Host
	for i := range hosts {
		h := n.Host(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		s := &echo{out: make([]byte, size)}
		if _, err := h.Start(s, []transport.Addr{tcp(h.Addr(), port)}); err != nil {
			t.Fatal(err)
		}
		sinks, all = append(sinks, s), append(all, h)
	}
	for i, h := range all {
		h.Dial(t.Context(), tcp(all[(i+1)%hosts].Addr(), port), i)
	}
	n.Run(time.Second)
	return n, sinks
}

// BenchmarkEvents is the cost of one event, Write included: one byte string going to and fro on every link.
func BenchmarkEvents(b *testing.B) {
	weathers := []struct {
		name string
		w    simnet.Weather
	}{
		{"calm", simnet.Weather{}},
		{"bad", simnet.Weather{Jitter: time.Millisecond, Loss: 0.01, Cut: 0.1, Rate: 10 << 20}},
	}
	for _, weather := range weathers {
		for _, hosts := range []int{2, 100, 10_000} {
			for _, size := range []int{100, 10_000} {
				b.Run(fmt.Sprintf("weather=%s/hosts=%d/bytes=%d", weather.name, hosts, size), func(b *testing.B) {
					n, _ := echoes(b, weather.w, hosts, size)
					b.ReportAllocs()
					for b.Loop() {
						if !n.Step() {
							b.Fatal("nothing left to do")
						}
					}
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
				})
			}
		}
	}
}

// TestStepAllocs: a net that has been running a while carries out events without allocating.
func TestStepAllocs(t *testing.T) {
	if raceBuild {
		t.Skip("the race detector allocates")
	}
	n, sinks := echoes(t, simnet.Weather{Jitter: time.Millisecond, Cut: 0.1, Rate: 1 << 20}, 20, 3000)
	n.Run(5 * time.Second)
	before := sinks[0].events
	if got := testing.AllocsPerRun(10_000, func() { n.Step() }); got != 0 {
		t.Errorf("%v allocations an event, promised 0", got)
	}
	if sinks[0].events == before {
		t.Error("nothing happened")
	}
}
