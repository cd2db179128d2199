package simnet

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

// Datagrams makes the links of a host links over datagrams, made by package datagram from what this network carries as it
// would from UDP: Weather says what part is lost, comes twice or arrives cut, and with Jitter they overtake each other. The
// host's protocol is udp.
func Datagrams(paths datagram.Config) HostOption {
	cfg, err := paths.WithDefaults()
	if err != nil {
		panic(err)
	}
	return func(h *Host) {
		h.proto = transport.UDP
		h.udp = &udpHost{cfg: cfg, mtu: mtuDefault}
	}
}

// A udpHost is what a host with datagrams has besides. It is under the Net's lock, except the Muxes, which belong to whoever
// drives.
type udpHost struct {
	cfg    datagram.Config
	mtu    int // the largest UDP payload that leaves the host or reaches it
	secret datagram.Secret
	counts datagram.Counts
	muxes  []*udpLoop       // by loop
	local  []netip.AddrPort // sockets, the same for all loops
	away   netip.Addr       // where the host has moved to; invalid: it is at home
}

// A udpLoop is a loop's Mux and the events that make it go on.
type udpLoop struct {
	host *Host
	loop *Loop // fixed, as is mux
	mux  *datagram.Mux
	ev   pending // Advance
}

// A packet is one datagram under way.
type packet struct {
	from, to netip.AddrPort
	b        []byte
	ev       pending
}

// startUDP makes the Muxes. The Net's lock is held.
func (h *Host) startUDP(bound []transport.Addr) {
	u, n := h.udp, h.net
	for _, a := range bound {
		u.local = append(u.local, netip.AddrPortFrom(h.machine.addr, a.Port()))
	}
	if len(u.local) == 0 {
		at := port{transport.UDP, h.machine.freePort(transport.UDP)}
		h.machine.listeners[at] = h
		h.ports = append(h.ports, at)
		u.local = []netip.AddrPort{netip.AddrPortFrom(h.machine.addr, at.number)}
	}
	for i := range len(u.secret) / 8 {
		binary.LittleEndian.PutUint64(u.secret[8*i:], n.dice.Uint64())
	}
	for _, lp := range h.loops {
		ul := &udpLoop{host: h, loop: lp}
		ul.ev = pending{owner: ul, background: true}
		ul.mux = datagram.New(lp, h.sink, ul, u.cfg, &u.secret, &u.counts, n.randomness())
		u.muxes = append(u.muxes, ul)
	}
}

// randomness is a reader of its own, seeded by the dice.
func (n *Net) randomness() io.Reader {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], n.dice.Uint64())
	return rand.NewChaCha8(seed)
}

// DatagramCounts tell what a host with datagrams has dropped and done.
func (h *Host) DatagramCounts() *datagram.Counts { return &h.udp.counts }

// SetMTU sets the largest UDP payload, in bytes, that leaves or reaches a host with datagrams; what is larger is lost.
// Without it: 1472, that of Ethernet with IPv4.
func (h *Host) SetMTU(bytes int) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.udp.mtu = bytes
}

// Move takes a host with datagrams to another address, as a laptop that changes networks, or a NAT that has forgotten: what
// it sends comes from there from now on, and what is sent to the old address is lost.
func (h *Host) Move(to netip.Addr) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.machines[to]
	if m == nil {
		m = &machine{addr: to, listeners: make(map[port]*Host), nextPort: portFirst}
		n.machines[to] = m
	}
	for _, at := range h.udp.local {
		key := port{transport.UDP, at.Port()}
		delete(h.machine.listeners, key)
		delete(n.machines[h.udpAddr()].listeners, key)
		m.listeners[key] = h
	}
	h.udp.away = to
}

// udpAddr is where the host is.
func (h *Host) udpAddr() netip.Addr {
	if h.udp.away.IsValid() {
		return h.udp.away
	}
	return h.machine.addr
}

// Inject sends a datagram as anybody can: from any address. It arrives like others.
func (n *Net) Inject(from, to netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.launch(from, to, append([]byte(nil), b...))
}

