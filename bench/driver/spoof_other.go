//go:build !linux

package driver

import (
	"context"

	"github.com/carrier-p2p/carrier/bench/load"
)

// Spoof: only on Linux is all of 127.0.0.0/8 this machine's own.
func (d *carrierDialer) Spoof(context.Context, string, func(int)) error { return load.ErrNoSpoofer }
