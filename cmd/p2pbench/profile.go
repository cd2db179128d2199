package main

import (
	"os"
	"runtime/pprof"
)

// startProfile begins a CPU profile of this process, if one is wanted; done ends it.
func startProfile(prefix, side string) (done func(), err error) {
	if prefix == "" {
		return func() {}, nil
	}
	file, err := os.Create(prefix + "-" + side + ".pprof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		_ = file.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	}, nil
}
