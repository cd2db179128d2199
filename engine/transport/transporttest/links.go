package transporttest

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Starting and binding.

// testStart: loops are there, numbered, and their clock does not go back; the port is filled in.
func testStart(k *kit) {
	n := k.start(k.node("a"), k.net.Listen())
	if len(n.bound) != 1 || n.bound[0].Port() == 0 {
		k.Errorf("bound %v, want one address with a port", n.bound)
	}
	loops := n.Loops()
	if len(loops) == 0 {
		k.Fatal("no loops")
	}
	for i, lp := range loops {
		if lp.Index() != i {
			k.Errorf("loop %d says it is %d", i, lp.Index())
		}
		if a, b := lp.Now(), lp.Now(); a < 0 || b < a {
			k.Errorf("loop %d: the time went from %v to %v", i, a, b)
		}
	}
}

// testListenSeveral: every address listened on answers, and bound keeps the order of listen.
func testListenSeveral(k *kit) {
	a, b := k.node("a"), k.node("b")
	k.start(b, k.net.Listen(), k.net.Listen(), k.net.Listen())
	k.start(a)
	if len(b.bound) != 3 || b.bound[0] == b.bound[1] || b.bound[1] == b.bound[2] {
		k.Fatalf("bound %v, want three addresses", b.bound)
	}
	for i, to := range b.bound {
		tag := k.dial(context.Background(), a, to)
		k.await("both ends opened", func() bool { return a.endOf(tag) != nil && len(b.opened()) == i+1 })
		if got := b.opened()[i].Local(); got != to {
			k.Errorf("dialled %v, and the accepted end says it is %v", to, got)
		}
		if got := a.endOf(tag).Remote(); got != to {
			k.Errorf("dialled %v, and the dialled end says its remote is %v", to, got)
		}
	}
}

// testAddressInUse: one bad address among several is an error that names it, and leaves none of the others bound.
func testAddressInUse(k *kit) {
	a := k.start(k.node("a"), k.net.Listen())
	free := k.node("free")
	bound, err := free.Start(free.recorder, []transport.Addr{k.net.Listen()})
	if err != nil {
		k.Fatal(err)
	}
	k.stop(free) // now there is an address that is known to be free

	b := k.node("b")
	got, err := b.Start(b.recorder, []transport.Addr{bound[0], a.bound[0]})
	if err == nil {
		k.stop(b)
		k.Fatalf("Start on %v, which is in use, bound %v", a.bound[0], got)
	}
	if name := a.bound[0].AddrPort.String(); !strings.Contains(err.Error(), name) {
		k.Errorf("the error %q does not name %s", err, name)
	}
	k.start(k.node("c"), bound[0])
}

// testDialOnly: a transport without addresses dials, and says it is bound to nothing.
func testDialOnly(k *kit) {
	a, b := k.pair()
	if len(a.bound) != 0 {
		k.Errorf("asked for no address, bound %v", a.bound)
	}
	k.connect(a, b)
}

// Opening and closing.

// testOpenClose: both ends open, agree about their addresses, belong to a loop of their transport; the dialler closes,
// which is nil there and io.EOF here.
func testOpenClose(k *kit) {
	a, b := k.pair()
	ea, eb := k.connect(a, b)
	if ea.Local() != eb.Remote() || ea.Remote() != eb.Local() {
		k.Errorf("the ends disagree: %v, %v", ea, eb)
	}
	if eb.tag != nil {
		k.Errorf("the accepted end has tag %v", eb.tag)
	}
	for _, e := range []struct {
		*end
		*node
	}{{ea, a}, {eb, b}} {
		if lp := e.Loop(); e.Loops()[lp.Index()] != lp {
			k.Errorf("%v: its loop is not one of its transport's", e.end)
		}
	}
	k.barrier(ea, eb, 2)
	ea.Close()
	k.awaitClosed(ea, nil)
	k.awaitClosed(eb, io.EOF)
}

// testCloseByAcceptor is testOpenClose the other way round.
func testCloseByAcceptor(k *kit) {
	ea, eb := k.connect(k.pair())
	eb.Close()
	k.awaitClosed(eb, nil)
	k.awaitClosed(ea, io.EOF)
}

// testCloseTwice: Close is idempotent, before and after Closed, and other links of the same loops live on.
func testCloseTwice(k *kit) {
	a, b := k.pair()
	ea, eb := k.connect(a, b)
	stay, stayB := k.connect(a, b)
	ea.Close()
	ea.Close()
	k.awaitClosed(ea, nil)
	k.awaitClosed(eb, io.EOF)
	ea.Close()
	eb.Close()
	k.barrier(stay, stayB, 2)
}

// testCloseInsideOpened: the sink may refuse a link at once.
func testCloseInsideOpened(k *kit) {
	a, b := k.node("a"), k.node("b")
	b.onOpened = func(e *end) {
		e.Close()
		if e.isClosed() {
			k.Error("Closed came while Opened was still running")
		}
	}
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	k.awaitClosed(eb, nil)
	k.awaitClosed(ea, io.EOF)
}

