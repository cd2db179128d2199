package simnet

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// ErrProto is the error of listening on or dialling an address that is not of the host's protocol: tcp, unless Proto says
// otherwise.
var ErrProto = errors.New("simnet: another protocol than the host's")

// errStarted is the error of a second Start.
var errStarted = errors.New("simnet: already started")

// A machine is what the hosts at one address share. It is under the Net's lock.
type machine struct {
	addr      netip.Addr // fixed
	running   []*Host    // in the order of their Start
	listeners map[port]*Host
	nextPort  uint16
	silent    bool // it has vanished and no Host came after
}

// A port is what one Host of a machine may listen on.
type port struct {
	proto  transport.Proto
	number uint16
}

// freePort returns the next port in turn that nobody listens on. Dialling ends may share one, as the other side's address
// tells them apart.
func (m *machine) freePort(proto transport.Proto) uint16 {
	for range portLast - portFirst + 1 {
		number := m.nextPort
		if m.nextPort++; m.nextPort > portLast {
			m.nextPort = portFirst
		}
		if m.listeners[port{proto, number}] == nil {
			return number
		}
	}
	panic(fmt.Sprintf("simnet: %v listens on every port of its range", m.addr))
}

// A Host runs one engine at one address: it is a transport.Transport and a transport.Offloader. Its methods may be called
// from any goroutine; Stop not inside a Sink call or a task.
//
//	new ──Start──▶ running ──Stop───▶ stopped    its links have closed in order
//	                  ├──────Crash──▶ crashed    nobody was told; the machine answers whoever sends with a reset
//	                  └──────Vanish─▶ vanished   nobody was told; the machine is gone too, until a new Host takes its address
type Host struct {
	net        *Net // fixed, as all down to sink
	machine    *machine
	number     uint64
	sendBuffer int
	proto      transport.Proto
	udp        *udpHost // nil: links are streams
	loops      []*Loop
	sink       transport.Sink // set by Start

	epoch atomic.Int64 // virtual time of Start; written under the Net's lock

	// Under the Net's lock.
	state    hostState
	ports    []port // it listens on
	nextLoop int
	links    []*Link // that are open, or closed with bytes still to leave
	dials    []*dial
	tasks    []*task
	stalled  time.Duration // until then the process does not run
}

type hostState uint8

const (
	hostNew hostState = iota
	hostRunning
	hostStopped
	hostCrashed // or vanished with its machine
)

var (
	_ transport.Transport = (*Host)(nil)
	_ transport.Offloader = (*Host)(nil)
)

// A HostOption changes one thing about a new Host.
type HostOption func(*Host)

// Loops sets the number of event loops, 1 to 1024. Without it there are 2.
func Loops(count int) HostOption {
	if count < 1 || count > loopsLimit {
		panic(fmt.Sprintf("simnet: %d loops, want 1 to %d", count, loopsLimit))
	}
	return func(h *Host) { h.loops = make([]*Loop, count) }
}

// SendBuffer sets how many bytes each of the host's links keeps between Write and the other side: what a kernel calls the
// send buffer. Without it, 256 KiB.
func SendBuffer(bytes int) HostOption {
	if bytes < 1 {
		panic(fmt.Sprintf("simnet: a send buffer of %d bytes", bytes))
	}
	return func(h *Host) { h.sendBuffer = bytes }
}

// Proto sets the protocol of the host's addresses, so that a node may have several hosts at one address, as it would have
// several transports. What they carry is simulated alike. Without it, tcp.
func Proto(p transport.Proto) HostOption { return func(h *Host) { h.proto = p } }

func newHost(n *Net, opts []HostOption) *Host {
	h := &Host{net: n, sendBuffer: sendBufferDefault, proto: transport.TCP, loops: make([]*Loop, loopsDefault)}
	for _, o := range opts {
		o(h)
	}
	for i := range h.loops {
		lp := &Loop{host: h, index: i}
		lp.wake.owner = lp
		lp.alarm = pending{owner: lp, background: true}
		h.loops[i] = lp
	}
	return h
}

// Addr is the host's address.
func (h *Host) Addr() netip.Addr { return h.machine.addr }

// Protos implements transport.Transport.
func (h *Host) Protos() []transport.Proto { return []transport.Proto{h.proto} }

// Loops implements transport.Transport.
func (h *Host) Loops() []transport.Loop {
	all := make([]transport.Loop, len(h.loops))
	for i, lp := range h.loops {
		all[i] = lp
	}
	return all
}

// Start implements transport.Transport. It binds ports of the host's address or of an unspecified one.
func (h *Host) Start(sink transport.Sink, listen []transport.Addr) ([]transport.Addr, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch h.state {
	case hostNew:
	case hostRunning:
		return nil, errStarted
	default:
		return nil, transport.ErrClosed
	}
	var bound []transport.Addr
	for _, a := range listen {
		b, err := h.bind(a)
		if err != nil {
			h.unbind()
			return nil, fmt.Errorf("simnet: listen on %v: %w", a, err)
		}
		bound = append(bound, b)
	}
	h.sink = sink
	h.state = hostRunning
	h.epoch.Store(int64(n.tick()))
	h.machine.running = append(h.machine.running, h)
	if h.udp != nil {
		h.startUDP(bound)
	}
	return bound, nil
}

// bind takes the port of a, or a free one for port 0.
func (h *Host) bind(a transport.Addr) (transport.Addr, error) {
	m, ip, at := h.machine, a.Addr().Unmap(), port{a.Proto, a.Port()}
	switch {
	case a.Proto != h.proto:
		return a, ErrProto
	case ip != m.addr && !ip.IsUnspecified():
		return a, syscall.EADDRNOTAVAIL
	case m.listeners[at] != nil:
		return a, syscall.EADDRINUSE
	case at.number == 0:
		at.number = m.freePort(h.proto)
	}
	m.listeners[at] = h
	h.ports = append(h.ports, at)
	return transport.Addr{Proto: a.Proto, AddrPort: netip.AddrPortFrom(ip, at.number)}, nil
}

