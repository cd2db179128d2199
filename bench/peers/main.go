package main

import (
	"path"
	"runtime/debug"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/process"
)

func main() { process.Main(drivers()...) }

func drivers() []load.Driver {
	return []load.Driver{
		libp2pDriver{name: "libp2p"}, libp2pDriver{name: "libp2p-tls", tls: true}, libp2pDriver{name: "libp2p-each", each: true}, libp2pDriver{name: "libp2p-quic", quic: true},
		noiseDriver{}, rlpxDriver{}, natsDriver{}, memberlistDriver{}, memberlistDriver{datagrams: true},
	}
}

// moduleVersion names a module as this program was built with it.
func moduleVersion(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == module {
				return shortName(module) + " " + m.Version
			}
		}
	}
	return shortName(module)
}

// shortName is the last part of a module's path that is not its major version.
func shortName(module string) string {
	name := path.Base(module)
	if len(name) == 2 && name[0] == 'v' {
		name = path.Base(path.Dir(module))
	}
	return name
}
