package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
)

func skipFigures(t *testing.T) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
}

// A counter is a component that counts messages and answers requests, and allocates nothing itself.
type counter struct {
	engine.Component
	notes int
}

func (c *counter) Opcodes() []opcode.Opcode { return []opcode.Opcode{opNote, opAsk} }

func (c *counter) Receive(ctx *engine.ComponentContext) error {
	if ctx.IsRequest() {
		return ctx.ReplyRaw(opTold, ctx.Payload())
	}
	c.notes++
	return engine.ErrIntercepted
}

// Sending, sealing, opening and delivering allocate nothing: all of both engines' work for a burst of messages, in
// virtual time. The ancestor made 189,440 bytes of garbage for each message.
func TestMessageAllocs(t *testing.T) {
	skipFigures(t)
	for _, x := range []struct {
		name  string
		size  int
		burst int
		cut   float64
	}{
		{"small", 64, 500, 0},
		{"a frame", 64 << 10, 4, 0},
		{"records that span reads", 3000, 50, 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{Latency: 10 * time.Microsecond, Cut: x.cut})
			var c counter
			a := w.node(nil)
			b := w.node(nil, func(n *engine.Network) { n.AddComponent(&c) })
			p := w.dial(a, b)
			msg := make([]byte, x.size)
			burst := func() {
				for range x.burst {
					if err := p.TrySendRaw(opNote, msg); err != nil {
						t.Fatal(err)
					}
				}
				w.Net().Run(20 * time.Millisecond)
			}
			for range 50 { // windows, pools and lists grow to their size
				burst()
			}
			before := c.notes
			got := testing.AllocsPerRun(100, burst)
			if got != 0 {
				t.Errorf("%v allocations for %d messages of %d bytes, promised 0", got, x.burst, x.size)
			}
			if c.notes-before != 101*x.burst {
				t.Errorf("%d messages have come, want %d", c.notes-before, 101*x.burst)
			}
		})
	}
}

// A request allocates nothing on either side if the caller lends the memory for its reply.
func TestRequestAllocs(t *testing.T) {
	skipFigures(t)
	w := liveWorld(t)
	b := w.node(nil, func(n *engine.Network) { n.AddComponent(&counter{}) })
	p := w.dial(w.node(nil), b)
	msg, reply := make([]byte, 64), make([]byte, 0, 64)
	ctx := context.Background()
	ask := func() {
		if _, got, err := p.RequestRaw(ctx, opAsk, msg, reply); err != nil || len(got) != len(msg) {
			t.Fatal(len(got), err)
		}
	}
	for range 100 {
		ask()
	}
	if got := testing.AllocsPerRun(2000, ask); got != 0 {
		t.Errorf("%v allocations a request, promised 0", got)
	}
}

// Over real sockets, reactor and kernel included, a message costs less than a hundredth of an allocation: what is left are
// timers, waits for room, and pools that a collection has emptied.
func TestLiveAllocs(t *testing.T) {
	skipFigures(t)
	w := liveWorld(t)
	var got atomic.Int64
	srv := w.node(nil, func(n *engine.Network) { n.AddComponent(&sinkComponent{n: &got}, engine.Opcodes(1000, 1001)) })
	p := w.dial(w.node(nil), srv)
	ctx := context.Background()
	msg := make([]byte, 64)
	var sent int64
	send := func(count int) {
		for range count {
			if err := p.SendRaw(ctx, 1000, msg); err != nil {
				t.Fatal(err)
			}
		}
		sent += int64(count)
		w.Until("all messages", func() bool { return got.Load() == sent })
	}
	send(50_000)
	const messages = 200_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	send(messages)
	runtime.ReadMemStats(&after)
	each := float64(after.Mallocs-before.Mallocs) / messages
	t.Logf("%.5f allocations, %.2f bytes a message", each, float64(after.TotalAlloc-before.TotalAlloc)/messages)
	if each >= 0.01 {
		t.Errorf("%v allocations a message, promised less than 0.01", each)
	}
	w.Until("all messages to be counted", func() bool { return srv.Stats().MessagesIn == sent }) // a loop publishes its counts at the end of an event
}

// A PeerClient fits Go's size class of 448 bytes. One byte more and it takes the next, of 480; at the 1,200 bytes that an
// idle peer may cost in all, of which the reactor takes a third, there is no room for carelessness. Put what only some
// peers need into greeting, inbound, outbound or parting.
func TestPeerSize(t *testing.T) {
	if size := unsafe.Sizeof(engine.PeerClient{}); size > 448 {
		t.Errorf("a PeerClient is %d bytes, at most 448", size)
	}
}

