package natmap

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ErrNoGateway says that no default route leads over a gateway.
var ErrNoGateway = errors.New("natmap: no default route with a gateway")

// A route is a default route, as far as it matters here.
type route struct {
	Interface string
	Gateway   netip.Addr
	Metric    uint64
}

// routeLimit bounds the lines of a routing table that are read: routers of the internet's core have a million.
const routeLimit = 1 << 16

// Flags of a line in /proc/net/route, from linux/route.h.
const (
	routeUp      = 1
	routeGateway = 2
)

// defaultRoutes reads a table in the form of /proc/net/route and returns the default routes that have a gateway, best first.
// Lines that it does not understand are not routes.
func defaultRoutes(r io.Reader) []route {
	var found []route
	lines := bufio.NewScanner(r)
	for n := 0; n < routeLimit && lines.Scan(); n++ {
		if one, ok := parseRoute(lines.Text()); ok {
			found = append(found, one)
		}
	}
	slices.SortStableFunc(found, func(a, b route) int {
		if a.Metric < b.Metric {
			return -1
		} else if a.Metric > b.Metric {
			return 1
		}
		return 0
	})
	return found
}

// parseRoute reads: Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT.
func parseRoute(line string) (route, bool) {
	f := strings.Fields(line)
	if len(f) < 8 {
		return route{}, false
	}
	destination, ok1 := hexAddr(f[1])
	gateway, ok2 := hexAddr(f[2])
	mask, ok3 := hexAddr(f[7])
	flags, err1 := strconv.ParseUint(f[3], 16, 32)
	metric, err2 := strconv.ParseUint(f[6], 10, 32)
	if !ok1 || !ok2 || !ok3 || err1 != nil || err2 != nil {
		return route{}, false
	}
	none := netip.IPv4Unspecified()
	if destination != none || mask != none || flags&(routeUp|routeGateway) != routeUp|routeGateway || gateway == none {
		return route{}, false
	}
	return route{f[0], gateway, metric}, true
}

// hexAddr reads an address as the kernel prints it: the number of its own byte order.
func hexAddr(s string) (netip.Addr, bool) {
	var b, a [4]byte
	if n, err := hex.Decode(b[:], []byte(s[:min(len(s), 8)])); n != 4 || err != nil || len(s) != 8 {
		return netip.Addr{}, false
	}
	binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(b[:]))
	return netip.AddrFrom4(a), true
}

// localFor is the address that this host uses towards another one. Nothing is sent.
func localFor(to netip.Addr) (netip.Addr, error) {
	c, err := net.Dial("udp4", netip.AddrPortFrom(to, ssdpGroup.Port()).String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("natmap: %w", err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
