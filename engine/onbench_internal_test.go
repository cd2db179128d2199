package engine

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A bench transport does nothing by itself: the test plays the loop, and so decides what happens between two instructions
// of the engine.
type benchTransport struct {
	sink transport.Sink
	loop *benchLoop
	mu   sync.Mutex
	tags []any // of Dial; under mu
}

type benchLoop struct {
	now   time.Duration
	woken atomic.Bool
	alarm time.Duration
}

func (l *benchLoop) Index() int              { return 0 }
func (l *benchLoop) Now() time.Duration      { return l.now }
func (l *benchLoop) Wake()                   { l.woken.Store(true) }
func (l *benchLoop) WakeAt(at time.Duration) { l.alarm = at }

func (t *benchTransport) Start(s transport.Sink, listen []transport.Addr) ([]transport.Addr, error) {
	t.sink, t.loop = s, &benchLoop{now: time.Second, alarm: transport.Never}
	return listen, nil
}
func (t *benchTransport) Loops() []transport.Loop { return []transport.Loop{t.loop} }
func (t *benchTransport) Stop() error             { return nil }
func (t *benchTransport) Protos() []transport.Proto {
	return []transport.Proto{transport.TCP}
}
func (t *benchTransport) Dial(_ context.Context, _ transport.Addr, tag any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tags = append(t.tags, tag)
}

// turns gives the loop its turns until it wants none.
func (t *benchTransport) turns() {
	for t.loop.woken.Swap(false) {
		t.sink.Turn(t.loop)
	}
}

// A benchLink remembers what was written to it.
type benchLink struct {
	loop    *benchLoop
	owner   any
	written int    // bytes
	writes  int    // calls
	room    int    // what the next Write takes; 0: all
	short   func() // called within a Write that is short
	closed  bool
}

func (l *benchLink) Loop() transport.Loop { return l.loop }
func (l *benchLink) Local() transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("192.0.2.1:1")}
}
func (l *benchLink) Remote() transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("192.0.2.2:2")}
}
func (l *benchLink) Write(b []byte) (int, error) {
	if l.closed {
		return 0, transport.ErrClosed
	}
	n := len(b)
	if l.room > 0 && l.room < n {
		n, l.room = l.room, 0
	}
	l.written += n
	l.writes++
	if n < len(b) {
		l.short()
	}
	return n, nil
}
func (l *benchLink) CloseWrite()       {}
func (l *benchLink) Close()            { l.closed = true }
func (l *benchLink) SetQueueLimit(int) {}
func (l *benchLink) SetOwner(o any)    { l.owner = o }
func (l *benchLink) Owner() any        { return l.owner }

