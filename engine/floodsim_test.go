package engine_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// A siege is a node, its peers, who ask it something all the time, and what knocks at it meanwhile.
type siege struct {
	*world
	host  *simnet.Host
	node  *engine.Network
	peers []*engine.PeerClient
	took  []time.Duration // the answers'
	lost  int
	dice  *rand.Rand
	knock []byte
	open  []byte
}

func newSiege(t *testing.T) *siege {
	s := &siege{world: simWorld(t, 7, simnet.Weather{Latency: 5 * time.Millisecond}), dice: rand.New(rand.NewPCG(1, 2))}
	s.node = s.world.node(overDatagrams(s.world, &s.host), func(n *engine.Network) { n.AddComponent(&counter{}) })
	for range 20 {
		s.peers = append(s.peers, s.dial(s.world.node(overDatagrams(s.world, nil)), s.node))
	}
	s.knock, s.open = make([]byte, datagram.BaseSize), make([]byte, datagram.HeaderSize+8+20+100)
	s.knock[datagram.HeaderSize+8] = 1 // the version
	return s
}

// initiate sends the beginning of a handshake from an address that nobody has: a Knock, or an Open with a cookie of a right age.
func (s *siege) initiate(n int) {
	b, kind := s.knock, datagram.Knock
	if n%2 == 1 {
		b, kind = s.open, datagram.Open
		for i := datagram.HeaderSize + 8; i+8 <= len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], s.dice.Uint64())
		}
		binary.LittleEndian.PutUint32(b[datagram.HeaderSize+8:], uint32(s.Net().Now()/time.Second))
	}
	datagram.PutHeader(b, kind, datagram.ID(s.dice.Uint64()))
	binary.LittleEndian.PutUint64(b[datagram.HeaderSize:], s.dice.Uint64())
	r := s.dice.Uint32()
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, byte(r), byte(r >> 8), byte(r >> 16)}), 1024+uint16(r>>24))
	s.Net().Inject(from, s.node.Addrs()[0].AddrPort, b)
}

// ask has one of the peers ask.
func (s *siege) ask(n int) {
	s.Helper()
	at := s.Net().Now()
	err := s.peers[n%len(s.peers)].RequestRawAsync(opAsk, []byte("?"), 0, func(_ *engine.ComponentContext, err error) {
		if err != nil {
			s.lost++
			return
		}
		s.took = append(s.took, s.Net().Now()-at)
	})
	if err != nil {
		s.Fatal(err)
	}
}

// last is how long it lasts: 5 ms steps in each of which so many handshakes begin and one peer asks. It
// returns the answers' p50, p99 and worst.
func (s *siege) last(steps, initiations int) [3]time.Duration {
	s.Helper()
	s.took, s.lost = nil, 0
	for step := range steps {
		for n := range initiations {
			s.initiate(n)
		}
		s.ask(step)
		s.Pass(5 * time.Millisecond)
	}
	s.Pass(time.Second)
	slices.Sort(s.took)
	n := len(s.took)
	if n != steps || s.lost > 0 {
		s.Errorf("%d of %d requests were answered, %d failed", n, steps, s.lost)
	}
	return [3]time.Duration{s.took[n/2], s.took[n*99/100], s.took[n-1]}
}

// A million handshakes that begin from made-up addresses, 20,000 a second: memory stays, established peers
// are answered as quickly as before, every time, and who is new gets in.
func TestMillionInitiations(t *testing.T) {
	steps, each := 10_000, 100
	if testing.Short() || raceBuild {
		steps = 300
	}
	s := newSiege(t)
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s.last(100, each) // what grows once has grown
	calm := s.last(steps, 0)
	before := heap()
	stormy := s.last(steps, each)
	grown := heap() - before
	t.Logf("%d initiations: heap %+d bytes, p50, p99 and worst %v, without them %v", steps*each, grown, stormy, calm)
	for i, took := range stormy {
		if took > calm[i]+time.Millisecond || took < 10*time.Millisecond {
			t.Errorf("%v with %d initiations, %v without: p50, p99 and worst", stormy, steps*each, calm)
			break
		}
	}
	if grown > 256<<10 {
		t.Errorf("%d bytes of heap for %d initiations", grown, steps*each)
	}
	if all, _ := s.node.ConnMgr().Count(); all != len(s.peers) || s.node.Stats().HalfOpen != 0 {
		t.Errorf("%d peers, %d half open", all, s.node.Stats().HalfOpen)
	}
	if c := s.host.DatagramCounts(); c.BadCookie.Load() < int64(steps*each/2) || c.Cookies.Load() == 0 {
		t.Errorf("%d cookies, %d bad ones: not what was sent", c.Cookies.Load(), c.BadCookie.Load())
	}
	dial := s.startDial(s.world.node(overDatagrams(s.world, nil)), target(s.node))
	s.last(300, each)
	if _, err := dial.get(); err != nil {
		t.Errorf("who is new meanwhile does not get in: %v", err)
	}
}