// unbind gives all ports back.
func (h *Host) unbind() {
	for _, at := range h.ports {
		delete(h.machine.listeners, at)
		if h.udp != nil && h.udp.away.IsValid() {
			delete(h.net.machines[h.udp.away].listeners, at)
		}
	}
	h.ports = nil
}

// chooseLoop deals links to the loops in turn.
func (h *Host) chooseLoop() *Loop {
	lp := h.loops[h.nextLoop%len(h.loops)]
	h.nextLoop++
	return lp
}

// Stop implements transport.Transport. Tasks already taken by Offload run first, pending dials fail with
// transport.ErrClosed, links close in the order of their numbers; all this before Stop returns, and in no virtual time.
// After a Crash it does nothing.
func (h *Host) Stop() error {
	n := h.net
	n.drive.Lock()
	defer n.drive.Unlock()
	calls, ran := h.shutDown()
	for _, c := range calls {
		n.mu.Lock()
		n.call = c
		if l := c.link; l != nil {
			l.shut()
			l.release()
		}
		n.note()
		n.mu.Unlock()
		n.perform()
	}
	if ran && h.udp != nil {
		h.stopUDP()
	}
	return nil
}

// shutDown ends everything but the links and returns the calls that are left to make. ran: it was running.
func (h *Host) shutDown() (calls []call, ran bool) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tick()
	if h.state == hostNew {
		h.state = hostStopped
	}
	if h.state != hostRunning {
		return nil, false
	}
	for _, t := range slices.SortedFunc(slices.Values(h.tasks), func(a, b *task) int { return cmp.Compare(a.number, b.number) }) {
		calls = append(calls, call{kind: Task, host: h, task: t.run})
	}
	for _, d := range h.dials {
		calls = append(calls, call{kind: DialFailed, host: h, tag: d.tag, err: transport.ErrClosed})
	}
	for _, l := range slices.SortedFunc(slices.Values(h.links), func(a, b *Link) int { return cmp.Compare(a.number, b.number) }) {
		if l.state <= linkClosing {
			calls = append(calls, call{kind: Closed, host: h, loop: l.loop, link: l})
		}
	}
	h.halt(hostStopped)
	return calls, true
}

// halt takes everything of the process but its links out of the queue.
func (h *Host) halt(s hostState) {
	h.state = s
	h.unbind()
	m := h.machine
	m.running = slices.DeleteFunc(m.running, func(o *Host) bool { return o == h })
	q := &h.net.queue
	for _, lp := range h.loops {
		q.stop(&lp.wake)
		q.stop(&lp.alarm)
	}
	for _, d := range h.dials {
		q.stop(&d.ev)
		q.stop(&d.look)
	}
	for _, t := range h.tasks {
		q.stop(&t.ev)
	}
	if h.udp != nil {
		for _, ul := range h.udp.muxes {
			q.stop(&ul.ev)
		}
	}
	h.dials, h.tasks = nil, nil
}

// Crash ends the process without a word: its Sink is not called again (a call being made runs to its end), what it had not
// yet sent is gone, and its peers notice when they send, as the machine answers with a reset. Calls on the dead host do
// nothing; Write returns transport.ErrClosed. A new Host at the same address is the restarted process.
func (h *Host) Crash() {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.state == hostRunning {
		h.die(n.tick())
	}
}

// Vanish is a Crash of every host at this address, with the machine gone too: nothing answers any more, and peers notice
// when Weather.ResetAfter has passed since they sent something, or when a new Host takes the address.
func (h *Host) Vanish() {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.tick()
	for _, o := range slices.Clone(h.machine.running) {
		o.die(now)
	}
	h.machine.silent = true
}

// Stall keeps the host's process from running for d, as a machine does that is busy with others: what arrives, alarms, tasks
// and turns wait, and then come in the order in which they were due. Nothing is lost.
func (h *Host) Stall(d time.Duration) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.stalled = max(h.stalled, n.tick()+d)
}

func (h *Host) die(now time.Duration) {
	h.halt(hostCrashed)
	for _, l := range h.links {
		l.state, l.index = linkDead, 0
		h.net.queue.stop(&l.closing)
		h.net.queue.stop(&l.out.room)
		l.out.loseUnsent(now)
	}
	h.links = nil
}

// A task is one piece of offloaded work.
type task struct {
	host   *Host
	run    func()
	number uint64 // order of Offload
	index  int    // in host.tasks
	ev     pending
}

// Offload implements transport.Offloader: task runs on the driving goroutine, 20 to 500 microseconds later.
func (h *Host) Offload(run func()) bool {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.state != hostRunning {
		return false
	}
	t := &task{host: h, run: run, index: len(h.tasks)}
	t.ev.owner = t
	h.tasks = append(h.tasks, t)
	n.schedule(&t.ev, n.tick()+n.between(taskAfterMin, taskAfterMax))
	t.number = n.queue.seq
	return true
}

// fire runs the task.
func (t *task) runs(*Net, *pending) *Host { return t.host }

func (t *task) fire(n *Net, _ *pending) {
	h := t.host
	last := h.tasks[len(h.tasks)-1]
	h.tasks[t.index], last.index = last, t.index
	h.tasks = h.tasks[:len(h.tasks)-1]
	n.call.kind, n.call.host, n.call.task = Task, h, t.run
}
