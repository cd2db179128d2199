package transporttest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// RunDatagrams runs the contract tests of a transport over datagrams: those of Run that do not need a stream, and those of
// transport.DatagramLink. The Net must carry every datagram that a test writes; what happens when one does not arrive is the
// twin's own to test.
func RunDatagrams(t *testing.T, newNet func(t testing.TB) *Net) {
	for _, c := range []struct {
		name string
		test func(*kit)
	}{
		{"Start", testStart},
		{"ListenSeveral", testListenSeveralDatagrams},
		{"AddressInUse", testAddressInUse},
		{"DialOnly", testDialOnly},
		{"CloseInsideOpened", testCloseInsideOpenedDatagrams},
		{"WriteAfterClose", testWriteAfterCloseDatagrams},
		{"DialCancelled", testDialCancelled},
		{"DialExpired", testDialExpired},
		{"DialAfterStop", testDialAfterStop},
		{"Owner", testOwner},
		{"WakeOnce", testWakeOnce},
		{"WakeFromAnywhere", testWakeFromAnywhere},
		{"Alarm", testAlarm},
		{"AlarmReplaced", testAlarmReplaced},
		{"AlarmCleared", testAlarmCleared},
		{"StopWithLinks", testStopWithLinksDatagrams},
		{"StopWithDials", testStopWithDials},
		{"StopTwice", testStopTwice},
		{"Borders", testBorders},
		{"Largest", testLargest},
		{"OneSidedClose", testOneSidedClose},
		{"ManyPeers", testManyPeers},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &kit{T: t, net: newNet(t), changed: make(chan struct{}, 1), datagrams: true}
			defer k.stopAll()
			c.test(k)
		})
	}
}

// A ledger writes down the datagrams that an end has been given.
type ledger struct {
	mu  sync.Mutex
	got [][]byte
}

func (l *ledger) note(_ *end, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, slices.Clone(b))
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.got)
}

// testBorders: each Write is one Bytes, with the same bytes in it, whatever the sizes around it.
func testBorders(k *kit) {
	a, b := k.node("a"), k.node("b")
	var l ledger
	b.onBytes = l.note
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	k.await("the first datagram", func() bool { return l.count() == 1 })
	limit := ea.Link.(transport.DatagramLink).DatagramLimit()
	var sent [][]byte
	for i, size := range []int{1, 100, 100, 100, 99, 100, 101, limit, limit, limit, 1, limit - 1, 2, 2, 2} {
		m := make([]byte, size)
		pattern{uint64(i)}.fill(0, m)
		sent = append(sent, slices.Clone(m))
		if n, err := ea.write(m); n != size || err != nil {
			k.Fatalf("wrote %d of %d: %v", n, size, err)
		}
		for j := range m {
			m[j] = spoil // Write keeps nothing
		}
	}
	k.await("all datagrams", func() bool { return l.count() == 1+len(sent) })
	for i, m := range sent {
		if !slices.Equal(l.got[1+i], m) {
			k.Errorf("datagram %d: %d bytes arrived, %d were sent, or other ones", i, len(l.got[1+i]), len(m))
		}
	}
	if eb.Link.(transport.DatagramLink).Path() != eb.Remote() {
		k.Errorf("the path of a peer that has not moved is %v, not %v", eb.Link.(transport.DatagramLink).Path(), eb.Remote())
	}
}

// testLargest: the limit is one that every path has, and what is longer than any datagram is lost without an error.
func testLargest(k *kit) {
	a, b := k.pair()
	ea, eb := k.connect(a, b)
	limit := ea.Link.(transport.DatagramLink).DatagramLimit()
	if limit < 1100 {
		k.Errorf("DatagramLimit is %d, promised 1100", limit)
	}
	if n, err := ea.write(make([]byte, 1<<17)); n != 1<<17 || err != nil {
		k.Errorf("128 KiB: wrote %d, %v", n, err)
	}
	k.barrier(ea, eb, 2)
	if got := eb.received(); got != 3 {
		k.Errorf("%d bytes arrived, want the first and the barrier's two", got)
	}
}

