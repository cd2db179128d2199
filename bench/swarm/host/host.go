package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/rpc"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
	"github.com/carrier-p2p/carrier/skad"
)

// A Host is told what to do over a connection: see Serve. Its methods may be called from any goroutine.
type Host struct {
	ctx    context.Context // of the connection
	setup  Setup           // fixed by Open
	hub    *shared.Hub     // likewise
	heap   uint64          // before anything was started
	gc     int             // what the collector was set to before; 0: it was left alone
	ending sync.WaitGroup
	crowd  atomic.Pointer[crowd]

	mu    sync.Mutex
	nodes map[int]*node    // those that live, by number; under mu
	free  []transport.Addr // places where nobody listens; under mu
	index uint64           // of the last broadcast that anybody has heard; under mu
	heard []Delivery       // of that one; under mu
}

// errNode says that a node does not live here.
var errNode = errors.New("host: no such node")

// Serve is a host until conn ends. Then it ends its nodes, without a word to anybody, and returns.
func Serve(conn io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h := &Host{ctx: ctx, nodes: map[int]*node{}}
	h.crowd.Store(&crowd{})
	server := rpc.NewServer()
	if err := server.RegisterName("Host", h); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	server.ServeConn(line{conn, cancel}) // waits for the calls under way, which end with ctx
	h.close()
	return nil
}

// A line is a connection whose end is heard of while calls are under way.
type line struct {
	io.ReadWriteCloser
	ended context.CancelFunc
}

func (l line) Read(b []byte) (int, error) {
	n, err := l.ReadWriteCloser.Read(b)
	if err != nil {
		l.ended()
	}
	return n, err
}

// Open listens at as many places as there are to be nodes. It is the first call.
func (h *Host) Open(s Setup, _ *None) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hub != nil || s.Places < 1 {
		return errors.New("host: bug: opened twice, or for no node")
	}
	h.setup, h.heap = s, heap()
	any := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
	if h.hub, err = shared.New(gnetio.New(gnetio.Config{Loops: s.Loops}), 0, slices.Repeat([]transport.Addr{any}, s.Places)...); err != nil {
		return err
	}
	h.free = h.hub.Bound()
	if os.Getenv("GOGC") == "" {
		h.gc = debug.SetGCPercent(gcPercent)
	}
	return nil
}

// gcPercent has the collector run less often than it does by default, while one process plays many nodes: it has the memory
// of all of them to mark, and who allocates meanwhile has to help. With 100 that is a task in ten thousand, and takes 2 to 4
// ms of processor time; no task of a node that has its process to itself was seen to take one.
const gcPercent = 300

// Start starts a node at a free place.
func (h *Host) Start(s Spec, m *Member) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.free) == 0 || h.nodes[s.Number] != nil {
		return fmt.Errorf("host: bug: no place for node %d, or it is there", s.Number)
	}
	n, err := h.start(s, h.free[0])
	if err != nil {
		return fmt.Errorf("node %d: %w", s.Number, err)
	}
	h.free = h.free[1:]
	h.nodes[s.Number] = n
	*m = n.member(s)
	return nil
}

// Joined waits for a node to join.
func (h *Host) Joined(w Wait, joined *bool) error {
	n, err := h.node(w.Number)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(h.ctx, w.Patience)
	defer cancel()
	*joined = n.disc.Wait(ctx) == nil
	return nil
}

// Meet tells who there is, in the whole swarm: the truth that Look judges by, and what hostile nodes know.
func (h *Host) Meet(members []Member, _ *None) error {
	c, err := newCrowd(members)
	if err == nil {
		h.crowd.Store(c)
	}
	return err
}

// Look looks at what the honest nodes know.
func (h *Host) Look(_ None, s *Seen) error {
	c := h.crowd.Load()
	for _, n := range h.living() {
		if n.hostile {
			continue
		}
		s.Honest++
		if c.exact(n.id, n.disc.View().Closest(n.id, Nearest, nil)) {
			s.Exact++
		}
		all, _ := n.net.ConnMgr().Count()
		s.Connections += all
	}
	return nil
}

