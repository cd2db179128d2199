package driver

import (
	"fmt"
	"strings"

	"github.com/carrier-p2p/carrier/bench/load"
)

// All returns every contestant, in the order tables show them.
func All() []load.Driver {
	return []load.Driver{Carrier(), CarrierUDP(), CarrierQUIC(), Gnet(), TLS(), TLSMLKEM(), TCP(), QUIC()}
}

// Names returns the names of All.
func Names() []string {
	var names []string
	for _, d := range All() {
		names = append(names, d.Name())
	}
	return names
}

// ByName returns the driver of that name.
func ByName(name string) (load.Driver, error) {
	for _, d := range All() {
		if d.Name() == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("driver: no driver %q: want one of %s", name, strings.Join(Names(), ", "))
}

// Over returns the name of the driver that is name over a transport: "carrier" and "udp" are "carrier-udp". tcp is what every
// driver is for unless its name says otherwise.
func Over(name, transport string) (string, error) {
	if transport == "" || transport == "tcp" {
		return name, nil
	}
	over := name + "-" + transport
	if strings.HasSuffix(name, "-"+transport) {
		over = name
	}
	_, err := ByName(over)
	return over, err
}
