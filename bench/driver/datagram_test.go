package driver_test

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// BenchmarkDatagrams sends 64 bytes one way over UDP on loopback, from one peer, and measures what arrives:
//
//	gnet     gnet's own UDP: one datagram for each message, in clear, sent with write(2)
//	udpio    this module's sockets: one datagram for each message, in clear, in batches
//	carrier  the engine: messages encrypted, as many in a datagram as fit
//
// At most 1000 datagrams in clear are under way, so that what is measured is the receiver and not the kernel's dropping; the
// engine sees to that itself. docs/decisions/0007-udp.md has
// the figures.
func BenchmarkDatagrams(b *testing.B) {
	b.Run("gnet", func(b *testing.B) { flood(b, gnetDatagrams(b)) })
	b.Run("udpio", func(b *testing.B) { flood(b, plainDatagrams(b)) })
	b.Run("carrier", func(b *testing.B) { flood(b, sealedDatagrams(b)) })
}

// A pipe sends messages and counts those that have arrived.
type pipe struct {
	send    func(msg []byte)
	arrived *atomic.Int64
	window  int64 // how many may be under way
}

// flood sends b.N messages. What is lost after a while is not waited for.
func flood(b *testing.B, p pipe) {
	msg := make([]byte, 64)
	p.arrived.Store(0)
	b.ResetTimer()
	b.ReportAllocs()
	lost := int64(0)
	for i := range int64(b.N) {
		for since := time.Now(); i-lost-p.arrived.Load() >= p.window; runtime.Gosched() {
			if time.Since(since) > 100*time.Millisecond {
				lost = i - p.arrived.Load()
			}
		}
		p.send(msg)
	}
	for since := time.Now(); p.arrived.Load()+lost < int64(b.N) && time.Since(since) < 100*time.Millisecond; {
		runtime.Gosched()
	}
	b.StopTimer()
	b.ReportMetric(float64(p.arrived.Load())/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(int64(b.N)-p.arrived.Load()), "lost")
}

// counter is a gnet server that counts datagrams.
type counter struct {
	gnet.BuiltinEventEngine
	arrived atomic.Int64
	booted  chan gnet.Engine
}

func (c *counter) OnBoot(e gnet.Engine) gnet.Action { c.booted <- e; return gnet.None }

func (c *counter) OnTraffic(conn gnet.Conn) gnet.Action {
	_, _ = conn.Next(-1)
	c.arrived.Add(1)
	return gnet.None
}

// silent is gnet's logger.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

func gnetDatagrams(b *testing.B) pipe {
	c := &counter{booted: make(chan gnet.Engine, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- gnet.Run(c, "udp://127.0.0.1:0", gnet.WithMulticore(true), gnet.WithSocketRecvBuffer(4<<20), gnet.WithLogger(silent{}))
	}()
	e := <-c.booted
	fd, err := e.Dup()
	if err != nil {
		b.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		b.Fatal(err)
	}
	_ = unix.Close(fd)
	conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*unix.SockaddrInet4).Port})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		_ = e.Stop(context.Background())
		<-ended
	})
	return pipe{func(msg []byte) { _, _ = conn.Write(msg) }, &c.arrived, 1000}
}

// tally is a Sink that counts datagrams.
type tally struct {
	arrived atomic.Int64
	opened  chan transport.Link
}

func (t *tally) Opened(l transport.Link, tag any) {
	if tag != nil {
		t.opened <- l
	}
}

func (t *tally) Bytes(l transport.Link, _ []byte) {
	l.(transport.DatagramLink).Authentic(true)
	if t.arrived.Add(1) == 1 && t.opened == nil { // the other end learns this one's id
		_, _ = l.Write([]byte("welcome"))
	}
}

func (t *tally) DialFailed(any, error)         {}
func (t *tally) Writable(transport.Link)       {}
func (t *tally) Closed(transport.Link, error)  {}
func (t *tally) Turn(transport.Loop)           {}
func (t *tally) Refused(transport.Addr, error) {}
func (t *tally) Failed(error)                  {}

var loopbackUDP = transport.Addr{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}

func plainDatagrams(b *testing.B) pipe {
	near, far := &tally{opened: make(chan transport.Link, 1)}, &tally{}
	server, client := udpio.New(udpio.Config{}), udpio.New(udpio.Config{})
	bound, err := server.Start(far, []transport.Addr{loopbackUDP})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := client.Start(near, nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = client.Stop(), server.Stop() })
	client.Dial(context.Background(), bound[0], 1)
	l := <-near.opened
	for near.arrived.Load() == 0 { // until it is open
		_, _ = l.Write([]byte("hello"))
		runtime.Gosched()
	}
	return pipe{func(msg []byte) { _, _ = l.Write(msg) }, &far.arrived, 1000}
}

// receiver is a component that counts messages.
type receiver struct {
	engine.Component
	arrived atomic.Int64
}

const opDatagram = opcode.ApplicationOpCodeStart

func (c *receiver) Opcodes() []opcode.Opcode { return []opcode.Opcode{opDatagram} }

func (c *receiver) Receive(*engine.ComponentContext) error {
	c.arrived.Add(1)
	return nil
}

func sealedDatagrams(b *testing.B) pipe {
	c := &receiver{}
	start := func(listen ...transport.Addr) *engine.Network {
		id, err := identity.Generate(b.Context(), identity.Puzzle{}, identity.GenerateOptions{Workers: 1})
		if err != nil {
			b.Fatal(err)
		}
		n, err := engine.New(engine.Config{Transport: udpio.New(udpio.Config{}), Identity: id, Listen: listen,
			Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
		if err != nil {
			b.Fatal(err)
		}
		if len(listen) > 0 {
			if err := n.AddComponent(c); err != nil {
				b.Fatal(err)
			}
		}
		if err := n.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = n.Shutdown(ctx)
		})
		return n
	}
	server := start(loopbackUDP)
	p, err := start().Dial(b.Context(), server.Addrs()[0].String())
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	return pipe{func(msg []byte) { _ = p.SendRaw(ctx, opDatagram, msg) }, &c.arrived, 1 << 30}
}
