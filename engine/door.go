package engine

import (
	"net/netip"
	"sync"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// The door is what a stranger meets first: it counts connections that have not proven themselves, in all and by address,
// and lets no more in than the limits say. What it decides costs a map lookup, before any memory is spent. Any goroutine.
type door struct {
	mu       sync.Mutex
	limits   PeerLimits
	closed   bool
	halfOpen int
	byIP     map[netip.Addr]int
	present  int // connections that were open and are not gone
	empty    func()
}

func (d *door) init(limits PeerLimits) {
	d.limits = limits
	d.byIP = map[netip.Addr]int{}
}

// shut stops accepting, or begins to.
func (d *door) shut(closed bool) {
	d.mu.Lock()
	d.closed = closed
	d.mu.Unlock()
}

func (d *door) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// enter lets a new connection begin its handshake. What this node has dialled is not counted: Config.Dials bounds it.
func (d *door) enter(from transport.Addr, dialled bool) error {
	if dialled {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.halfOpen >= d.limits.HalfOpen {
		return &LimitError{"half-open", d.limits.HalfOpen}
	}
	if ip := holder(from); d.limits.LoopbackToo || !ip.IsLoopback() {
		if d.byIP[ip] >= d.limits.HalfOpenPerIP {
			return &LimitError{"half-open of one address", d.limits.HalfOpenPerIP}
		}
		d.byIP[ip]++
	}
	d.halfOpen++
	return nil
}

// holder is the address a connection counts for: of IPv6 the /64, all of which one host has.
func holder(from transport.Addr) netip.Addr { return network64(from.Addr()) }

func network64(ip netip.Addr) netip.Addr {
	if ip.Is6() && !ip.IsLoopback() {
		p, _ := ip.Prefix(64)
		return p.Addr()
	}
	return ip
}

// greeted ends what enter began: the connection is open, or gone without having been.
func (d *door) greeted(from transport.Addr, dialled bool) {
	if dialled {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.halfOpen--
	if ip := holder(from); d.limits.LoopbackToo || !ip.IsLoopback() {
		if d.byIP[ip]--; d.byIP[ip] <= 0 {
			delete(d.byIP, ip)
		}
	}
}

// opened and gone count connections between the two.
func (d *door) opened() {
	d.mu.Lock()
	d.present++
	d.mu.Unlock()
}

func (d *door) gone() {
	d.mu.Lock()
	d.present--
	call := d.empty
	if d.present > 0 {
		call = nil
	}
	if call != nil {
		d.empty = nil
	}
	d.mu.Unlock()
	if call != nil {
		call()
	}
}

// whenEmpty calls f once no connection is left that was open.
func (d *door) whenEmpty(f func()) {
	d.mu.Lock()
	if d.present > 0 {
		d.empty = f
		f = nil
	}
	d.mu.Unlock()
	if f != nil {
		f()
	}
}

// halfOpenCount is how many connections are in the handshake, dialled ones aside.
func (d *door) halfOpenCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.halfOpen
}