// InterceptDatagrams puts f on the path of every datagram: it is given each one that is about to leave and returns whether it
// may. It may change b, and Inject others later, but not from inside f. It is called under the Net's lock; nil removes it.
func (n *Net) InterceptDatagrams(f func(from, to netip.AddrPort, b []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.interceptUDP = f
}

// dialUDP is Dial of a host with datagrams.
func (h *Host) dialUDP(ctx context.Context, to transport.Addr, tag any) {
	n := h.net
	n.mu.Lock()
	state := h.state
	lp := h.chooseLoop()
	n.mu.Unlock()
	if state == hostCrashed {
		return
	}
	if state != hostRunning || !h.udp.muxes[lp.index].mux.Dial(ctx, to, tag) {
		n.mu.Lock()
		defer n.mu.Unlock()
		d := &dial{host: h, to: to, tag: tag, ctx: ctx, index: len(h.dials)}
		d.ev.owner = d
		h.dials = append(h.dials, d)
		d.giveUp = n.tick() + turnAfterMin
		d.failAt(d.giveUp, transport.ErrClosed)
	}
}

// Send implements datagram.Carrier. There is always room: what is too much for the path is lost on the way.
func (ul *udpLoop) Send(socket int, to netip.AddrPort, k datagram.Kind, id datagram.ID, body []byte) bool {
	n, h := ul.host.net, ul.host
	b := make([]byte, datagram.HeaderSize+len(body))
	datagram.PutHeader(b, k, id)
	copy(b[datagram.HeaderSize:], body)
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.state != hostRunning || len(b) > h.udp.mtu {
		return true
	}
	n.launch(netip.AddrPortFrom(h.udpAddr(), h.udp.local[socket].Port()), to, b)
	return true
}

// Socket implements datagram.Carrier.
func (ul *udpLoop) Socket(netip.AddrPort) (int, error) { return 0, nil }

// Local implements datagram.Carrier.
func (ul *udpLoop) Local(socket int) netip.AddrPort { return ul.host.udp.local[socket] }

// Wake implements datagram.Carrier.
func (ul *udpLoop) Wake() {
	n := ul.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if ul.host.state == hostRunning {
		n.queue.stop(&ul.ev)
		ul.ev.background = false // somebody waits for it
		n.schedule(&ul.ev, n.tick()+n.between(turnAfterMin, turnAfterMax))
	}
}

// launch sends a packet on its way: once, twice, or not at all. The Net's lock is held.
func (n *Net) launch(from, to netip.AddrPort, b []byte) {
	if f := n.interceptUDP; f != nil && !f(from, to, b) {
		return
	}
	w := n.climateOf(from.Addr(), to.Addr())
	if n.severed(from.Addr(), to.Addr()) || n.chance(w.loss) {
		return
	}
	copies := 1
	if n.chance(w.twice) {
		copies = 2
	}
	for range copies {
		p := &packet{from: from, to: to, b: b}
		if copies > 1 {
			p.b = append([]byte(nil), b...)
		}
		if n.chance(w.short) {
			p.b = p.b[:n.below(uint64(len(b)))]
		}
		p.ev.owner = p
		late := time.Duration(0)
		if w.jitter > 0 {
			late = n.between(0, w.jitter)
		}
		n.schedule(&p.ev, n.tick()+w.latency+late)
	}
}

// far is the host that a packet is for, nil if there is none.
func (p *packet) far(n *Net) *Host {
	far := n.machines[p.to.Addr()]
	if far == nil || far.silent {
		return nil
	}
	h := far.listeners[port{transport.UDP, p.to.Port()}]
	if h == nil || h.udp == nil || h.state != hostRunning || len(p.b) > h.udp.mtu {
		return nil
	}
	return h
}

func (p *packet) runs(n *Net, _ *pending) *Host { return p.far(n) }

// fire is the packet's arrival. The loop is the one that its second byte names, as the sockets of a host are asked to do.
func (p *packet) fire(n *Net, _ *pending) {
	h := p.far(n)
	if h == nil {
		return
	}
	lp := h.loops[0]
	if len(p.b) > 1 {
		lp = h.loops[int(p.b[1])%len(h.loops)]
	}
	n.call.kind, n.call.host, n.call.loop, n.call.b, n.call.packet = Packet, h, lp, p.b, p
}

func (ul *udpLoop) runs(*Net, *pending) *Host { return ul.host }

// fire lets the Mux go on.
func (ul *udpLoop) fire(n *Net, _ *pending) {
	ul.ev.background = true
	n.call.kind, n.call.host, n.call.loop = Turn, ul.host, ul.loop
	n.call.mux = ul
}

// performUDP makes the call that a datagram, or the Mux's alarm, is.
func (n *Net) performUDP(c *call) {
	ul := c.host.udp.muxes[c.loop.index]
	if c.packet == nil {
		ul.mux.Advance(c.loop.Now())
	} else {
		p := c.packet
		ul.mux.Receive(c.loop.Now(), c.host.socketOf(p.to.Port()), p.from, p.b)
	}
	ul.arm()
}

func (h *Host) socketOf(number uint16) int {
	for i, at := range h.udp.local {
		if at.Port() == number {
			return i
		}
	}
	return 0
}

// arm orders the Mux's next turn, unless an earlier one is ordered.
func (ul *udpLoop) arm() {
	n := ul.host.net
	next := ul.mux.Next()
	n.mu.Lock()
	defer n.mu.Unlock()
	if ul.host.state != hostRunning || !ul.ev.background && ul.ev.queued() {
		return
	}
	if next == transport.Never {
		n.queue.stop(&ul.ev)
		return
	}
	n.schedule(&ul.ev, max(next+time.Duration(ul.host.epoch.Load()), n.tick()+turnAfterMin))
}

// stopUDP closes what a host with datagrams has open.
func (h *Host) stopUDP() {
	for _, ul := range h.udp.muxes {
		h.net.current.Store(ul.loop)
		ul.mux.Stop()
		h.net.current.Store(nil)
	}
}
