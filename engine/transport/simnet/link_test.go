package simnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// TestSendBuffer: Write takes what fits and no more, and says Writable once when a third of the room is back.
func TestSendBuffer(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Rate: 100_000}, simnet.SendBuffer(30_000))
	sent := text(40_000)
	if k, err := ea.Write(sent); k != 30_000 || err != nil {
		t.Fatalf("wrote %d, %v; want what the buffer holds: 30000", k, err)
	}
	n.RunUntil(func() bool { return ea.writable > 0 }, time.Minute)
	if got := eb.got.Len(); got != segment {
		t.Errorf("writable after %d bytes had arrived, want after the first segment of %d", got, segment)
	}
	ea.write(sent[30_000:])
	n.Quiesce(time.Minute)
	if ea.writable != 1 {
		t.Errorf("%d calls of Writable for one short Write", ea.writable)
	}
	if !bytes.Equal(eb.got.Bytes(), sent) {
		t.Error("what arrived is not what was sent")
	}
}

const segment = 16 << 10

// TestSendBufferTiny: a buffer of one byte still moves everything, a byte and a Writable at a time.
func TestSendBufferTiny(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{}, simnet.SendBuffer(1))
	sent := text(20)
	next := 0
	more := func(*end) {
		for next < len(sent) {
			k, err := ea.Write(sent[next:])
			if err != nil {
				t.Fatal(err)
			}
			if next += k; next < len(sent) {
				return
			}
		}
	}
	ea.node.onWritable = more
	more(ea)
	n.Quiesce(time.Minute)
	if !bytes.Equal(eb.got.Bytes(), sent) || ea.writable != len(sent)-1 {
		t.Errorf("%d of %d bytes arrived with %d calls of Writable", eb.got.Len(), len(sent), ea.writable)
	}
}

// TestQueueLimit: on a slow line at most the limit waits, Writable comes when half of it has left, and 0 ends that.
func TestQueueLimit(t *testing.T) {
	n, ea, _ := pair(t, 1, simnet.Weather{Rate: 1_000_000})
	ea.SetQueueLimit(10_000)
	start := n.Now()
	if k, _ := ea.Write(text(20_000)); k != 10_000 {
		t.Fatalf("wrote %d, want the limit of 10000", k)
	}
	n.RunUntil(func() bool { return ea.writable > 0 }, time.Minute)
	if took := n.Now() - start; took < 5*time.Millisecond || took > 5100*time.Microsecond {
		t.Errorf("writable after %v, want when 5000 bytes at 1 MB/s have left", took)
	}
	if k, _ := ea.Write(text(20_000)); k < 4_900 || k > 5_100 {
		t.Errorf("wrote %d, want what has left: about 5000", k)
	}
	ea.SetQueueLimit(0)
	n.RunUntil(func() bool { return ea.writable > 1 }, time.Minute)
	if took := n.Now() - start; took > 5200*time.Microsecond {
		t.Errorf("writable %v after the limit was taken away, want at once", took)
	}
	if k, _ := ea.Write(text(20_000)); k != 20_000 {
		t.Errorf("wrote %d without a limit, want all", k)
	}
}

// TestHalfClose: after CloseWrite the other side gets everything and then io.EOF, which is its own end too; what it had
// written before arrives.
func TestHalfClose(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	eb.write([]byte("answer"))
	ea.write([]byte("question"))
	ea.CloseWrite()
	ea.CloseWrite()
	if _, err := ea.Write([]byte("x")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Write after CloseWrite: %v", err)
	}
	n.Quiesce(time.Minute)
	if got := eb.got.String(); got != "question" || eb.err != io.EOF || !eb.closed {
		t.Errorf("b got %q, closed %v with %v", got, eb.closed, eb.err)
	}
	if got := ea.got.String(); got != "answer" || ea.err != io.EOF || !ea.closed {
		t.Errorf("a got %q, closed %v with %v", got, ea.closed, ea.err)
	}
}

// TestCloseDelivers: a Close behind a full buffer, on a bad day, loses nothing.
func TestCloseDelivers(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Jitter: time.Second, Loss: 0.1, Cut: 0.5, Rate: 1 << 20})
	sent := text(256 << 10)
	ea.write(sent)
	ea.Close()
	n.Quiesce(time.Hour)
	if !bytes.Equal(eb.got.Bytes(), sent) || eb.err != io.EOF {
		t.Errorf("%d of %d bytes arrived, then %v", eb.got.Len(), len(sent), eb.err)
	}
	if ea.err != nil || ea.closedAt > eb.closedAt {
		t.Errorf("a closed with %v at %v, b at %v", ea.err, ea.closedAt, eb.closedAt)
	}
}

// TestHardClose: bytes that meet a closed end cost their sender what was still coming, as on Linux; without HardClose
// they do not.
func TestHardClose(t *testing.T) {
	for _, hard := range []bool{false, true} {
		n, ea, eb := pair(t, 1, simnet.Weather{HardClose: hard})
		n.SetPath(ipA, ipB, simnet.Weather{Latency: 50 * time.Millisecond, HardClose: hard})
		eb.write([]byte("on its way when a closes"))
		ea.write([]byte("farewell"))
		ea.Close()
		n.Quiesce(time.Minute)
		want, wantErr := "farewell", io.EOF
		if hard {
			want, wantErr = "", simnet.ErrReset
		}
		if got := eb.got.String(); got != want || eb.err != wantErr {
			t.Errorf("hard %v: b got %q and %v, want %q and %v", hard, got, eb.err, want, wantErr)
		}
		if ea.err != nil || ea.got.Len() != 0 {
			t.Errorf("hard %v: a got %q and %v after its Close", hard, ea.got.String(), ea.err)
		}
	}
}