// Lookup looks up a key.
func (h *Host) Lookup(q Quest, f *Found) error {
	n, err := h.node(q.Number)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(h.ctx, q.Patience)
	defer cancel()
	r, err := n.disc.Closest(ctx, q.Key, skad.LookupOptions{Count: Nearest})
	if err != nil {
		return err
	}
	f.Hops, f.Asked, f.Took = r.Hops, r.Asked, r.Took
	for _, c := range r.Closest {
		f.Closest = append(f.Closest, c.ID)
	}
	return nil
}

// Broadcast begins a broadcast.
func (h *Host) Broadcast(s Shout, _ *None) error {
	n, err := h.node(s.Number)
	if err != nil {
		return err
	}
	payload := make([]byte, max(ShoutLeast, s.Size))
	binary.LittleEndian.PutUint64(payload, s.Index)
	binary.LittleEndian.PutUint64(payload[8:], uint64(time.Now().UnixNano())) // the hosts of a swarm share a machine, and its clock
	_, err = n.cast.Broadcast(h.ctx, payload)
	return err
}

// take is what node number does with a broadcast. On its home loop.
func (h *Host) take(number int, m *broadcast.Message) {
	index, began := binary.LittleEndian.Uint64(m.Payload), int64(binary.LittleEndian.Uint64(m.Payload[8:]))
	d := Delivery{Number: number, Hops: m.Hops, Took: time.Duration(time.Now().UnixNano() - began)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if index > h.index {
		h.index, h.heard = index, nil
	}
	if index == h.index {
		h.heard = append(h.heard, d)
	}
}

// Heard returns who has delivered the broadcast of that index, the last one of all.
func (h *Host) Heard(index uint64, list *[]Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if index == h.index {
		*list = slices.Clone(h.heard)
	}
	return nil
}

// Kill ends nodes as if they had been killed, all at the same moment. What they hold is given back in the background.
func (h *Host) Kill(numbers []int, _ *None) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range numbers {
		n := h.nodes[i]
		if n == nil {
			return fmt.Errorf("%w: %d", errNode, i)
		}
		n.port.Cut()
		delete(h.nodes, i)
		h.free = append(h.free, n.at)
		h.ending.Go(n.shutdown)
	}
	return nil
}

// Count adds up counters.
func (h *Host) Count(_ None, s *Sum) error {
	for _, n := range h.living() {
		if n.hostile {
			continue
		}
		cast, disc := n.cast.Stats(), n.disc.Stats()
		s.BytesOut += n.net.Stats().BytesOut
		s.Delivered += cast.Delivered
		s.Doubled += cast.Dropped[skad.SpreadKnown]
		s.Forged += disc.Core.Dropped[skad.BadSignature] + cast.Dropped[skad.BadSignature]
		s.Banned += disc.Core.Bans
		s.Flood += disc.Flood + disc.Unasked
	}
	return nil
}

// Settle measures memory, when those that were killed have given back theirs, and how the tasks have held the loops.
func (h *Host) Settle(_ None, b *Bill) error {
	h.ending.Wait()
	if now := heap(); now > h.heap {
		b.Heap = now - h.heap
	}
	living := h.living()
	b.Nodes = len(living)
	for _, n := range living {
		for name, t := range n.net.Stats().Tasks {
			if name == yardstickName {
				AddTasks(&b.Yardstick, &t)
				continue
			}
			if b.Tasks.LongestWork < t.LongestWork {
				b.Hardest = name
			}
			AddTasks(&b.Tasks, &t)
		}
	}
	return nil
}

// AddTasks adds one account of tasks to another.
func AddTasks(to, t *engine.TaskStats) {
	to.Runs += t.Runs
	to.Longest, to.LongestWork = max(to.Longest, t.Longest), max(to.LongestWork, t.LongestWork)
	for i := range t.Held {
		to.Held[i] += t.Held[i]
		to.Worked[i] += t.Worked[i]
	}
}

// heap is the memory in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (h *Host) node(number int) (*node, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.nodes[number]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: %d", errNode, number)
}

func (h *Host) living() (list []*node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.nodes {
		list = append(list, n)
	}
	return list
}

// close ends everything.
func (h *Host) close() {
	for _, n := range h.living() {
		n.port.Cut()
		h.ending.Go(n.shutdown)
	}
	h.ending.Wait()
	if h.gc != 0 {
		debug.SetGCPercent(h.gc)
	}
	if h.hub != nil {
		_ = h.hub.Close() // nobody is left who could use it
	}
}
