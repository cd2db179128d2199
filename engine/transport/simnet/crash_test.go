package simnet_test

import (
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// TestCrash: peers of a crashed host see nothing until they send, then a reset after a round trip; the dead host is told
// nothing and can do nothing.
func TestCrash(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Latency: 10 * time.Millisecond})
	b := eb.node
	_, closing := ea.node.connect(b)
	closing.Close()
	b.Offload(func() { t.Error("a task of a dead host ran") })
	b.Loops()[0].Wake()
	b.Dial(t.Context(), tcp(ipA, port), "late")
	lines := len(b.log)
	b.Crash()
	n.Run(24 * time.Hour)
	if ea.closed {
		t.Fatalf("closed with %v although a never sent", ea.err)
	}
	start := n.Now()
	ea.write([]byte("are you there?"))
	n.Quiesce(time.Minute)
	if ea.err != simnet.ErrReset || ea.closedAt-start != 20*time.Millisecond {
		t.Errorf("closed with %v after %v, want a reset after 20ms", ea.err, ea.closedAt-start)
	}

	if _, err := eb.Write([]byte("x")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Write on a dead host: %v", err)
	}
	eb.Close()
	eb.CloseWrite()
	b.Loops()[0].Wake()
	b.Dial(t.Context(), tcp(ipA, port), "after")
	if b.Offload(func() { t.Error("a dead host took a task") }) {
		t.Error("a dead host says it took a task")
	}
	b.Crash()
	if err := b.Stop(); err != nil {
		t.Errorf("Stop of a dead host: %v", err)
	}
	n.Run(time.Hour)
	if len(b.log) != lines {
		t.Errorf("a dead host was told: %q", b.log[lines:])
	}
}

// TestCrashLosesUnsent: what had left the machine arrives, what waited for the line does not, and neither does an end.
func TestCrashLosesUnsent(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Rate: 1 << 20, Latency: 100 * time.Millisecond})
	ea.write(text(10 * segment))
	ea.CloseWrite()
	n.Run(50 * time.Millisecond) // 3.2 segments
	ea.node.Crash()
	n.Run(time.Hour)
	if got := eb.got.Len(); got != 3*segment {
		t.Errorf("%d bytes arrived, want the three segments that had left", got)
	}
	if eb.closed {
		t.Errorf("b was told of an end: %v", eb.err)
	}
	eb.write([]byte("x"))
	n.Quiesce(time.Minute)
	if eb.err != simnet.ErrReset {
		t.Errorf("b closed with %v", eb.err)
	}
}

// TestCrashAfterClose: an end that had been sent arrives, crash or not.
func TestCrashAfterClose(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	ea.write([]byte("bye"))
	ea.Close()
	n.Run(100 * time.Microsecond)
	ea.node.Crash()
	n.Quiesce(time.Minute)
	if eb.err != io.EOF || eb.got.String() != "bye" {
		t.Errorf("b got %q and %v", eb.got.String(), eb.err)
	}
}

// TestRestart: a new Host takes the address and the port; old links are reset by it, new ones work, and its engine time
// starts at zero.
func TestRestart(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	n.Run(time.Hour)
	eb.node.Crash()
	again := newNode(t, n, ipB)
	if got := again.Loops()[0].Now(); got != 0 {
		t.Errorf("engine time starts at %v", got)
	}
	ea.node.connect(again)
	ea.write([]byte("old link"))
	n.Quiesce(time.Minute)
	if ea.err != simnet.ErrReset {
		t.Errorf("the old link closed with %v", ea.err)
	}
}

// TestVanish: a machine that is gone answers nothing: links give up after ResetAfter, dials after DialTimeout, and all
// processes of the machine are gone.
func TestVanish(t *testing.T) {
	w := simnet.Weather{ResetAfter: time.Minute, DialTimeout: 10 * time.Second}
	n, ea, eb := pair(t, 1, w)
	other := &node{Host: n.Host(ipB), t: t, net: n}
	if _, err := other.Start(other, nil); err != nil {
		t.Fatal(err)
	}
	eb.node.Vanish()
	if other.Offload(func() {}) {
		t.Error("the other process of the machine lives")
	}
	start := n.Now()
	ea.write([]byte("are you there?"))
	ea.node.Dial(t.Context(), tcp(ipB, port), 1)
	n.Quiesce(time.Hour)
	if took := ea.closedAt - start; ea.err != simnet.ErrTimeout || took < time.Minute || took > time.Minute+time.Second {
		t.Errorf("closed with %v after %v, want a time-out after a minute", ea.err, took)
	}
	if fails := ea.node.fails; len(fails) != 1 || !errors.Is(fails[0], simnet.ErrTimeout) {
		t.Errorf("dial: %v, want a time-out", fails)
	}
}

// TestVanishReturns: when the machine is back it resets what it does not know, at the next retransmission.
func TestVanishReturns(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	eb.node.Vanish()
	ea.write([]byte("are you there?"))
	n.Run(10 * time.Second)
	if ea.closed {
		t.Fatalf("closed with %v", ea.err)
	}
	newNode(t, n, ipB)
	n.Quiesce(time.Minute)
	if ea.err != simnet.ErrReset {
		t.Errorf("closed with %v", ea.err)
	}
}