// TestCloseBoth: both ends close at once; each gets its own nil, and nothing is left over.
func TestCloseBoth(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{HardClose: true})
	ea.Close()
	eb.Close()
	if !n.Quiesce(time.Minute) {
		t.Fatal("something is still under way")
	}
	if !ea.closed || !eb.closed || ea.err != nil || eb.err != nil {
		t.Errorf("a: %v %v, b: %v %v; want closed, nil", ea.closed, ea.err, eb.closed, eb.err)
	}
}

// TestErrors: what ends links and dials is what a socket would say.
func TestErrors(t *testing.T) {
	for err, errno := range map[error]syscall.Errno{
		simnet.ErrReset: syscall.ECONNRESET, simnet.ErrTimeout: syscall.ETIMEDOUT, simnet.ErrRefused: syscall.ECONNREFUSED,
	} {
		var timeout net.Error
		if !errors.Is(err, errno) || !errors.As(err, &timeout) || timeout.Timeout() != (errno == syscall.ETIMEDOUT) {
			t.Errorf("%v does not answer as %v would", err, errno)
		}
		if !strings.HasPrefix(err.Error(), "simnet: ") {
			t.Errorf("%q does not say where it comes from", err)
		}
	}
}

// TestIntercept: a liar on the path sees every piece with its addresses and may change, drop, double and withhold.
func TestIntercept(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	var lie func(b []byte) []byte
	n.Intercept(func(from, to transport.Addr, b []byte) []byte {
		if from != ea.Local() || to != eb.Local() {
			t.Errorf("from %v to %v, want %v to %v", from, to, ea.Local(), eb.Local())
		}
		return lie(b)
	})
	for _, c := range []struct {
		name, want string
		lie        func(b []byte) []byte
	}{
		{"true", "abcd", func(b []byte) []byte { return b }},
		{"change", "aXcd", func(b []byte) []byte { b[1] = 'X'; return b }},
		{"drop", "abd", func(b []byte) []byte { return append(b[:2], b[3:]...) }},
		{"double", "abcdabcd", func(b []byte) []byte { return bytes.Repeat(b, 2) }},
		{"withhold", "", func(b []byte) []byte { return nil }},
	} {
		eb.got.Reset()
		reads := len(eb.reads)
		lie = c.lie
		ea.write([]byte("abcd"))
		n.Quiesce(time.Minute)
		if got := eb.got.String(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if c.want == "" && len(eb.reads) != reads {
			t.Errorf("%s: a call of Bytes with nothing", c.name)
		}
	}
	n.Intercept(nil)
	eb.got.Reset()
	ea.write([]byte("abcd"))
	n.Quiesce(time.Minute)
	if got := eb.got.String(); got != "abcd" {
		t.Errorf("with nobody on the path: %q", got)
	}
}

// TestLent: what a Sink was given is the Net's again after the call; what is written is copied at once.
func TestLent(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{})
	b := []byte("mine")
	ea.write(b)
	copy(b, "gone")
	n.Quiesce(time.Minute)
	if got := eb.got.String(); got != "mine" {
		t.Errorf("got %q: Write kept the slice", got)
	}
	if !invariant.Enabled {
		return
	}
	var kept []byte
	eb.node.onBytes = func(_ *end, b []byte) { kept = b }
	ea.write([]byte("kept"))
	n.Quiesce(time.Minute)
	if want := bytes.Repeat([]byte{invariant.Spoiled}, 4); !bytes.Equal(kept, want) {
		t.Errorf("a kept slice reads % x, want it spoilt", kept)
	}
}

// TestBrokenRules: what the contract forbids and a socket would let pass is a bug here.
func TestBrokenRules(t *testing.T) {
	for name, breakRule := range map[string]func(*simnet.Net, *end){
		"Write before Writable": func(_ *simnet.Net, e *end) {
			_, _ = e.Write(text(300 << 10)) // short
			_, _ = e.Write([]byte("x"))
		},
		"WakeAt off":   func(_ *simnet.Net, e *end) { e.Loop().WakeAt(0) },
		"SetOwner off": func(_ *simnet.Net, e *end) { e.SetOwner(nil) },
		"Owner off":    func(_ *simnet.Net, e *end) { e.Owner() },
		"Step inside a call": func(n *simnet.Net, e *end) {
			e.node.onTurn = func(transport.Loop) { n.Step() }
			e.Loop().Wake()
			n.Run(time.Second)
		},
	} {
		n, ea, _ := pair(t, 1, simnet.Weather{})
		v, ok := caught(func() { breakRule(n, ea) }).(invariant.Violation)
		if !ok || !strings.HasPrefix(string(v), "simnet: bug: ") {
			t.Errorf("%s: %v, want a violation", name, v)
		}
		if n.Run(time.Second); n.Now() < time.Second {
			t.Errorf("%s: the net is unusable afterwards", name)
		}
	}
}

// TestLoopsInTurn: links are dealt to the loops, and keep them.
func TestLoopsInTurn(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	a, b := newNode(t, n, ipA, simnet.Loops(3)), newNode(t, n, ipB, simnet.Loops(1))
	var at []int
	for range 7 {
		ea, eb := a.connect(b)
		at = append(at, ea.Loop().Index())
		if eb.Loop() != b.Loops()[0] {
			t.Error("an only loop, and another's link")
		}
	}
	if want := []int{0, 1, 2, 0, 1, 2, 0}; !slices.Equal(at, want) {
		t.Errorf("loops %v, want %v", at, want)
	}
}
