package simnet_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// A talker prints what it is told. The engine is such a Sink, only larger.
type talker struct{ name, hello string }

func (s talker) Opened(l transport.Link, _ any) {
	if _, err := l.Write([]byte(s.hello)); err != nil {
		fmt.Println(s.name, err)
	}
}

func (s talker) Bytes(l transport.Link, b []byte) {
	fmt.Printf("%v %s: got %q\n", l.Loop().Now(), s.name, b)
}

func (s talker) Closed(l transport.Link, err error) {
	fmt.Printf("%v %s: closed: %v\n", l.Loop().Now(), s.name, err)
}

func (s talker) DialFailed(_ any, err error)   { fmt.Printf("%s: %v\n", s.name, err) }
func (s talker) Writable(transport.Link)       {}
func (s talker) Turn(transport.Loop)           {}
func (s talker) Refused(transport.Addr, error) {}
func (s talker) Failed(error)                  {}

func must(_ []transport.Addr, err error) {
	if err != nil {
		panic(err)
	}
}

// Two hosts, a slow path, a partition and a crash: two virtual minutes in no time at all. The times are the same on every
// machine.
func Example() {
	net := simnet.New(42, simnet.Weather{Latency: 30 * time.Millisecond})
	a := net.Host(netip.MustParseAddr("192.0.2.1"))
	b := net.Host(netip.MustParseAddr("192.0.2.2"))

	at := transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(b.Addr(), 4001)}
	must(a.Start(talker{"a", "I am a"}, nil))
	must(b.Start(talker{"b", "I am b"}, []transport.Addr{at}))

	a.Dial(context.Background(), at, nil)
	net.Run(time.Second)

	net.Partition([]netip.Addr{a.Addr()})
	a.Dial(context.Background(), at, nil) // asks again and again
	net.Run(10 * time.Second)
	net.Heal()
	net.Run(time.Minute)

	b.Crash() // tells nobody
	a.Dial(context.Background(), at, nil)
	net.Run(time.Minute)

	// Output:
	// 90ms b: got "I am a"
	// 120ms a: got "I am b"
	// 16.09s b: got "I am a"
	// 16.12s a: got "I am b"
	// a: simnet: connection refused
}
