package simnet_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const port = 4001

var (
	ipA = netip.MustParseAddr("10.0.0.1")
	ipB = netip.MustParseAddr("10.0.0.2")
	ipC = netip.MustParseAddr("10.0.1.1")
)

// A node is a Host with a Sink that writes down what it is told, each line with its virtual time.
type node struct {
	*simnet.Host
	t     rapid.TB
	net   *simnet.Net
	log   []string
	links []*end // in the order of Opened
	fails []error
	turns int

	onOpened   func(*end)
	onBytes    func(*end, []byte)
	onWritable func(*end)
	onClosed   func(*end)
	onTurn     func(transport.Loop)
}

// An end is one Link with what came through it.
type end struct {
	transport.Link
	node     *node
	tag      any
	openedAt time.Duration
	got      bytes.Buffer
	reads    []int
	readAt   []time.Duration
	writable int
	blocked  bool // a push was short
	closed   bool
	closedAt time.Duration
	err      error
}

func newNode(t rapid.TB, n *simnet.Net, ip netip.Addr, opts ...simnet.HostOption) *node {
	t.Helper()
	nd := &node{Host: n.Host(ip, opts...), t: t, net: n}
	if _, err := nd.Start(nd, []transport.Addr{tcp(ip, port)}); err != nil {
		t.Fatal(err)
	}
	return nd
}

// pair is a net with two connected nodes.
func pair(t rapid.TB, seed uint64, w simnet.Weather, opts ...simnet.HostOption) (n *simnet.Net, ea, eb *end) {
	t.Helper()
	n = simnet.New(seed, w)
	a, b := newNode(t, n, ipA, opts...), newNode(t, n, ipB, opts...)
	ea, eb = a.connect(b)
	return n, ea, eb
}

func (nd *node) connect(to *node) (ea, eb *end) {
	nd.t.Helper()
	before, there := len(nd.links), len(to.links)
	nd.Dial(context.Background(), tcp(to.Addr(), port), "connect")
	if !nd.net.RunUntil(func() bool { return len(nd.links) > before && len(to.links) > there }, time.Hour) {
		nd.t.Fatalf("no connection from %v to %v: %v", nd.Addr(), to.Addr(), nd.fails)
	}
	return nd.links[before], to.links[there]
}

func (nd *node) note(format string, args ...any) {
	nd.log = append(nd.log, fmt.Sprintf("%v ", nd.net.Now())+fmt.Sprintf(format, args...))
}

func (nd *node) end(l transport.Link) *end { return l.Owner().(*end) }

// open is end for calls that must not come after Closed.
func (nd *node) open(l transport.Link) *end {
	e := nd.end(l)
	if e.closed {
		nd.t.Errorf("%v: told of more after Closed", l)
	}
	return e
}

func (nd *node) Opened(l transport.Link, tag any) {
	e := &end{Link: l, node: nd, tag: tag, openedAt: nd.net.Now()}
	l.SetOwner(e)
	nd.links = append(nd.links, e)
	nd.note("opened %v", tag)
	if nd.onOpened != nil {
		nd.onOpened(e)
	}
}

func (nd *node) DialFailed(tag any, err error) {
	nd.fails = append(nd.fails, err)
	nd.note("dial failed %v: %v", tag, err)
}

func (nd *node) Bytes(l transport.Link, b []byte) {
	e := nd.open(l)
	e.got.Write(b)
	e.reads = append(e.reads, len(b))
	e.readAt = append(e.readAt, nd.net.Now())
	nd.note("bytes %d", len(b))
	if nd.onBytes != nil {
		nd.onBytes(e, b)
	}
	clear(b) // it was lent: whoever else looks at it now sees zeros
}

func (nd *node) Writable(l transport.Link) {
	e := nd.open(l)
	e.writable++
	e.blocked = false
	nd.note("writable")
	if nd.onWritable != nil {
		nd.onWritable(e)
	}
}

func (nd *node) Closed(l transport.Link, err error) {
	e := nd.end(l)
	if e.closed {
		nd.t.Errorf("%v: closed twice", l)
	}
	e.closed, e.closedAt, e.err = true, nd.net.Now(), err
	nd.note("closed: %v", err)
	if nd.onClosed != nil {
		nd.onClosed(e)
	}
}

func (nd *node) Turn(lp transport.Loop) {
	nd.turns++
	nd.note("turn of %d", lp.Index())
	if nd.onTurn != nil {
		nd.onTurn(lp)
	}
}

func (nd *node) Refused(from transport.Addr, err error) { nd.t.Errorf("Refused(%v, %v)", from, err) }
func (nd *node) Failed(err error)                       { nd.t.Errorf("Failed(%v)", err) }

// write writes all of b, which must fit.
func (e *end) write(b []byte) {
	e.node.t.Helper()
	if n, err := e.Write(b); n != len(b) || err != nil {
		e.node.t.Fatalf("%v: wrote %d of %d, %v", e.Link, n, len(b), err)
	}
}

// push writes what of b there is room for, unless it waits for Writable.
func (e *end) push(b []byte) {
	if !e.blocked {
		n, err := e.Write(b)
		e.blocked = n < len(b) && err == nil
	}
}

// text is size bytes in which neighbours differ.
func text(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16*29)
	}
	return b
}
