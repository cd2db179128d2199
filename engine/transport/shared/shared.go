// Package shared lets many Networks of one process share one transport.
//
// A transport has loops, a watcher, file descriptors of its own: a dozen or so. A process that stands for thousands of
// nodes, such as a load generator, cannot afford that for each. Here each node gets a Port, which is a transport.Transport
// to it, and all Ports share the loops, and the workers, of one real transport:
//
//	engine A ── Port ─┐
//	engine B ── Port ─┼─ Hub ── transport (gnetio, …)
//	engine C ── Port ─┘
//
// Ports dial. They listen only on addresses that the transport was started with, each Port on its own: the address at
// which a connection was accepted tells whose it is.
//
// The Hub is the transport's Sink. A link's owner, as the transport knows it, is a *link, which knows its Port and keeps
// the owner that the Port's engine sets. Everything of a loop is owned by that loop, except the list of Ports that want a
// turn, which has a mutex.
//
// The nodes wait for each other: a callback of one that is slow holds all whose peers are on its loop. So a component
// must not make a call that waits on another Network of the Hub either, and no ErrOnLoop says so there.
package shared

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/internal/worker"
	"github.com/carrier-p2p/carrier/engine/transport"
)

// ErrListen is returned by Start when a Port is asked to listen where the Hub does not, or where another Port does.
var ErrListen = errors.New("shared: not an address of the hub that is free")

// A Hub shares one transport. Make it with New, end it with Close after all its Networks have been shut down.
type Hub struct {
	under transport.Transport
	loops []*hubLoop
	bound []transport.Addr
	crew  *worker.Crew

	mu        sync.Mutex
	listeners map[transport.Addr]*Port // under mu
}

// taskLimit bounds the handshake steps that wait for the Hub's workers. A load generator starts them as fast as it dials;
// 4096 is more than the dials a process can have in flight.
const taskLimit = 4096

// alarmsPerTurn bounds the Ports whose alarms are due in one turn of a loop: at some 10 us each they are 5
// ms, in which what comes for all of them waits.
const alarmsPerTurn = 512

// ErrProver is returned by New for a transport that proves a node's key: it can have one node only.
var ErrProver = errors.New("shared: a transport that proves its node's key cannot be shared")

// New starts under, which must be fresh, and shares it. workers compute the handshakes of all Ports; 0 means one per core.
// listen are the addresses on which Ports may listen.
func New(under transport.Transport, workers int, listen ...transport.Addr) (*Hub, error) {
	if _, ok := under.(transport.Prover); ok {
		return nil, ErrProver
	}
	h := &Hub{under: under, listeners: map[transport.Addr]*Port{}}
	var err error
	if h.bound, err = under.Start((*sink)(h), listen); err != nil {
		return nil, err
	}
	for _, l := range under.Loops() {
		h.loops = append(h.loops, &hubLoop{real: l, wheel: timer.NewWheel(l.Now())})
	}
	if workers <= 0 {
		workers = runtime.NumCPU()
	}
	h.crew = worker.Start(workers, taskLimit)
	return h, nil
}

// Bound are the addresses on which Ports may listen, ports filled in.
func (h *Hub) Bound() []transport.Addr { return slices.Clone(h.bound) }

// claim makes p the listener at an address.
func (h *Hub) claim(p *Port, at transport.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.bound, at) || h.listeners[at] != nil {
		return false
	}
	h.listeners[at] = p
	return true
}

// release frees the addresses of p.
func (h *Hub) release(p *Port) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.listeners, func(_ transport.Addr, of *Port) bool { return of == p })
}

// listener returns the Port that listens at an address, nil if none does.
func (h *Hub) listener(at transport.Addr) *Port {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listeners[at]
}

// Close ends the transport and the workers.
func (h *Hub) Close() error {
	err := h.under.Stop()
	h.crew.Stop()
	return err
}

// A hubLoop is one loop of the transport, with the turns and alarms its Ports have asked for.
type hubLoop struct {
	real  transport.Loop
	wheel *timer.Wheel // the Ports' alarms; owned by the loop

	mu      sync.Mutex
	results []func()    // what workers have brought back; under mu
	taking  bool        // results are being run, and wants will be looked at after them; under mu
	wants   []*portLoop // asked for a turn; under mu

	// Owned by the loop.
	spare        []*portLoop
	spareResults []func()
}

// PostAll takes results of the workers. Each is a post to a loop of some Port's engine; made in a turn of the loop, they wake it
// no further.
func (l *hubLoop) PostAll(fs []func()) {
	l.mu.Lock()
	l.results = append(l.results, fs...)
	l.mu.Unlock()
	l.real.Wake()
}