// testCloseInsideBytes: after a Close inside Bytes no more bytes come, however many are waiting, and Closed comes when
// the call has returned.
func testCloseInsideBytes(k *kit) {
	a, b := k.node("a"), k.node("b")
	calls := 0
	b.onBytes = func(e *end, _ []byte) {
		calls++
		e.Close()
		if e.isClosed() {
			k.Error("Closed came while Bytes was still running")
		}
	}
	p := new(pump)
	a.onWritable = func(*end) { p.run() }
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	*p = pump{e: ea, size: 4 << 20}
	p.run()
	k.awaitClosed(eb, nil)
	k.awaitGone(ea)
	if calls != 1 {
		k.Errorf("%d calls of Bytes, want 1", calls)
	}
}

// testCloseDelivers: what Write took before Close arrives.
func testCloseDelivers(k *kit) {
	ea, eb := k.connect(k.pair())
	eb.mu.Lock()
	eb.expect = &pattern{}
	eb.mu.Unlock()
	b := make([]byte, 64<<10)
	pattern{}.fill(0, b)
	n, err := ea.write(b)
	if n == 0 || err != nil {
		k.Fatalf("wrote %d, %v", n, err)
	}
	ea.Close()
	k.awaitClosed(ea, nil)
	k.awaitClosed(eb, io.EOF)
	if got := eb.received(); got != int64(n) {
		k.Errorf("%d bytes arrived of %d that Write took", got, n)
	}
}

// testCloseDuringWrites: one goroutine writes, another closes. Every write after it is ErrClosed, and no writer writes
// into someone else's socket: the link that stays gets its own bytes only.
func testCloseDuringWrites(k *kit) {
	if k.net.Serial {
		k.Skip("this transport is used from one goroutine")
	}
	a, b := k.node("a"), k.node("b")
	var writable sync.Map // *end -> chan struct{}
	notice := func(e *end) {
		if ch, ok := writable.Load(e.Link); ok {
			ch.(chan struct{}) <- struct{}{}
		}
	}
	a.onWritable, a.onClosed = notice, notice
	k.startPair(a, b)
	for range 20 {
		ea, eb := k.connect(a, b)
		room := make(chan struct{}, 2)
		writable.Store(ea.Link, room)
		done := make(chan error, 1)
		go func() {
			block := make([]byte, 32<<10)
			for {
				n, err := ea.write(block)
				if err != nil {
					done <- err
					return
				}
				if n < len(block) {
					<-room // Writable, or Closed: then the next write says so
					ea.mu.Lock()
					ea.awaiting = false
					ea.mu.Unlock()
				}
			}
		}()
		k.await("some bytes", func() bool { return eb.received() > 64<<10 })
		ea.Close()
		if err := <-done; !errors.Is(err, transport.ErrClosed) {
			k.Errorf("Write beside Close: %v, want ErrClosed", err)
		}
		k.awaitClosed(ea, nil)
		k.awaitGone(eb)

		// The next link very likely has the number of the one that is gone.
		next, nextB := k.connect(a, b)
		if n, err := ea.Write([]byte("stray")); n != 0 || !errors.Is(err, transport.ErrClosed) {
			k.Errorf("Write on a link that is gone: %d, %v", n, err)
		}
		ea.CloseWrite()
		ea.SetQueueLimit(1 << 10)
		k.barrier(next, nextB, 1)
		if got := nextB.received(); got != 1 {
			k.Errorf("the next link received %d bytes, want 1", got)
		}
		next.Close()
		k.awaitClosed(nextB, io.EOF)
	}
}

// testHalfClose: CloseWrite ends one direction after what was written. The answer given inside Bytes, before the end
// was read, still arrives.
func testHalfClose(k *kit) {
	const question, answer = 100 << 10, 40 << 10
	a, b := k.node("a"), k.node("b")
	b.onBytes = func(e *end, _ []byte) {
		if e.received() == question {
			if n, err := e.write(make([]byte, answer)); n != answer || err != nil {
				k.Errorf("answer: wrote %d, %v", n, err)
			}
		}
	}
	p := new(pump)
	a.onWritable = func(*end) { p.run() }
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	*p = pump{e: ea, size: question, done: ea.CloseWrite}
	p.run()
	k.awaitClosed(eb, io.EOF)
	k.awaitClosed(ea, io.EOF)
	if q, r := eb.received(), ea.received(); q != question || r != answer {
		k.Errorf("%d bytes of the question and %d of the answer arrived, want %d and %d", q, r, question, answer)
	}
}

// testLastWrite: what is written as the last arrives, and then the end; the answer given inside Bytes still arrives, too.
func testLastWrite(k *kit) {
	const question, answer = 1000, 40 << 10
	a, b := k.node("a"), k.node("b")
	b.onBytes = func(e *end, _ []byte) {
		if e.received() == question {
			if n, err := e.write(make([]byte, answer)); n != answer || err != nil {
				k.Errorf("answer: wrote %d, %v", n, err)
			}
		}
	}
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	last, ok := ea.Link.(transport.LastWriter)
	if !ok {
		k.Skip("no LastWriter")
	}
	if n, err := last.WriteLast(make([]byte, question)); n != question || err != nil {
		k.Errorf("wrote %d, %v", n, err)
	}
	if n, err := ea.Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
		k.Errorf("after the last: wrote %d, %v", n, err)
	}
	k.awaitClosed(eb, io.EOF)
	k.awaitClosed(ea, io.EOF)
	if q, r := eb.received(), ea.received(); q != question || r != answer {
		k.Errorf("%d bytes of the question and %d of the answer arrived, want %d and %d", q, r, question, answer)
	}
}