// testOneSidedClose: Close is told to this end alone. The other one goes on until its own.
func testOneSidedClose(k *kit) {
	a, b := k.pair()
	ea, eb := k.connect(a, b)
	ec, ed := k.connect(a, b)
	ea.CloseWrite()
	ea.Close()
	k.awaitClosed(ea, nil)
	if n, err := eb.write([]byte("still here")); n != 10 || err != nil {
		k.Errorf("the other end: wrote %d, %v", n, err)
	}
	k.barrier(ec, ed, 3)
	if eb.isClosed() {
		k.Error("the other end was closed too")
	}
	eb.Close()
	k.awaitClosed(eb, nil)
}

// testCloseInsideOpenedDatagrams: a link closed in Opened, on either side, hands over nothing and is closed once.
func testCloseInsideOpenedDatagrams(k *kit) {
	a, b := k.node("a"), k.node("b")
	b.onOpened = func(e *end) { e.Close() }
	k.startPair(a, b)
	tag := k.dial(k.Context(), a, b.bound[0])
	k.await("the dialled end", func() bool { return a.endOf(tag) != nil })
	if _, err := a.endOf(tag).write([]byte("hello")); err != nil {
		k.Fatal(err)
	}
	k.await("the other end", func() bool { return len(b.opened()) == 1 && b.opened()[0].isClosed() })
	if got := b.opened()[0].received(); got != 0 {
		k.Errorf("%d bytes were handed to a link that had been closed in Opened", got)
	}
}

// testManyPeers: links of one transport to another do not get each other's datagrams.
func testManyPeers(k *kit) {
	a, b := k.pair()
	const count = 50
	var near, far []*end
	for range count {
		ea, eb := k.connect(a, b)
		near, far = append(near, ea), append(far, eb)
	}
	for i, e := range near {
		for range i {
			if n, err := e.write([]byte{byte(i)}); n != 1 || err != nil {
				k.Fatalf("wrote %d, %v", n, err)
			}
		}
	}
	k.await("each to have its own", func() bool {
		for i, e := range far {
			if e.received() != int64(1+i) {
				return false
			}
		}
		return true
	})
}

// testListenSeveralDatagrams: every address listened on answers, from that address, and bound keeps the order of listen.
func testListenSeveralDatagrams(k *kit) {
	a, b := k.node("a"), k.node("b")
	k.start(b, k.net.Listen(), k.net.Listen(), k.net.Listen())
	k.start(a)
	if len(b.bound) != 3 || b.bound[0] == b.bound[1] || b.bound[1] == b.bound[2] {
		k.Fatalf("bound %v, want three addresses", b.bound)
	}
	for i, to := range b.bound {
		tag := k.dial(k.Context(), a, to)
		k.await("the dialled end", func() bool { return a.endOf(tag) != nil })
		if _, err := a.endOf(tag).write([]byte{1}); err != nil {
			k.Fatal(err)
		}
		k.await("the other end", func() bool { return len(b.opened()) == i+1 })
		if got := b.opened()[i].Local(); got != to {
			k.Errorf("dialled %v, and the accepted end says it is %v", to, got)
		}
	}
}

// testWriteAfterCloseDatagrams: ErrClosed after a local Close, even before Closed.
func testWriteAfterCloseDatagrams(k *kit) {
	ea, _ := k.connect(k.pair())
	ea.Close()
	if n, err := ea.Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
		k.Errorf("Write after Close: %d, %v", n, err)
	}
	k.awaitClosed(ea, nil)
	if n, err := ea.Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
		k.Errorf("Write after Closed: %d, %v", n, err)
	}
}

// testStopWithLinksDatagrams: Stop closes every link before it returns, and the other ends hear nothing of it.
func testStopWithLinksDatagrams(k *kit) {
	a, b := k.pair()
	var far []*end
	for range 5 {
		_, eb := k.connect(a, b)
		far = append(far, eb)
	}
	k.stop(a)
	for _, e := range a.opened() {
		if n, err := e.closing(); n != 1 || err != nil {
			k.Errorf("Stop: %d times Closed(%v), want once nil", n, err)
		}
	}
	for _, e := range far {
		if e.isClosed() {
			k.Error("an end was closed because the other side has stopped")
		}
	}
}