// onBench starts a node whose loop is the test.
func onBench(t *testing.T) (*Network, *benchTransport) {
	id, err := identity.FromSeed(context.Background(), [32]byte{1}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	tr := &benchTransport{}
	n, err := New(Config{Transport: tr, Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	tr.turns()
	t.Cleanup(func() { n.workers.stop() })
	return n, tr
}

// openOnBench makes an open peer out of nothing: no handshake, keys of zeros, and all the credit it could want.
func openOnBench(n *Network, tr *benchTransport) (*PeerClient, *benchLink) {
	link := &benchLink{loop: tr.loop}
	p := &PeerClient{net: n, loop: n.loops[0], link: link, index: -1, id: identity.ID{9}, speaks: true, opened: true}
	link.SetOwner(p)
	p.life.Store(uint32(stateOpen))
	p.send.open, p.send.granted, p.send.allowed = true, true, 1<<30
	n.loops[0].add(p)
	return p, link
}

// The kernel may have room again before Write has told the caller that it was full: Writable then comes while the caller
// still owns the flush. What is left must be written nevertheless.
func TestWritableDuringAShortWrite(t *testing.T) {
	n, tr := onBench(t)
	p, link := openOnBench(n, tr)
	link.room = 1000
	link.short = func() { tr.sink.Writable(link) }
	c := &call{done: make(chan error, 1)}
	const size = 10_000
	if err := p.ask(0, c, 1000, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	tr.turns()
	if link.written < size {
		t.Errorf("%d bytes of a request of %d have been written, and nobody will write the rest", link.written, size)
	}
}

// A dial may be given up at the very moment at which it succeeds: the link is there, but nobody wants it.
func TestDialGivenUpAsItConnects(t *testing.T) {
	n, tr := onBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for len(tr.tags) == 0 {
		if _, err := n.Dial(ctx, "tcp://192.0.2.2:2"); err == nil {
			t.Fatal("connected to nobody")
		}
	}
	link := &benchLink{loop: tr.loop}
	tr.sink.Opened(link, tr.tags[0])
	tr.turns()
	if !link.closed {
		t.Error("the link stays open")
	}
}

// A stream whose reader never quite catches up keeps what is unread, not what has been read.
func TestStreamMemory(t *testing.T) {
	n, tr := onBench(t)
	p, _ := openOnBench(n, tr)
	s, err := p.openStream()
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 32<<10)
	s.take(part)
	for range 1000 {
		s.take(part)
		if k, err := s.Read(part); k != len(part) || err != nil {
			t.Fatal(k, err)
		}
		tr.turns()
	}
	if kept := cap(s.buf); kept > 4*len(part) {
		t.Errorf("%d bytes of memory for %d unread ones", kept, len(part))
	}
}

// Who waits for room while the node's memory is short tries again now and then, and does not keep the loop busy.
func TestOnRoomWithoutMemory(t *testing.T) {
	n, tr := onBench(t)
	p, _ := openOnBench(n, tr)
	if err := n.bufs.Reserve(int(n.bufs.Limit() - n.bufs.Lent())); err != nil {
		t.Fatal(err)
	}
	tries, sent := 0, false
	var try func()
	try = func() {
		tries++
		err := p.TrySendRaw(1000, make([]byte, 100))
		if sent = err == nil; errors.Is(err, ErrSendBufferFull) && tries < 1000 {
			p.OnRoom(try)
		}
	}
	try()
	for range 10 {
		tr.turns()
		tr.loop.now += roomAgain
		tr.sink.Turn(tr.loop)
	}
	if tries < 5 || tries > 11 || sent {
		t.Errorf("%d tries in %v, sent %v", tries, 10*roomAgain, sent)
	}
	n.bufs.Release(int(n.bufs.Limit() / 4)) // an eighth is not for what waits to be sent
	tr.loop.now += roomAgain
	tr.sink.Turn(tr.loop)
	if !sent {
		t.Error("memory has come back, and nothing was sent")
	}
}

// The end of a stream that finds no memory is queued when there is some: else who reads would wait for ever.
func TestStreamEndWithoutMemory(t *testing.T) {
	n, tr := onBench(t)
	p, link := openOnBench(n, tr)
	s, err := p.openStream()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.bufs.Reserve(int(n.bufs.Limit() - n.bufs.Lent())); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	later := func() {
		tr.turns()
		tr.loop.now += roomAgain
		tr.sink.Turn(tr.loop)
		tr.turns()
	}
	later()
	if link.written != 0 {
		t.Fatalf("%d bytes have been written without memory", link.written)
	}
	n.bufs.Release(int(n.bufs.Limit() / 4))
	later()
	if link.written == 0 {
		t.Error("memory has come back, and the end was not written")
	}
}

// Peers that are taken leave of at the end of a turn get their goodbye within it: what comes after may be the end of the loop.
func TestFarewellIsWrittenAtOnce(t *testing.T) {
	n, tr := onBench(t)
	_, link := openOnBench(n, tr)
	l := n.loops[0]
	l.post(func() { l.post(l.farewell) })
	tr.sink.Turn(tr.loop)
	if link.written == 0 {
		t.Error("the loop has taken leave of the peer and not told it")
	}
}