// takeResults passes on what workers have brought back.
func (l *hubLoop) takeResults() {
	l.mu.Lock()
	results := l.results
	l.results = l.spareResults[:0]
	l.taking = true
	l.mu.Unlock()
	for i, f := range results {
		results[i] = nil
		f()
	}
	l.spareResults = results[:0]
}

// turn gives their turns to the Ports that asked, and to those whose alarm is due.
func (l *hubLoop) turn() {
	l.takeResults()
	l.mu.Lock()
	l.taking = false
	wants := l.wants
	l.wants = l.spare[:0]
	for _, p := range wants {
		p.wanted = false
	}
	l.mu.Unlock()
	for i, p := range wants {
		wants[i] = nil
		p.turn()
	}
	l.spare = wants[:0]
	l.wheel.Advance(l.real.Now(), alarmsPerTurn)
	l.arm()
}

func (l *hubLoop) arm() {
	if at, ok := l.wheel.Next(); ok {
		l.real.WakeAt(at)
		return
	}
	l.real.WakeAt(transport.Never)
}

// A Port is one node's share of a Hub. It is a transport.Transport and a transport.Returner.
type Port struct {
	hub   *Hub
	sink  transport.Sink
	loops []transport.Loop

	mu      sync.Mutex
	links   map[*link]struct{}
	stopped bool
	empty   *sync.Cond
}

var (
	_ transport.Transport = (*Port)(nil)
	_ transport.Returner  = (*Port)(nil)
	_ transport.Guest     = (*portLoop)(nil)
)

// Port returns a transport for one more node.
func (h *Hub) Port() *Port {
	p := &Port{hub: h, links: map[*link]struct{}{}}
	p.empty = sync.NewCond(&p.mu)
	return p
}

// Start implements transport.Transport; listen must be among the addresses of the Hub that no other Port listens on.
func (p *Port) Start(s transport.Sink, listen []transport.Addr) ([]transport.Addr, error) {
	p.sink = s
	for _, l := range p.hub.loops {
		pl := &portLoop{port: p, hub: l}
		pl.alarm.Fire = func(time.Duration) { pl.turn() }
		p.loops = append(p.loops, pl)
	}
	for _, a := range listen {
		if !p.hub.claim(p, a) {
			p.hub.release(p)
			return nil, fmt.Errorf("%w: %v", ErrListen, a)
		}
	}
	return listen, nil
}

// Protos implements transport.Transport: what the shared transport serves.
func (p *Port) Protos() []transport.Proto { return p.hub.under.Protos() }

// Loops implements transport.Transport.
func (p *Port) Loops() []transport.Loop { return p.loops }

// Dial implements transport.Transport.
func (p *Port) Dial(ctx context.Context, to transport.Addr, tag any) {
	p.mu.Lock()
	stopped := p.stopped
	p.mu.Unlock()
	if stopped {
		go p.sink.DialFailed(tag, transport.ErrClosed)
		return
	}
	p.hub.under.Dial(ctx, to, &dial{port: p, tag: tag})
}

// Offload implements transport.Offloader with the Hub's workers.
func (p *Port) Offload(task func()) bool {
	return p.hub.crew.Try(nil, func() func() { task(); return nil })
}

// OffloadTo implements transport.Returner. A loop that is not the Hub's, one that rides on another transport of the node, gets
// its results one by one.
func (p *Port) OffloadTo(lp transport.Loop, task func() (then func())) bool {
	if own, ok := lp.(*portLoop); ok {
		return p.hub.crew.Try(own.hub, task)
	}
	return p.Offload(func() { task()() })
}

// Stop implements transport.Transport: it closes this Port's links and returns when the last is gone.
func (p *Port) Stop() error {
	p.Cut()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.links) > 0 {
		p.empty.Wait()
	}
	return nil
}

