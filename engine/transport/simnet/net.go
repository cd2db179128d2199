package simnet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A Net is one simulated network: a clock, a queue of events and dice, and the hosts on it. Its methods may be called from
// any goroutine; Step, Run, RunUntil, Quiesce and Serve by one at a time, and never inside a Sink call or a task.
type Net struct {
	// drive is held while an event is carried out, Sink call included: whoever holds it is the one that calls Sinks.
	// Order: drive before mu.
	drive sync.Mutex

	clock   atomic.Int64         // written under mu
	current atomic.Pointer[Loop] // the loop whose Sink call is being made; written by the holder of drive

	mu         sync.Mutex // guards all that follows but call and scratch
	driver     string     // the method that drives, "" if none does
	wall       wall
	queue      queue
	dice       *rand.PCG
	climate    *climate
	climateSeq uint64 // counts changes of weather, so that links look it up again
	paths      map[path]*climate
	machines   map[netip.Addr]*machine
	hostSeq    uint64
	parted     map[netip.Addr]int // nil: the net is whole
	linkSeq    uint64
	trace      uint64
	observe    func(Event)
	settle     func()
	intercept  func(from, to transport.Addr, b []byte) []byte

	interceptUDP func(from, to netip.AddrPort, b []byte) bool

	buffers [][]byte // empty send buffers, to use again

	// The holder of drive owns these. call is set under mu, by fire.
	call    call
	scratch []byte
}

// A call is what the Sink, or a task, is to be told by the event being carried out.
type call struct {
	kind Kind // 0: nothing
	host *Host
	loop *Loop
	link *Link
	b    []byte
	err  error
	tag  any
	task func()

	packet *packet  // of a Packet
	mux    *udpLoop // whose turn it is, if it is not the Sink's

	observe func(Event) // nil: nobody watches
	seen    Event
}

// New makes an empty network whose every accident is decided by seed. It panics if w is not valid.
func New(seed uint64, w Weather) *Net {
	return &Net{
		dice:     rand.NewPCG(seed, 0x6361727269657231), // the second word only has to be always the same
		climate:  w.climate(),
		paths:    make(map[path]*climate),
		machines: make(map[netip.Addr]*machine),
		scratch:  make([]byte, readLimit),
	}
}

// Now is the virtual time since New. A host's own engine time starts at its Start.
func (n *Net) Now() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tick()
}

// Step carries out the next event, moving the clock to it, and reports whether there was one. After a hundred years of
// virtual time there is none.
func (n *Net) Step() bool {
	n.enter("Step")
	defer n.leave()
	n.settled()
	return n.step(clockLimit)
}

// Run carries out everything due in the next d of virtual time, and moves the clock on by exactly d.
func (n *Net) Run(d time.Duration) {
	n.enter("Run")
	defer n.leave()
	n.settled()
	end := n.after(d)
	for n.step(end) || !n.moveTo(end) {
	}
}

// RunUntil carries out events until done reports true, looking before the first and after each, but for no more than
// limit of virtual time. It returns what done said last.
func (n *Net) RunUntil(done func() bool, limit time.Duration) bool {
	n.enter("RunUntil")
	defer n.leave()
	n.settled()
	end := n.after(limit)
	for !done() {
		if !n.step(end) && n.moveTo(end) {
			return done()
		}
	}
	return true
}

// Quiesce carries out events until nothing is under way any more: no byte, no dial, no task, no wake. Alarms do not
// count, as an engine always has one; those that are due on the way ring. It gives up after limit of virtual time and
// reports whether the net came to rest. Bytes held by a partition are under way.
func (n *Net) Quiesce(limit time.Duration) bool {
	n.enter("Quiesce")
	defer n.leave()
	n.settled()
	end := n.after(limit)
	for n.busy() > 0 {
		if !n.step(end) && n.moveTo(end) {
			return false
		}
	}
	return true
}

func (n *Net) busy() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.queue.busy
}

// after is the time d from now, or the end of all time.
func (n *Net) after(d time.Duration) time.Duration {
	now := n.time()
	return now + min(d, clockLimit-now)
}

// time is the clock as it stands.
func (n *Net) time() time.Duration { return time.Duration(n.clock.Load()) }

// moveTo moves the clock on when nothing is due before. It reports false if another goroutine has ordered something since
// the last step: an event must not lie in the past.
func (n *Net) moveTo(at time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if due, ok := n.queue.head(); ok && due <= at {
		return false
	}
	n.moveToLocked(at)
	return true
}

func (n *Net) moveToLocked(at time.Duration) {
	if at > n.time() {
		n.clock.Store(int64(at))
	}
}

// enter makes the caller the only driver.
func (n *Net) enter(method string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.driver != "" {
		invariant.Bug("simnet: bug: %s called during %s", method, n.driver)
	}
	n.driver = method
}

// Settle has f called before the first event of every driving method and after each event, with nothing of the Net held;
// nil ends it. In a testing/synctest bubble, Settle(synctest.Wait) lets all other goroutines run until they wait before
// the next event is chosen: blocking calls made by one goroutine at a time are then as deterministic as events.
func (n *Net) Settle(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settle = f
}

