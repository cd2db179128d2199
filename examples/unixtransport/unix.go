// Package unixtransport is a transport of one's own, as an example: nodes on one machine that talk over Unix sockets.
//
//	tr := unixtransport.New("/run/nodes")
//	net, err := engine.New(engine.Config{Transport: tr, Listen: []transport.Addr{unixtransport.Addr(7)}, …})
//
// It shows all that a transport needs when it has no event loop of its own. A postloop.Loop is the loop. Each link has a
// goroutine that reads, posts what it has read to the loop, and waits until that has been taken; and one that writes, while
// there is something to write. Everything the Sink is told is told on the loop.
//
//	Addr        who           file
//	proto-128://127.0.0.1:7   DIR/7.sock
//
// An address is a transport number, an IP address and a port, because that is what node records hold; numbers from
// transport.PrivateProto on are for transports that are not carrier's own. This one uses the port alone.
//
// The contract is package transport; what it means in detail is what package transporttest tests, and TestContract runs
// that here.
package unixtransport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/postloop"
)

// Proto is the number of this transport in addresses.
const Proto = transport.PrivateProto

// Addr is the address with that number; 0 takes any when listening.
func Addr(number uint16) transport.Addr {
	return transport.Addr{Proto: Proto, AddrPort: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), number)}
}

// lingerTimeout is how long a closed link may take to deliver what was written.
const lingerTimeout = time.Second

var errAddress = errors.New("unixtransport: not an address of this transport")

// A Transport implements transport.Transport. Make it with New.
type Transport struct {
	dir string

	sink   transport.Sink // fixed by Start, as is loop
	loop   *postloop.Loop
	ctx    context.Context // ends dials
	cancel context.CancelFunc

	mu        sync.Mutex // guards what follows
	running   bool
	stopped   bool
	number    uint16 // of the last dial: what the other side sees of us
	listeners []net.Listener
	links     map[*link]struct{}
	work      sync.WaitGroup // every goroutine but the loop; added to under mu while running
}

// New makes a Transport whose sockets are files in dir.
func New(dir string) *Transport {
	t := &Transport{dir: dir, links: map[*link]struct{}{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Protos implements transport.Transport.
func (t *Transport) Protos() []transport.Proto { return []transport.Proto{Proto} }

// Loops implements transport.Transport.
func (t *Transport) Loops() []transport.Loop { return []transport.Loop{t.loop} }

func (t *Transport) path(a transport.Addr) string {
	return filepath.Join(t.dir, strconv.Itoa(int(a.Port()))+".sock")
}

// Start implements transport.Transport.
func (t *Transport) Start(sink transport.Sink, listen []transport.Addr) (bound []transport.Addr, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running || t.stopped {
		return nil, transport.ErrClosed
	}
	for _, a := range listen {
		at, ln, err := t.bind(a)
		if err != nil {
			for _, ln := range t.listeners {
				_ = ln.Close()
			}
			t.stopped = true
			return nil, fmt.Errorf("unixtransport: listen on %v: %w", a, err)
		}
		bound, t.listeners = append(bound, at), append(t.listeners, ln)
	}
	t.sink, t.running = sink, true
	t.loop = postloop.Start(0, time.Now(), sink.Turn)
	for i, ln := range t.listeners {
		t.work.Go(func() { t.accept(ln, bound[i]) })
	}
	return bound, nil
}

// bind makes the socket of a, or the first that is free.
func (t *Transport) bind(a transport.Addr) (transport.Addr, net.Listener, error) {
	if a.Proto != Proto {
		return a, nil, errAddress
	}
	if a.Port() != 0 {
		ln, err := net.Listen("unix", t.path(a))
		return a, ln, err
	}
	for n := uint16(1); ; n++ {
		if ln, err := net.Listen("unix", t.path(Addr(n))); err == nil || n == 1<<16-1 {
			return Addr(n), ln, err
		}
	}
}

// accept makes a link of whatever connects. The first two bytes are the number that the dialler goes by.
func (t *Transport) accept(ln net.Listener, local transport.Addr) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		t.start(func() {
			var number [2]byte
			_ = conn.SetReadDeadline(time.Now().Add(lingerTimeout))
			if _, err := io.ReadFull(conn, number[:]); err != nil {
				t.sink.Refused(Addr(0), err)
				_ = conn.Close()
				return
			}
			_ = conn.SetReadDeadline(time.Time{})
			t.run(conn, local, Addr(uint16(number[0])<<8|uint16(number[1])), nil)
		})
	}
}

// start runs f, unless Stop has begun.
func (t *Transport) start(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running {
		t.work.Go(f)
	}
	return t.running
}

// Dial implements transport.Transport.
func (t *Transport) Dial(ctx context.Context, to transport.Addr, tag any) {
	fail := func(err error) { t.sink.DialFailed(tag, err) }
	if !t.start(func() {
		conn, local, err := t.connect(ctx, to)
		if err == nil && t.run(conn, local, to, tag) {
			return
		}
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case err == nil || t.ctx.Err() != nil:
			err = transport.ErrClosed
		}
		fail(err)
	}) {
		go fail(transport.ErrClosed)
	}
}

// connect makes the connection and says who we are.
func (t *Transport) connect(ctx context.Context, to transport.Addr) (net.Conn, transport.Addr, error) {
	if to.Proto != Proto {
		return nil, to, errAddress
	}
	if err := ctx.Err(); err != nil {
		return nil, to, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", t.path(to))
	if err != nil {
		return nil, to, err
	}
	t.mu.Lock()
	t.number++
	local := Addr(t.number)
	t.mu.Unlock()
	if _, err := conn.Write([]byte{byte(local.Port() >> 8), byte(local.Port())}); err != nil {
		_ = conn.Close()
		return nil, to, err
	}
	return conn, local, nil
}

// Stop implements transport.Transport.
func (t *Transport) Stop() error {
	t.mu.Lock()
	was := t.running
	t.running, t.stopped = false, true
	for _, ln := range t.listeners {
		_ = ln.Close()
	}
	var open []*link
	for l := range t.links {
		open = append(open, l)
	}
	t.mu.Unlock()
	t.cancel()
	for _, l := range open {
		l.Close()
	}
	t.work.Wait()
	if was {
		t.loop.Stop()
	}
	return nil
}