// Cut ends the Port as if its process had been killed: every link is closed without a word, nothing is accepted or dialled
// any more. Its Network still has to be shut down. Any goroutine.
func (p *Port) Cut() {
	p.hub.release(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for l := range p.links {
		l.Link.Close()
	}
}

// dial is the tag of a dial on the shared transport.
type dial struct {
	port *Port
	tag  any
}

// A portLoop is a loop as one Port's engine sees it.
type portLoop struct {
	port   *Port
	hub    *hubLoop
	alarm  timer.Timer // owned by the loop
	wanted bool        // under hub.mu
}

func (l *portLoop) Index() int         { return l.hub.real.Index() }
func (l *portLoop) Now() time.Duration { return l.hub.real.Now() }

// Host implements transport.Guest.
func (l *portLoop) Host() transport.Loop { return l.hub.real }

// Wake asks for a turn. Any goroutine.
func (l *portLoop) Wake() {
	h := l.hub
	h.mu.Lock()
	fresh := !l.wanted
	ring := fresh && !h.taking
	if fresh {
		l.wanted = true
		h.wants = append(h.wants, l)
	}
	h.mu.Unlock()
	if ring {
		h.real.Wake()
	}
}

// Behind is how long ago the shared loop had read everything that had come, if it knows. On the loop.
func (l *portLoop) Behind() time.Duration {
	if r, ok := l.hub.real.(interface{ Behind() time.Duration }); ok {
		return r.Behind()
	}
	return 0
}

// WakeAt sets the Port's alarm. On the loop.
func (l *portLoop) WakeAt(at time.Duration) {
	if at == transport.Never {
		l.hub.wheel.Stop(&l.alarm)
	} else {
		l.hub.wheel.Set(&l.alarm, at)
	}
	l.hub.arm()
}

func (l *portLoop) turn() { l.port.sink.Turn(l) }

// A link is a link as its Port's engine sees it.
type link struct {
	transport.Link
	sink  transport.Sink // the Port's engine
	face  transport.Link // this link as it is told of it
	owner any
	port  *Port
	loop  *portLoop
}

// A datagramLink is a link over datagrams.
type datagramLink struct {
	link
	under transport.DatagramLink
}

var _ transport.DatagramLink = (*datagramLink)(nil)

func (l *datagramLink) DatagramLimit() int    { return l.under.DatagramLimit() }
func (l *datagramLink) Path() transport.Addr  { return l.under.Path() }
func (l *datagramLink) Authentic(newest bool) { l.under.Authentic(newest) }
func (l *datagramLink) Stalled()              { l.under.Stalled() }

func newLink(under transport.Link, p *Port) *link {
	l := link{Link: under, sink: p.sink, port: p, loop: p.loops[under.Loop().Index()].(*portLoop)}
	if d, ok := under.(transport.DatagramLink); ok {
		dl := &datagramLink{link: l, under: d}
		dl.face = dl
		return &dl.link
	}
	l.face = &l
	return &l
}

// WriteLast implements transport.LastWriter for links that do, and does the same in two steps for others.
func (l *link) WriteLast(b []byte) (int, error) {
	if last, ok := l.Link.(transport.LastWriter); ok {
		return last.WriteLast(b)
	}
	n, err := l.Link.Write(b)
	if err == nil && n == len(b) {
		l.Link.CloseWrite()
	}
	return n, err
}

func (l *link) Loop() transport.Loop { return l.loop }
func (l *link) SetOwner(owner any)   { l.owner = owner }
func (l *link) Owner() any           { return l.owner }

// sink is the face the Hub shows the transport.
type sink Hub

func (s *sink) Opened(under transport.Link, tag any) {
	var p *Port
	if d, ok := tag.(*dial); ok {
		p, tag = d.port, d.tag
	} else if p = (*Hub)(s).listener(under.Local()); p == nil {
		under.Close()
		return
	}
	l := newLink(under, p)
	under.SetOwner(l)
	p.mu.Lock()
	stopped := p.stopped
	p.links[l] = struct{}{}
	p.mu.Unlock()
	if stopped {
		under.Close()
	}
	p.sink.Opened(l.face, tag)
}

func (s *sink) DialFailed(tag any, err error) {
	d := tag.(*dial)
	d.port.sink.DialFailed(d.tag, err)
}

func (s *sink) Bytes(under transport.Link, b []byte) {
	if l, ok := under.Owner().(*link); ok {
		l.sink.Bytes(l.face, b)
	}
}

func (s *sink) Writable(under transport.Link) {
	if l, ok := under.Owner().(*link); ok {
		l.sink.Writable(l.face)
	}
}

func (s *sink) Closed(under transport.Link, err error) {
	l, ok := under.Owner().(*link)
	if !ok {
		return
	}
	p := l.port
	p.sink.Closed(l.face, err)
	p.mu.Lock()
	delete(p.links, l)
	p.empty.Broadcast()
	p.mu.Unlock()
}

func (s *sink) Turn(lp transport.Loop) {
	if h := (*Hub)(s); lp.Index() < len(h.loops) {
		h.loops[lp.Index()].turn()
	}
}

// Refused is told to nobody: whose connection it would have been is not known.
func (s *sink) Refused(transport.Addr, error) {}

// Failed is told to nobody: the Ports' links are closed one by one.
func (s *sink) Failed(error) {}