func (n *Net) settled() {
	n.mu.Lock()
	f := n.settle
	n.mu.Unlock()
	if f != nil {
		f()
	}
}

func (n *Net) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.driver = ""
}

// step carries out the next event if it is due by end.
func (n *Net) step(end time.Duration) bool {
	fired := n.carryOut(end)
	if fired {
		n.settled()
	}
	return fired
}

func (n *Net) carryOut(end time.Duration) bool {
	n.drive.Lock()
	defer n.drive.Unlock()
	if !n.fireNext(end) {
		return false
	}
	n.perform()
	return true
}

func (n *Net) fireNext(end time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, ok := n.queue.head()
	if !ok || at > end {
		return false
	}
	invariant.Check(at >= n.time() || n.wall.poke != nil, "simnet: bug: an event in the past")
	_, ev := n.queue.pop()
	n.moveToLocked(at)
	n.call = call{}
	if h := ev.owner.runs(n, ev); h != nil && h.stalled > at {
		n.queue.set(ev, h.stalled) // behind what has waited longer
		return true
	}
	ev.owner.fire(n, ev)
	n.note()
	return true
}

// perform makes the call that fire has left. The caller holds drive and not mu.
func (n *Net) perform() {
	c := &n.call
	if c.kind == 0 {
		return
	}
	if c.observe != nil {
		c.observe(c.seen)
	}
	n.current.Store(c.loop)
	defer n.current.Store(nil)
	switch c.kind {
	case Opened:
		c.host.sink.Opened(c.link, c.tag)
	case DialFailed:
		c.host.sink.DialFailed(c.tag, c.err)
	case Bytes:
		n.handOver(c)
	case Writable:
		c.host.sink.Writable(c.link)
	case Closed:
		c.host.sink.Closed(c.link, c.err)
	case Packet:
		n.performUDP(c)
	case Turn:
		if c.mux != nil {
			n.performUDP(c)
			return
		}
		c.host.sink.Turn(c.loop)
	case Task:
		c.task()
	default:
		invariant.Bug("simnet: bug: call of kind %d", c.kind)
	}
}

// handOver gives the sink what arrived, or what an interceptor made of it. Afterwards the memory is used again.
func (n *Net) handOver(c *call) {
	b := c.b
	if f := n.interceptor(); f != nil {
		b = f(c.link.remote, c.link.local, b)
	}
	if len(b) > 0 {
		c.host.sink.Bytes(c.link, b)
	}
	invariant.Spoil(c.b)
}

func (n *Net) interceptor() func(from, to transport.Addr, b []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.intercept
}

// Intercept puts f between the network and every Sink: it is given each piece of a stream that is about to arrive, with
// the addresses of sender and receiver, and returns what arrives instead: the same bytes, others, more, fewer or none. b is
// f's to change until the call returns. f is called on the driving goroutine and is removed by nil.
func (n *Net) Intercept(f func(from, to transport.Addr, b []byte) []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.intercept = f
}

// Partition parts the net: hosts of different groups cannot reach each other, and hosts in no group make up one more.
// What is sent across is held and sent again at growing intervals, so that it arrives some time after Heal, or until
// Weather.ResetAfter has passed. A new Partition replaces the last. Hosts that do not exist yet may be named.
func (n *Net) Partition(groups ...[]netip.Addr) {
	parted := make(map[netip.Addr]int)
	for i, g := range groups {
		for _, a := range g {
			parted[a.Unmap()] = i + 1
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parted = parted
}

// Heal ends a partition.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parted = nil
}

// severed reports whether a partition lies between two places.
func (n *Net) severed(a, b netip.Addr) bool {
	return n.parted != nil && n.parted[a] != n.parted[b]
}

// Host adds a host at addr, not started. Hosts at one address are processes of one machine: they share its ports, and one
// that starts after another has crashed is the restarted process. A machine that had vanished answers again. It panics if
// addr is no address of one machine.
func (n *Net) Host(addr netip.Addr, opts ...HostOption) *Host {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
		panic(fmt.Sprintf("simnet: a host cannot have the address %v", addr))
	}
	h := newHost(n, opts)
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.machines[addr]
	if m == nil {
		m = &machine{addr: addr, listeners: make(map[port]*Host), nextPort: portFirst}
		n.machines[addr] = m
	}
	m.silent = false
	h.machine = m
	h.number = n.hostSeq
	n.hostSeq++
	return h
}

// takeBuffer and giveBuffer keep the send buffers of links that have nothing to send out of the links, and in use.
func (n *Net) takeBuffer() []byte {
	if last := len(n.buffers) - 1; last >= 0 {
		b := n.buffers[last]
		n.buffers = n.buffers[:last]
		return b
	}
	return nil
}

func (n *Net) giveBuffer(b []byte) {
	if cap(b) > 0 && len(n.buffers) < bufferFreeLimit {
		n.buffers = append(n.buffers, b[:0])
	}
}
