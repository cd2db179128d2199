package gnetio

import (
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// TestLinkSize: there are very many links.
func TestLinkSize(t *testing.T) {
	if size := unsafe.Sizeof(link{}); size > 80 {
		t.Errorf("a link is %d bytes, promised 80", size)
	}
}

// linkHeapLimit is what an idle accepted link may cost in heap, gnet's 382 to 396 bytes, our 80, and room for the maps'
// steps.
const linkHeapLimit = 512

// TestIdleLinkHeap: the heap that an idle accepted link costs, all in all.
func TestIdleLinkHeap(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	const links = 4000
	p := newProbe()
	tr, bound := start(t, Config{Loops: 2}, p, loopback())
	if tr.LinkLimit() < 2*links {
		t.Skipf("only %d links possible", tr.LinkLimit())
	}
	sa, family, err := socketAddr(bound[0].AddrPort)
	if err != nil {
		t.Fatal(err)
	}
	fds := make([]int, 0, links)
	defer func() {
		for _, fd := range fds {
			closeFD(fd)
		}
	}()
	before := heapNow()
	for range links {
		fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := unix.Connect(fd, sa); err != nil {
			t.Fatal(err)
		}
		get(t, "a link", p.opened)
	}
	each := float64(heapNow()-before) / links
	t.Logf("%.0f bytes of heap per idle accepted link", each)
	if each > linkHeapLimit {
		t.Errorf("%.0f bytes of heap per idle link, at most %d are promised", each, linkHeapLimit)
	}
}

func heapNow() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestWriteAllocs: writing allocates nothing, nor does a short write with its Writable.
func TestWriteAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	pa, pb := newProbe(), newProbe()
	var received atomic.Int64
	pb.bytes = func(_ transport.Link, b []byte) { received.Add(int64(len(b))) }
	room := make(chan struct{}, 1)
	pa.room = func(transport.Link) { room <- struct{}{} }
	_, bound := start(t, Config{Loops: 1}, pb, loopback())
	a, _ := start(t, Config{Loops: 1}, pa)
	la, _ := connect(t, a, pa, pb, bound[0])
	small := make([]byte, 64)
	if n := testing.AllocsPerRun(200, func() {
		if n, err := la.Write(small); n != len(small) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	}); n != 0 {
		t.Errorf("a write: %v allocations, promised 0", n)
	}
	shorts := 0
	large := make([]byte, 8<<20)
	if n := testing.AllocsPerRun(20, func() {
		n, err := la.Write(large)
		if err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		if n < len(large) {
			shorts++
			<-room
		}
	}); n != 0 {
		t.Errorf("a short write: %v allocations, promised 0", n)
	}
	if shorts == 0 {
		t.Error("no short write")
	}
	if received.Load() == 0 {
		t.Error("nothing arrived")
	}
}

// TestReceiveAllocs: an echo through both ends allocates nothing.
func TestReceiveAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	pa, pb := newProbe(), newProbe()
	back := make(chan int, 1)
	pb.bytes = func(l transport.Link, b []byte) { l.Write(b) }
	pa.bytes = func(_ transport.Link, b []byte) { back <- len(b) }
	_, bound := start(t, Config{Loops: 1}, pb, loopback())
	a, _ := start(t, Config{Loops: 1}, pa)
	la, _ := connect(t, a, pa, pb, bound[0])
	out := make([]byte, 64)
	if n := testing.AllocsPerRun(500, func() {
		la.Write(out)
		if n := <-back; n != len(out) {
			t.Errorf("%d bytes came back", n)
		}
	}); n != 0 {
		t.Errorf("an echo: %v allocations, promised 0", n)
	}
}

// TestLocalAfterEnd: inside Closed the socket still knows its address, afterwards nobody does.
func TestLocalAfterEnd(t *testing.T) {
	p := &closeWatch{probe: newProbe()}
	_, bound := start(t, Config{Loops: 1}, p, loopback())
	strangers(t, bound[0], 1)[0].Close()
	l := get(t, "an end", p.closed).Link
	if p.local != bound[0] {
		t.Errorf("inside Closed the local address is %v, want %v", p.local, bound[0])
	}
	waitUntil(t, func() bool { return l.Local().IsZero() })
	if l.Remote().IsZero() {
		t.Error("the remote address was forgotten")
	}
}

type closeWatch struct {
	*probe
	local transport.Addr
}

func (p *closeWatch) Closed(l transport.Link, err error) {
	p.local = l.Local()
	p.probe.Closed(l, err)
}

// TestWriteAfterCloseWrite: our end is over, and nothing is written any more; the other end's is not.
func TestWriteAfterCloseWrite(t *testing.T) {
	p := newProbe()
	_, bound := start(t, Config{Loops: 1}, p, loopback())
	c := strangers(t, bound[0], 1)[0]
	l := get(t, "a link", p.opened)
	l.CloseWrite()
	l.CloseWrite()
	if n, err := l.Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the other end read %d, %v", n, err)
	}
	if len(p.closed) > 0 {
		t.Error("the link is closed, it should be half closed")
	}
	c.Close()
	want(t, "Closed", get(t, "an end", p.closed).err, io.EOF)
}

