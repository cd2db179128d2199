package engine

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/framing"
)

// Offload returns a component that runs another one's Receive on workers, so that it may block: read a disk, compute, ask
// another peer. All messages of one peer go to the same worker, in order. PeerConnect and PeerDisconnect stay on the loop.
//
// A message that waits for a worker costs the peer credit until it has been handled, so a peer cannot queue more than its
// window, and one that floods a slow component is slowed down itself. What waits counts in Config.Memory with what keeping it
// takes, which for small messages is more than they are; a peer that keeps much when half of that is lent is closed.
//
// A message that goes to a worker is not seen by later components. Otherwise what Receive returns means what
// it does on a loop: an error is counted, and a *Fault with Fate Close disconnects the peer. Keepalives,
// which cost no credit, are not handed on.
//
// Workers are started by Startup and end in Cleanup, which waits for them.
func Offload(c ComponentInterface, workers int) ComponentInterface {
	o := &offload{ComponentInterface: c}
	for range max(1, workers) {
		w := &offloadWorker{owner: o, kept: map[*PeerClient]int{}}
		w.wake = sync.NewCond(&w.mu)
		o.workers = append(o.workers, w)
	}
	o.added = o
	if s, ok := c.(Subscriber); ok {
		o.added = &subscribedOffload{o, s}
	}
	return o.added
}

// A subscribedOffload is an offload of a component that names its opcodes; others see every message.
type subscribedOffload struct {
	*offload
	Subscriber
}

type offload struct {
	ComponentInterface
	added   ComponentInterface // what is added to the Network in its place; fixed
	workers []*offloadWorker
	done    sync.WaitGroup
}

// offloadWorker handles the messages of the peers that fall to it.
type offloadWorker struct {
	owner *offload
	mu    sync.Mutex
	wake  *sync.Cond
	queue []*ComponentContext // bounded by the peers' credit
	kept  map[*PeerClient]int // bytes that wait, by peer
	quit  bool
}

// ComponentName is the name of the component that it runs.
func (o *offload) ComponentName() string { return nameOf(o.ComponentInterface) }

func (o *offload) Startup(n *Network) {
	for _, w := range o.workers {
		w.quit = false // it may have been removed and added again
		o.done.Add(1)
		go w.run()
	}
	o.ComponentInterface.Startup(n)
}

func (o *offload) Cleanup(n *Network) {
	for _, w := range o.workers {
		w.mu.Lock()
		w.quit = true
		w.mu.Unlock()
		w.wake.Signal()
	}
	o.done.Wait()
	o.ComponentInterface.Cleanup(n)
}

// Receive hands the message to the peer's worker. On the loop.
func (o *offload) Receive(ctx *ComponentContext) error {
	if !credited(ctx.op) {
		return nil // nothing would bound how many of them wait
	}
	kept := *ctx
	if l := ctx.peer.loop; l.packed != nil { // as it came: what waits must not weigh more than the credit it costs
		kept.payload, kept.flags = l.packed, ctx.flags|framing.FlagCompressed
	}
	id := ctx.peer.id
	w := o.workers[binary.LittleEndian.Uint32(id[:])%uint32(len(o.workers))]
	if err := w.reserve(ctx.peer, len(kept.payload)+offloadCost); err != nil {
		return &Fault{Ours, Close, CodeLimit, err}
	}
	kept.payload = slices.Clone(kept.payload)
	kept.kept = true
	kept.held = ctx.peer.loop.held
	ctx.peer.loop.held = 0
	w.mu.Lock()
	w.queue = append(w.queue, &kept)
	w.mu.Unlock()
	w.wake.Signal()
	return ErrIntercepted
}

// reserve books the memory of a message that is going to wait. On the peer's loop.
func (w *offloadWorker) reserve(p *PeerClient, size int) error {
	bufs := p.net.bufs
	if err := bufs.Reserve(size); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.kept[p] + size
	if kept > p.net.cfg.ReceiveWindow && bufs.Lent() > bufs.Limit()/2 {
		bufs.Release(size)
		return session.ErrMemory // half of the memory is not for those who send what costs little credit and much to keep
	}
	w.kept[p] = kept
	return nil
}

// release ends what reserve began.
func (w *offloadWorker) release(p *PeerClient, size int) {
	p.net.bufs.Release(size)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kept[p] -= size; w.kept[p] == 0 {
		delete(w.kept, p)
	}
}

func (w *offloadWorker) run() {
	defer w.owner.done.Done()
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.quit {
			w.wake.Wait()
		}
		batch := w.queue
		w.queue = nil
		w.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, ctx := range batch {
			w.handle(ctx)
		}
	}
}

// handle runs the component and gives the credit back.
func (w *offloadWorker) handle(ctx *ComponentContext) {
	p := ctx.peer
	size := ctx.held
	defer p.loop.post(func() {
		p.consume(size)
		p.grant()
	})
	defer w.release(p, len(ctx.payload)+offloadCost) // its size now: inflating replaces it
	defer func() {
		if r := recover(); r != nil {
			p.net.panicked(w.owner.slot(p.net), r)
		}
	}()
	if !p.Connected() {
		return
	}
	if ctx.flags&framing.FlagCompressed != 0 {
		plain, err := s2.Decode(nil, ctx.payload) // has been inflated before, within its limits
		if err != nil {
			return
		}
		ctx.payload, ctx.flags = plain, ctx.flags&^framing.FlagCompressed
	}
	err := w.owner.ComponentInterface.Receive(ctx)
	if _, intercepted := err.(*interception); err == nil || intercepted {
		return
	}
	if fault := p.refused(w.owner.slot(p.net), ctx.op, err); fault != nil {
		p.loop.post(func() { p.end(fault) })
	}
}

// slot is where the component's errors and panics are counted. Any goroutine.
func (o *offload) slot(n *Network) *slot {
	for _, s := range n.table.Load().slots {
		if s.component == o.added {
			return s
		}
	}
	return &slot{name: o.ComponentName()} // it has been taken out meanwhile
}

// SilentAfter is far away unless the wrapped component watches.
func (o *offload) SilentAfter() time.Duration {
	if s, ok := o.ComponentInterface.(SilenceWatcher); ok {
		return s.SilentAfter()
	}
	return 1<<63 - 1
}

func (o *offload) PeerSilent(p *PeerClient, silent time.Duration) {
	if s, ok := o.ComponentInterface.(SilenceWatcher); ok {
		s.PeerSilent(p, silent)
	}
}