// An idle peer, keepalive running, costs at most 1,200 bytes of heap, reactor and tables included, and no goroutine. The
// node is a process of its own, so that nothing of the dialling side counts.
func TestIdlePeerCost(t *testing.T) {
	t.Parallel()
	skipFigures(t)
	if testing.Short() {
		t.Skip("makes 1,600 handshakes")
	}
	node := startChild(t, "TestChildIdle")
	addr, err := transport.ParseAddr(node.line())
	if err != nil {
		t.Fatal(err)
	}
	w := liveWorld(t)
	hub, err := shared.New(gnetio.New(gnetio.Config{}), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.End(); hub.Close() })
	connect := func(count int) {
		var dials []*dialResult
		for range count {
			a := w.node(func(c *engine.Config) { c.Transport, c.Listen = hub.Port(), nil })
			r := w.startDial(a, engine.Target{Addr: addr})
			dials = append(dials, r)
			if len(dials)%32 == 0 {
				w.Until("the dial", r.done)
			}
		}
		for _, r := range dials {
			w.Until("the dials", r.done)
			if _, err := r.get(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Tables, pools and threads grow to their size, and the two caches of records, of 1,024 each, are full: what a node
	// keeps of peers it knew is bounded, and not what a peer costs.
	const known, peers = 1100, 500
	connect(known)
	heap0, routines0 := node.measure(known)
	connect(peers)
	heap1, routines1 := node.measure(known + peers)
	each := float64(heap1-heap0) / peers
	t.Logf("%.0f bytes of heap for each idle peer, PeerClient itself %d", each, unsafe.Sizeof(engine.PeerClient{}))
	if each > 1200 {
		t.Errorf("%.0f bytes of heap for each idle peer, at most 1,200", each)
	}
	if routines1 > routines0 {
		t.Errorf("%d goroutines with %d peers, %d with %d more", routines0, known, routines1, peers)
	}
}

// TestChildIdle is the node of TestIdlePeerCost: for each line with a number of peers it waits until it has as many and
// all are at rest, and writes what they cost.
func TestChildIdle(t *testing.T) {
	in := childInput(t)
	w := liveWorld(t)
	n := w.node(func(c *engine.Config) { c.Identity = w.key(1 << 20) }, func(n *engine.Network) { n.AddComponent(&keepalive.Component{}) })
	fmt.Println(n.Addrs()[0])
	for in.Scan() {
		want, _ := strconv.Atoi(in.Text())
		w.Until("rest", func() bool {
			s := n.Stats()
			return s.Peers == want && s.HalfOpen == 0 && s.BufferBytes == 0
		})
		// Ciphers rest within half a second of the last message. The least of some looks is what cannot be given back.
		var least runtime.MemStats
		routines := runtime.NumGoroutine()
		for range 8 {
			rest := time.NewTimer(150 * time.Millisecond)
			<-rest.C
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			if least.HeapAlloc == 0 || m.HeapAlloc < least.HeapAlloc {
				least = m
			}
			routines = min(routines, runtime.NumGoroutine())
		}
		fmt.Println(least.HeapAlloc, routines)
	}
}

// A child is this test's binary, run again for one test that takes its orders from standard input.
type child struct {
	testing.TB
	in  io.Writer
	out *bufio.Scanner
}

const childEnv = "CARRIER_ENGINE_TEST_CHILD"

// startChild runs a test in a process of its own, through a shell command first if there is one.
func startChild(t *testing.T, test string, first ...string) *child {
	t.Helper()
	line := strings.Join(append(first, `exec "$0" "$@"`), "; ")
	cmd := exec.Command("/bin/sh", "-c", line, os.Args[0], "-test.run=^"+test+"$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), childEnv+"="+test)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{TB: t, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(func() {
		in.Close()
		var rest []string
		for c.out.Scan() {
			rest = append(rest, c.out.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", test, err, strings.Join(rest, "\n"))
		}
	})
	return c
}

// childInput is where a child's test takes its orders from. Run without a parent the test does nothing.
func childInput(t *testing.T) *bufio.Scanner {
	if os.Getenv(childEnv) != t.Name() {
		t.Skip("runs as a child only")
	}
	return bufio.NewScanner(os.Stdin)
}

// line is the child's next line.
func (c *child) line() string {
	c.Helper()
	if !c.out.Scan() {
		c.Fatal("the child has ended")
	}
	return c.out.Text()
}

func (c *child) tell(format string, args ...any) {
	c.Helper()
	if _, err := fmt.Fprintf(c.in, format+"\n", args...); err != nil {
		c.Fatal(err)
	}
}

func (c *child) measure(peers int) (heap, goroutines int) {
	c.Helper()
	c.tell("%d", peers)
	if _, err := fmt.Sscan(c.line(), &heap, &goroutines); err != nil {
		c.Fatal(err)
	}
	return heap, goroutines
}