// TestManyCloses: more closes at once than one turn handles.
func TestManyCloses(t *testing.T) {
	const links = 2*postBatch + 10
	p := newProbe()
	_, bound := start(t, Config{Loops: 1}, p, loopback())
	strangers(t, bound[0], links)
	all := make([]transport.Link, links)
	for i := range all {
		all[i] = get(t, "a link", p.opened)
	}
	for _, l := range all {
		l.Close()
	}
	for range all {
		want(t, "Closed", get(t, "an end", p.closed).err, nil)
	}
}

// TestStaleEvents: an event of an order that was replaced, or of a link that is gone, is not the link's.
func TestStaleEvents(t *testing.T) {
	lp := newLoop(New(Config{}), nil, 0)
	l := &link{lp: lp, ticket: 7, blocked: true}
	for _, c := range []struct {
		name   string
		prep   func()
		ticket uint32
		posts  int
	}{
		{"older ticket", func() {}, 6, 0},
		{"its ticket", func() {}, 7, 1},
		{"not blocked", func() { l.blocked = false }, 7, 1},
		{"gone", func() { l.blocked, l.gone = true, true }, 7, 1},
	} {
		c.prep()
		l.hasRoom(c.ticket)
		if len(lp.posts) != c.posts {
			t.Errorf("%s: %d posts, want %d", c.name, len(lp.posts), c.posts)
		}
	}
}

// TestBrokenWrites: which failures of a write end the link by themselves.
func TestBrokenWrites(t *testing.T) {
	for errno, posts := range map[syscall.Errno]int{
		unix.EPIPE: 0, unix.ECONNRESET: 0, unix.ETIMEDOUT: 1, unix.ENOBUFS: 1, unix.EIO: 1,
	} {
		lp := newLoop(New(Config{}), nil, 0)
		l := &link{lp: lp}
		if err := l.brokenLocked(errno); err != transport.ErrClosed {
			t.Errorf("%v: %v", errno, err)
		}
		if len(lp.posts) != posts {
			t.Errorf("%v: %d posts, want %d", errno, len(lp.posts), posts)
		}
		if _, err := l.Write([]byte("x")); err != transport.ErrClosed {
			t.Errorf("Write after %v: %v", errno, err)
		}
	}
}

// TestWriteFD: what write(2) may say.
func TestWriteFD(t *testing.T) {
	if n, errno := writeFD(-1, []byte("x")); n != 0 || errno != unix.EBADF {
		t.Errorf("write to no descriptor: %d, %v", n, errno)
	}
	in, outer, err := newSocketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(outer)
	defer in.Close()
	block := make([]byte, 1<<16)
	for range 1000 {
		n, errno := writeFD(outer, block)
		if errno == unix.EAGAIN && n == 0 {
			return
		}
		if errno != 0 {
			t.Fatal(errno)
		}
	}
	t.Error("a socket that nobody reads never was full")
}

// TestNoStrayWrites: the number of a closed socket is the next one's. Who still holds the link that had it writes nothing
// into the new one, shuts nothing down, and leaves its options alone.
func TestNoStrayWrites(t *testing.T) {
	p := newProbe()
	_, bound := start(t, Config{Loops: 1}, p, loopback())
	same := 0
	for range 50 {
		strangers(t, bound[0], 1)[0].Close()
		old := get(t, "a link", p.opened).Link.(*link)
		want(t, "Closed", get(t, "an end", p.closed).err, io.EOF)
		waitUntil(t, func() bool { return old.Local().IsZero() })

		c := strangers(t, bound[0], 1)[0]
		next := get(t, "the next link", p.opened).Link.(*link)
		if next.fd == old.fd {
			same++
		}
		if n, err := old.Write([]byte("stray")); n != 0 || err != transport.ErrClosed {
			t.Errorf("wrote %d into a link that is gone, %v", n, err)
		}
		if n, err := old.WriteLast([]byte("stray")); n != 0 || err != transport.ErrClosed {
			t.Errorf("wrote %d as the last of a link that is gone, %v", n, err)
		}
		old.CloseWrite()
		old.SetQueueLimit(77)
		old.Close()
		next.Write([]byte("mine"))
		b := make([]byte, 16)
		if n, err := c.Read(b); string(b[:n]) != "mine" || err != nil {
			t.Errorf("the next link's other end read %q, %v", b[:n], err)
		}
		if v, ok := queueLimitOf(int(next.fd)); ok && v == 77 {
			t.Error("the next link got an option of the one that is gone")
		}
		c.Close()
		if e := get(t, "its end", p.closed); e.Link != transport.Link(next) {
			t.Error("Closed twice for the link that was gone")
		}
	}
	if same == 0 {
		t.Error("no number was used again: this test shows nothing")
	}
}

// TestWatcherForgets: a link that ends while its socket is full leaves nothing behind.
func TestWatcherForgets(t *testing.T) {
	p := newProbe()
	tr, bound := start(t, Config{Loops: 1}, p, loopback())
	c := strangers(t, bound[0], 1)[0]
	l := get(t, "a link", p.opened)
	block := make([]byte, 1<<20)
	for {
		n, err := l.Write(block)
		if err != nil {
			t.Fatal(err)
		}
		if n < len(block) {
			break
		}
	}
	orders := func() int {
		tr.watcher.mu.Lock()
		defer tr.watcher.mu.Unlock()
		return len(tr.watcher.orders)
	}
	if n := orders(); n != 1 {
		t.Errorf("%d orders for one full socket", n)
	}
	c.SetLinger(0)
	c.Close() // a reset
	get(t, "the end", p.closed)
	if n := orders(); n != 0 {
		t.Errorf("%d orders are left", n)
	}
}
