package unixtransport_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/transporttest"
	"github.com/carrier-p2p/carrier/examples/unixtransport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestContract is all it takes to hold a transport of one's own to the contract.
func TestContract(t *testing.T) {
	transporttest.Run(t, func(t testing.TB) *transporttest.Net {
		dir := t.TempDir()
		return &transporttest.Net{
			New:      func() transport.Transport { return unixtransport.New(dir) },
			Listen:   func() transport.Addr { return unixtransport.Addr(0) },
			Refusing: func() transport.Addr { return unixtransport.Addr(9999) },
			Step: func(changed <-chan struct{}) bool {
				select {
				case <-changed:
					return true
				case <-time.After(time.Minute):
					return false
				}
			},
		}
	})
}

func TestAddresses(t *testing.T) {
	tcp := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:1")}
	if _, err := unixtransport.New(t.TempDir()).Start(nil, []transport.Addr{tcp}); err == nil {
		t.Error("listens on TCP")
	}
	if _, err := unixtransport.New(filepath.Join(t.TempDir(), "missing")).Start(nil, []transport.Addr{unixtransport.Addr(1)}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	if got := unixtransport.Addr(7).String(); got != "proto-128://127.0.0.1:7" {
		t.Error(got)
	}
}

// Two nodes greet each other over a Unix socket, with all that the engine gives them over TCP.
func Example() {
	dir, err := os.MkdirTemp("", "nodes")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	node := func(seed byte, listen ...transport.Addr) *engine.Network {
		id, err := identity.FromSeed(ctx, [32]byte{seed}, identity.Puzzle{})
		if err != nil {
			panic(err)
		}
		net, err := engine.New(engine.Config{
			Transport: unixtransport.New(dir), Listen: listen, Identity: id,
			Puzzle: &identity.Puzzle{}, WeakPuzzle: true, // a closed network: one machine
		})
		if err == nil {
			err = engine.Handle(net, 1000, func(ctx *engine.ComponentContext, hello *Hello) error {
				return ctx.Reply(&Hello{hello.Text + ", whoever you are"})
			})
		}
		if err == nil {
			err = net.Start(ctx)
		}
		if err != nil {
			panic(err)
		}
		return net
	}
	server, client := node(1, unixtransport.Addr(7)), node(2)
	defer server.Shutdown(ctx)
	defer client.Shutdown(ctx)

	peer, err := client.DialNode(ctx, server.ID(), server.Record().Addrs)
	if err != nil {
		panic(err)
	}
	answer, err := engine.Call[*Hello](ctx, peer, &Hello{"hello"})
	if err != nil {
		panic(err)
	}
	fmt.Println(peer.RemoteAddr())
	fmt.Println(answer.Text)
	// Output:
	// proto-128://127.0.0.1:7
	// hello, whoever you are
}

// Hello is the message of the example.
type Hello struct{ Text string }
