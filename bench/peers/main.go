package main

import (
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/process"
)

func main() { process.Main(drivers()...) }

func drivers() []load.Driver {
	return []load.Driver{libp2pDriver{name: "libp2p"}, libp2pDriver{name: "libp2p-each", each: true}, libp2pDriver{name: "libp2p-quic", quic: true},
		noiseDriver{}, rlpxDriver{}, natsDriver{}}
}
