package gnetio_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
)

// A server answers what it receives.
type server struct{}

func (server) Opened(transport.Link, any)       {}
func (server) DialFailed(any, error)            {}
func (server) Bytes(l transport.Link, b []byte) { l.Write(append([]byte("you said "), b...)) }
func (server) Writable(transport.Link)          {}
func (server) Closed(transport.Link, error)     {}
func (server) Turn(transport.Loop)              {}
func (server) Refused(transport.Addr, error)    {}
func (server) Failed(error)                     {}

// A client says hello, and reports the answer and the end.
type client struct {
	server
	done chan struct{}
}

func (c client) Opened(l transport.Link, tag any) {
	fmt.Println("opened:", tag)
	l.Write([]byte("hello"))
}

func (c client) Bytes(l transport.Link, b []byte) {
	fmt.Printf("received: %s\n", b)
	l.Close()
}

func (c client) Closed(_ transport.Link, err error) {
	fmt.Println("closed:", err)
	close(c.done)
}

func Example() {
	listening := gnetio.New(gnetio.Config{Loops: 1})
	bound, err := listening.Start(server{}, []transport.Addr{
		{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listening.Stop()

	dialling := gnetio.New(gnetio.Config{Loops: 1})
	c := client{done: make(chan struct{})}
	if _, err := dialling.Start(c, nil); err != nil {
		fmt.Println(err)
		return
	}
	defer dialling.Stop()
	dialling.Dial(context.Background(), bound[0], "greeting")
	<-c.done
	// Output:
	// opened: greeting
	// received: you said hello
	// closed: <nil>
}
