package node_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// running is a node on loopback that ends with the test.
func running(t *testing.T, listen ...string) *engine.Network {
	t.Helper()
	n, err := node.New(easy(node.Config{Listen: listen}))
	if err == nil {
		err = n.Start(brief(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Shutdown(context.Background()) })
	return n
}

// A dial that fails says once where to, and why, whatever has dialled below.
func TestDialFailureText(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut := "tcp://" + l.Addr().String()
	l.Close()
	server, client := running(t, "tcp://127.0.0.1:0"), running(t)
	at := server.Target()
	wrong := engine.Target{Addr: at.Addr, ID: identity.ID{0xab}}
	closed, err := transport.ParseAddr(shut)
	if err != nil {
		t.Fatal(err)
	}
	mismatch := "engine: dial " + wrong.String() + ": closed here: protocol, the peer's fault: handshake: not the expected peer: " +
		server.ID().Short() + ", expected " + wrong.ID.Short()

	for _, c := range []struct {
		name string
		dial func() (*engine.PeerClient, error)
		want string
		is   error
	}{
		{"nobody listens", func() (*engine.PeerClient, error) { return client.Dial(brief(t), shut) },
			"engine: dial " + shut + ": connect: connection refused", syscall.ECONNREFUSED},
		{"somebody else", func() (*engine.PeerClient, error) { return client.Dial(brief(t), wrong.String()) },
			mismatch, engine.ErrPeerMismatch},
		{"no transport", func() (*engine.PeerClient, error) { return client.Dial(brief(t), "quic://127.0.0.1:1") },
			"engine: dial quic://127.0.0.1:1: no transport serves this protocol: quic (there is tcp, relay)", engine.ErrNoTransport},
		{"a node", func() (*engine.PeerClient, error) {
			return client.DialNode(brief(t), wrong.ID, []transport.Addr{closed})
		}, "engine: dial " + wrong.ID.Short() + ": dial " + engine.Target{Addr: closed, ID: wrong.ID}.String() + ": connect: connection refused", syscall.ECONNREFUSED},
	} {
		p, err := c.dial()
		if p != nil || err == nil || err.Error() != c.want || !errors.Is(err, c.is) {
			t.Errorf("%s: %v, %v\nwant %s", c.name, p, err, c.want)
		}
	}

	_, err = client.DialNode(brief(t), wrong.ID, []transport.Addr{closed, at.Addr})
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, engine.ErrPeerMismatch) || strings.Contains(err.Error(), "\n") ||
		strings.Count(err.Error(), "engine:") != 1 {
		t.Errorf("two addresses: %v", err)
	}
}
