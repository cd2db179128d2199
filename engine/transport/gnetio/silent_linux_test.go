package gnetio

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// silentNet makes addresses that never answer: claims, which drop every packet.
func silentNet(t testing.TB) func() transport.Addr {
	return func() transport.Addr {
		c, err := claimAll([]transport.Addr{loopback()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.release)
		return c.bound()[0]
	}
}
