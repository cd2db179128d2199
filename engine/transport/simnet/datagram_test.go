package simnet_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/engine/transport/transporttest"
)

// Hosts with datagrams keep the contract of transports over datagrams.
func TestDatagramContract(t *testing.T) {
	transporttest.RunDatagrams(t, func(testing.TB) *transporttest.Net {
		n := simnet.New(1, simnet.Weather{})
		number := uint16(4000)
		return &transporttest.Net{
			New: func() transport.Transport { return n.Host(ipA, simnet.Datagrams(datagram.Config{})) },
			Listen: func() transport.Addr {
				number++
				return udpAt(ipA, number)
			},
			Refusing: func() transport.Addr { return udpAt(ipB, 1) },
			Silent:   func() transport.Addr { return udpAt(ipB, 1) },
			Step:     func(<-chan struct{}) bool { return n.Step() },
			Serial:   true,
		}
	})
}

func udpAt(a netip.Addr, port uint16) transport.Addr {
	return transport.Addr{Proto: transport.UDP, AddrPort: netip.AddrPortFrom(a, port)}
}

// A count is a Sink that answers each first datagram and counts the rest.
type count struct {
	links  []transport.Link
	bytes  int
	got    int
	failed error
}

func (c *count) Opened(l transport.Link, _ any) { c.links = append(c.links, l) }
func (c *count) DialFailed(_ any, err error)    { c.failed = err }
func (c *count) Writable(transport.Link)        {}
func (c *count) Closed(transport.Link, error)   {}
func (c *count) Turn(transport.Loop)            {}
func (c *count) Refused(transport.Addr, error)  {}
func (c *count) Failed(error)                   {}
func (c *count) Bytes(l transport.Link, b []byte) {
	if c.got++; c.got == 1 {
		_, _ = l.Write([]byte("welcome"))
	}
	c.bytes += len(b)
	l.(transport.DatagramLink).Authentic(true)
}

// pairOver starts two hosts and opens a link between them.
func pairOver(t *testing.T, n *simnet.Net) (near, far *count, a, b *simnet.Host, l transport.Link) {
	t.Helper()
	near, far = &count{}, &count{}
	a, b = n.Host(ipA, simnet.Datagrams(datagram.Config{})), n.Host(ipB, simnet.Datagrams(datagram.Config{}))
	if _, err := a.Start(near, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Start(far, []transport.Addr{udpAt(ipB, 4001)}); err != nil {
		t.Fatal(err)
	}
	a.Dial(context.Background(), udpAt(ipB, 4001), nil)
	n.Run(time.Second)
	if len(near.links) == 0 {
		t.Fatalf("no link: %v", near.failed)
	}
	l = near.links[0]
	if _, err := l.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	n.Run(time.Second)
	return near, far, a, b, l
}

// What Weather says of datagrams is what happens to them: the parts that are lost, come twice and come short.
func TestDatagramWeather(t *testing.T) {
	for _, c := range []struct {
		name        string
		w           simnet.Weather
		least, most int // of 10,000
	}{
		{"calm", simnet.Weather{}, 10_000, 10_000},
		{"lost", simnet.Weather{Loss: 0.25}, 7_200, 7_800},
		{"twice", simnet.Weather{Twice: 0.25}, 12_200, 12_800},
		{"overtaken", simnet.Weather{Jitter: time.Second}, 10_000, 10_000},
		{"gone", simnet.Weather{Loss: 1}, 0, 0},
	} {
		n := simnet.New(1, simnet.Weather{})
		_, far, _, _, l := pairOver(t, n)
		n.SetWeather(c.w)
		before := far.got
		for range 10_000 {
			if _, err := l.Write([]byte("0123456789")); err != nil {
				t.Fatal(err)
			}
		}
		n.Run(time.Minute)
		if got := far.got - before; got < c.least || got > c.most {
			t.Errorf("%s: %d of 10000 arrived, want %d to %d", c.name, got, c.least, c.most)
		}
	}
	n := simnet.New(1, simnet.Weather{})
	_, far, _, _, l := pairOver(t, n)
	n.SetWeather(simnet.Weather{Short: 1})
	before := far.bytes
	for range 100 {
		_, _ = l.Write(make([]byte, 1000))
	}
	n.Run(time.Minute)
	if got := far.bytes - before; got <= 0 || got >= 100_000 {
		t.Errorf("%d of 100000 bytes of datagrams that are all cut", got)
	}
}

// The same seed is the same run, datagram for datagram; another one is another.
func TestDatagramDeterminism(t *testing.T) {
	run := func(seed uint64) uint64 {
		n := simnet.New(seed, simnet.Weather{Loss: 0.1, Jitter: 5 * time.Millisecond, Twice: 0.1, Short: 0.1})
		near, far := &count{}, &count{}
		a, b := n.Host(ipA, simnet.Datagrams(datagram.Config{})), n.Host(ipB, simnet.Datagrams(datagram.Config{}))
		_, _ = a.Start(near, nil)
		_, _ = b.Start(far, []transport.Addr{udpAt(ipB, 4001)})
		a.Dial(context.Background(), udpAt(ipB, 4001), nil)
		for range 50 {
			n.Run(100 * time.Millisecond)
			for _, l := range near.links {
				_, _ = l.Write([]byte("hello"))
			}
		}
		return n.Trace()
	}
	if run(1) != run(1) {
		t.Error("two runs of one seed differ")
	}
	if run(1) == run(2) {
		t.Error("two seeds are the same run")
	}
}

// A host that moves is followed; one that crashes says nothing more; a partition loses what crosses it.
func TestDatagramHosts(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	near, far, a, b, l := pairOver(t, n)
	away := netip.MustParseAddr("10.77.0.1")
	a.Move(away)
	_, _ = l.Write([]byte("I am elsewhere"))
	n.Run(3 * time.Second)
	if b.DatagramCounts().Moved.Load() != 1 {
		t.Errorf("%d moves", b.DatagramCounts().Moved.Load())
	}
	before := near.got
	if _, err := far.links[0].Write([]byte("found you")); err != nil {
		t.Fatal(err)
	}
	n.Run(time.Second)
	if near.got != before+1 {
		t.Error("what is sent after the move does not arrive")
	}
	n.Partition([]netip.Addr{ipB})
	got := far.got
	_, _ = l.Write([]byte("lost"))
	n.Run(time.Minute)
	n.Heal()
	n.Run(time.Minute)
	if far.got != got {
		t.Error("a datagram has waited for the end of a partition")
	}
	b.Crash()
	_, _ = l.Write([]byte("nobody there"))
	n.Run(time.Minute)
	if far.got != got {
		t.Error("a crashed host hears")
	}
	a.Dial(context.Background(), transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ipB, 1)}, nil)
	n.Run(time.Second)
	if !errors.Is(near.failed, datagram.ErrUnsupported) {
		t.Errorf("a dial over tcp: %v", near.failed)
	}
}