// TestPartition: what is sent across waits, comes whole and in order after Heal at the next retransmission, and links
// within a group do not notice.
func TestPartition(t *testing.T) {
	n, ab, ba := pair(t, 1, simnet.Weather{})
	c := newNode(t, n, ipC)
	cb, bc := c.connect(ba.node)
	n.Partition([]netip.Addr{ipA})
	start := n.Now()
	ab.write([]byte("one"))
	cb.write([]byte("unhurt"))
	n.Run(5 * time.Second)
	ab.write([]byte("two"))
	n.Run(5 * time.Second)
	if ba.got.Len() != 0 || bc.got.String() != "unhurt" {
		t.Fatalf("parted, b got %q; together, %q", ba.got.String(), bc.got.String())
	}
	n.Heal()
	n.Quiesce(time.Minute)
	if got := ba.got.String(); got != "onetwo" {
		t.Errorf("after Heal b got %q", got)
	}
	// Sent again after 0.2, 0.4, 0.8, … seconds: the first time after ten seconds is 12.6.
	if got, want := ba.readAt[0]-start, 12601*time.Millisecond; got != want {
		t.Errorf("arrived after %v, want at the retransmission after %v", got, want)
	}
	if ab.closed || ba.closed {
		t.Errorf("closed: %v, %v", ab.err, ba.err)
	}
}

// TestPartitionReset: a partition longer than ResetAfter breaks the link for the side that sends; the other learns it
// when it sends.
func TestPartitionReset(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{ResetAfter: 30 * time.Second})
	n.Partition([]netip.Addr{ipA}, []netip.Addr{ipB})
	start := n.Now()
	ea.write([]byte("lost"))
	n.Run(time.Hour)
	if took := ea.closedAt - start; ea.err != simnet.ErrTimeout || took != 30*time.Second+time.Millisecond {
		t.Errorf("a closed with %v after %v", ea.err, took)
	}
	if eb.closed {
		t.Errorf("b closed with %v", eb.err)
	}
	n.Heal()
	eb.write([]byte("still there?"))
	n.Quiesce(time.Minute)
	if eb.err != simnet.ErrReset || eb.got.Len() != 0 {
		t.Errorf("b closed with %v after %q", eb.err, eb.got.String())
	}
}

// TestPartitionTwice: ResetAfter and the waits count from the last time that bytes came through.
func TestPartitionTwice(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{ResetAfter: 30 * time.Second})
	for round := range 3 {
		n.Partition([]netip.Addr{ipA})
		start := n.Now()
		ea.write([]byte("x"))
		n.Run(20 * time.Second)
		n.Heal()
		n.Quiesce(time.Minute)
		if ea.closed || len(eb.readAt) != round+1 {
			t.Fatalf("round %d: closed %v with %v, %d reads", round, ea.closed, ea.err, len(eb.readAt))
		}
		if got, want := eb.readAt[round]-start, 25401*time.Millisecond; got != want {
			t.Errorf("round %d: arrived after %v, want %v", round, got, want)
		}
	}
}

// TestPartitionDial: a dial across waits for Heal, or times out; one made before the partition, answered in it, too.
func TestPartitionDial(t *testing.T) {
	n := simnet.New(1, simnet.Weather{DialTimeout: 20 * time.Second})
	a, b := newNode(t, n, ipA), newNode(t, n, ipB)
	n.Partition([]netip.Addr{ipB})
	a.Dial(t.Context(), tcp(ipB, port), 1)
	n.Run(2 * time.Second)
	n.Heal()
	n.Quiesce(time.Minute)
	if len(a.links) != 1 || len(b.links) != 1 || len(a.fails) != 0 {
		t.Fatalf("after Heal: %d and %d links, %v", len(a.links), len(b.links), a.fails)
	}
	if got, want := a.links[0].openedAt, 3002*time.Millisecond; got != want {
		t.Errorf("opened at %v, want at the second retransmission, after 1 s and 2 s: %v", got, want)
	}
	a.Dial(t.Context(), tcp(ipB, port), 2)
	n.Run(1500 * time.Microsecond) // the answer is on its way
	n.Partition([]netip.Addr{ipB})
	n.Quiesce(time.Hour)
	if len(a.links) != 1 || len(b.links) != 1 || len(a.fails) != 1 || !errors.Is(a.fails[0], simnet.ErrTimeout) {
		t.Errorf("parted: %d and %d links, %v", len(a.links), len(b.links), a.fails)
	}
	a.Dial(t.Context(), tcp(ipC, port), 3) // nobody, and in the group of a
	n.Quiesce(time.Minute)
	if len(a.fails) != 2 || !errors.Is(a.fails[1], simnet.ErrRefused) {
		t.Errorf("dial to nobody: %v", a.fails)
	}
}
