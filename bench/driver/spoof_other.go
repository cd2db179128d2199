//go:build !linux

package driver

import (
	"io"

	"github.com/carrier-p2p/carrier/bench/load"
)

// Spoof: only on Linux is all of 127.0.0.0/8 this machine's own.
func (d *carrierDialer) Spoof(string, func() int, func(load.Spoofed)) error { return load.ErrNoSpoofer }

// Nobody: there is nothing to be compared.
func (d *carrierDialer) Nobody() (string, io.Closer, error) { return "", nil, load.ErrNoSpoofer }
