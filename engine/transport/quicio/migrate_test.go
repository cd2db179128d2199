package quicio

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A router passes datagrams between one client and a server, and can forget its binding, as a NAT does: from then on the
// server sees the client at another port.
type router struct {
	inside *net.UDPConn // the client sends here
	server *net.UDPAddr

	mu      sync.Mutex
	client  *net.UDPAddr
	outside *net.UDPConn
	passed  int // datagrams to the server through the present binding
	running sync.WaitGroup
}

func newRouter(t testing.TB, server transport.Addr) *router {
	inside, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &router{inside: inside, server: net.UDPAddrFromAddrPort(server.AddrPort)}
	r.forget(t)
	r.running.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := inside.ReadFromUDP(buf)
			if err != nil {
				return
			}
			r.mu.Lock()
			r.client = from
			r.passed++
			_, _ = r.outside.Write(buf[:n])
			r.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = inside.Close()
		r.mu.Lock()
		_ = r.outside.Close()
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

// forget makes a new binding.
func (r *router) forget(t testing.TB) {
	outside, err := net.DialUDP("udp4", nil, r.server)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	before := r.outside
	r.outside, r.passed = outside, 0
	r.mu.Unlock()
	if before != nil {
		_ = before.Close()
	}
	r.running.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, err := outside.Read(buf)
			if err != nil {
				return
			}
			r.mu.Lock()
			client := r.client
			r.mu.Unlock()
			_, _ = r.inside.WriteToUDP(buf[:n], client)
		}
	})
}

// A peer whose address changes is the same link: nothing is lost, nobody is told, and its Remote stays what it was.
func TestMigration(t *testing.T) {
	t.Parallel()
	_, w, at := serve(t, Config{Loops: 1})
	r := newRouter(t, at)
	tr, mine := withKey(t, Config{Loops: 1}), newWatcher()
	if _, err := tr.Start(mine, nil); err != nil {
		t.Fatal(err)
	}
	defer tr.Stop()
	tr.Dial(context.Background(), addrOf(r.inside.LocalAddr()), 1)
	mine.until(t, "the link", func() bool { return len(mine.links) == 1 })
	w.until(t, "its other end", func() bool { return len(w.links) == 1 })
	near, far := mine.links[0], w.links[0]
	remote := far.Remote()
	ports := map[int]bool{}
	var sent, answered []byte
	for round := range byte(4) {
		sent = append(sent, round)
		if _, err := near.Write([]byte{round}); err != nil {
			t.Fatal(err)
		}
		w.until(t, "the bytes", func() bool { return bytes.Equal(w.bytes[far], sent) })
		answered = append(answered, ^round)
		if _, err := far.Write([]byte{^round}); err != nil {
			t.Fatal(err)
		}
		mine.until(t, "the answer", func() bool { return bytes.Equal(mine.bytes[near], answered) })
		r.mu.Lock()
		ports[r.outside.LocalAddr().(*net.UDPAddr).Port] = r.passed > 0
		r.mu.Unlock()
		r.forget(t)
	}
	if len(ports) != 4 {
		t.Errorf("the client has been at the ports %v, want four that were used", ports)
	}
	for port, used := range ports {
		if !used {
			t.Errorf("nothing has gone through port %d", port)
		}
	}
	if far.Remote() != remote {
		t.Errorf("the link's remote was %v and is %v", remote, far.Remote())
	}
	if now := addrOf(far.(*link).conn.RemoteAddr()); now == remote {
		t.Errorf("the connection is still at %v", now)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	mine.mu.Lock()
	defer mine.mu.Unlock()
	if len(w.closed)+len(mine.closed) > 0 || len(w.links) != 1 {
		t.Errorf("closed: %v, %v; %d links", w.closed, mine.closed, len(w.links))
	}
}
