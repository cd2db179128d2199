package reach

import (
	"net/netip"
	"sync"
	"time"
)

// A bucket holds tokens that come back one by one. It is full when it is made.
type bucket struct {
	used float64 // tokens taken and not back yet, at the time at
	at   time.Duration
}

// fill lets tokens come back, one in every span.
func (b *bucket) fill(now time.Duration, every time.Duration) {
	b.used = max(0, b.used-float64(now-b.at)/float64(every))
	b.at = now
}

// A meter says who may ask for another dial back. Any goroutine.
type meter struct {
	mu    sync.Mutex
	total bucket
	hosts map[netip.Prefix]*bucket // by address, /32 or /64
	nets  map[netip.Prefix]*bucket // by network
}

func newMeter() *meter {
	return &meter{hosts: map[netip.Prefix]*bucket{}, nets: map[netip.Prefix]*bucket{}}
}

// hostOf is what counts as one address: of IPv6 all that one host has.
func hostOf(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = addressBits6
	}
	p, _ := a.Prefix(bits)
	return p
}

// take takes a token for an asker, of all three buckets or of none, and reports whether there were any.
func (m *meter) take(now time.Duration, from netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.fill(now, totalEvery)
	if m.total.used > totalBurst-1 {
		return false
	}
	host, ok := entry(m.hosts, hostOf(from), now, addressEvery)
	if !ok || host.used > addressBurst-1 {
		return false
	}
	network, ok := entry(m.nets, groupOf(from), now, networkEvery)
	if !ok || network.used > networkBurst-1 {
		return false
	}
	m.total.used++
	host.used++
	network.used++
	return true
}

// entry is the bucket of an address, a new one if there is room. Those that are full again make room.
func entry(all map[netip.Prefix]*bucket, of netip.Prefix, now time.Duration, every time.Duration) (*bucket, bool) {
	b := all[of]
	if b == nil && len(all) >= meterLimit {
		for k, have := range all {
			if have.fill(now, every); have.used == 0 {
				delete(all, k)
			}
		}
		if len(all) >= meterLimit {
			return nil, false
		}
	}
	if b == nil {
		b = &bucket{at: now}
		all[of] = b
	}
	b.fill(now, every)
	return b, true
}
