//go:build !linux

package gnetio

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// silentNet is unknown here.
func silentNet(testing.TB) func() transport.Addr { return nil }