// testWriteAfterClose: ErrClosed after a local Close, even before Closed, and after the other side's.
func testWriteAfterClose(k *kit) {
	ea, eb := k.connect(k.pair())
	ea.Close()
	if n, err := ea.Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
		k.Errorf("Write after Close: %d, %v", n, err)
	}
	k.awaitClosed(eb, io.EOF)
	if n, err := eb.Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
		k.Errorf("Write after Closed: %d, %v", n, err)
	}
}

// testWriteInsideOpened: the first bytes may be written from Opened, at both ends.
func testWriteInsideOpened(k *kit) {
	a, b := k.node("a"), k.node("b")
	hello := func(e *end) {
		if n, err := e.write([]byte("hello")); n != 5 || err != nil {
			k.Errorf("hello: %d, %v", n, err)
		}
	}
	a.onOpened, b.onOpened = hello, hello
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	k.await("both greetings", func() bool { return ea.received() == 5 && eb.received() == 5 })
}

// testOwner: what SetOwner attached is there for the link's other calls, and is that link's alone.
func testOwner(k *kit) {
	a, b := k.node("a"), k.node("b")
	b.onOpened = func(e *end) {
		if e.Owner() != nil {
			k.Errorf("a new link is owned by %v", e.Owner())
		}
		e.SetOwner(e)
	}
	held := func(e *end) {
		if e.Owner() != any(e) {
			k.Errorf("owner is %v, want what Opened set", e.Owner())
		}
	}
	b.onBytes = func(e *end, _ []byte) { held(e) }
	b.onClosed = held
	k.startPair(a, b)
	for range 3 {
		ea, eb := k.connect(a, b)
		before := eb.received()
		if n, err := ea.write([]byte("x")); n != 1 || err != nil {
			k.Fatalf("wrote %d, %v", n, err)
		}
		k.await("a byte", func() bool { return eb.received() == before+1 })
	}
}

// Dialling.

// awaitFailure waits for the one outcome of a dial that must fail.
func (k *kit) awaitFailure(n *node, tag any, want error) {
	k.Helper()
	k.await("DialFailed", func() bool { c, _ := n.outcome(tag); return c > 0 })
	c, err := n.outcome(tag)
	if c != 1 || err == nil || want != nil && !errors.Is(err, want) {
		k.Errorf("dial: %d outcomes, error %v; want one failure (%v)", c, err, want)
	}
	if n.endOf(tag) != nil {
		k.Error("dial: opened as well as failed")
	}
}

// testDialRefused: the error says why; where to is the caller's to say.
func testDialRefused(k *kit) {
	a, at := k.start(k.node("a")), k.net.Refusing()
	tag := k.dial(context.Background(), a, at)
	k.awaitFailure(a, tag, nil)
	if _, err := a.outcome(tag); err != nil && strings.Contains(err.Error(), at.AddrPort.String()) {
		k.Errorf("dial: %q names the address, which who has dialled will do", err)
	}
}

// testDialCancelled: the end of the context ends the dial, and says so.
func testDialCancelled(k *kit) {
	if k.net.Silent == nil {
		k.Skip("no silent address")
	}
	a, b := k.pair()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tag := k.dial(ctx, a, k.net.Silent())
	ea, eb := k.connect(a, b) // others are not held up
	k.barrier(ea, eb, 2)
	if c, err := a.outcome(tag); c != 0 {
		k.Fatalf("the dial to a silent address is over: %v", err)
	}
	cancel()
	k.awaitFailure(a, tag, context.Canceled)
}

// testDialExpired: a context that is over before the dial.
func testDialExpired(k *kit) {
	a, b := k.pair()
	expired, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	k.awaitFailure(a, k.dial(expired, a, b.bound[0]), context.DeadlineExceeded)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	k.awaitFailure(a, k.dial(cancelled, a, b.bound[0]), context.Canceled)
}

func testDialAfterStop(k *kit) {
	a, b := k.pair()
	k.stop(a)
	k.awaitFailure(a, k.dial(context.Background(), a, b.bound[0]), transport.ErrClosed)
}

// testDialFromLoop: a dial made inside a Sink call, and a context that ends after the link is open, which is nothing to it.
func testDialFromLoop(k *kit) {
	a, b := k.node("a"), k.node("b")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tag := k.tag()
	a.onTurn = func(transport.Loop) { a.Dial(ctx, b.bound[0], tag) }
	k.startPair(a, b)
	a.Loops()[0].Wake()
	k.await("both ends opened", func() bool { return a.endOf(tag) != nil && len(b.opened()) == 1 })
	cancel()
	k.barrier(a.endOf(tag), b.opened()[0], 2)
}
