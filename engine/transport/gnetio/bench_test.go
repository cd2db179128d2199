package gnetio

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Each benchmark also reports the processor time that the whole process used for one operation, both ends of it together:
// on a machine that is shared with others it says more than the time that passed.

// begin starts the clocks; the returned function reports.
func begin(b *testing.B) (end func()) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	return func() {
		b.StopTimer()
		b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	}
}

func cpuTime(b *testing.B) time.Duration {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkWake is one wake and its turn: from the loop itself, turn after turn, and from another goroutine that waits for
// each. For comparison the reactor's own way to run something on a loop, which does it in the same turn.
func BenchmarkWake(b *testing.B) {
	b.Run("from=loop/by=anchor", func(b *testing.B) {
		p := newProbe()
		left := 0
		done := make(chan struct{})
		p.turn = func(lp transport.Loop) {
			if left--; left > 0 {
				lp.Wake()
				return
			}
			close(done)
		}
		tr, _ := start(b, Config{Loops: 1}, p)
		left = b.N
		defer begin(b)()
		tr.Loops()[0].Wake()
		<-done
	})
	b.Run("from=elsewhere/by=anchor", func(b *testing.B) {
		p := newProbe()
		turned := make(chan struct{}, 1)
		p.turn = func(transport.Loop) { turned <- struct{}{} }
		tr, _ := start(b, Config{Loops: 1}, p)
		lp := tr.Loops()[0]
		defer begin(b)()
		for range b.N {
			lp.Wake()
			<-turned
		}
	})
	b.Run("from=elsewhere/by=execute", func(b *testing.B) {
		tr, _ := start(b, Config{Loops: 1}, newProbe())
		turned := make(chan struct{}, 1)
		run := gnet.RunnableFunc(func(context.Context) error { turned <- struct{}{}; return nil })
		el := tr.loops.quietest().reactor
		defer begin(b)()
		for range b.N {
			if err := el.Execute(context.Background(), run); err != nil {
				b.Fatal(err)
			}
			<-turned
		}
	})
}

// BenchmarkEcho is one request of 64 bytes to an echo and back, closed loop, one plain socket: the server is this
// transport, or the reactor with nothing around it.
func BenchmarkEcho(b *testing.B) {
	const size = 64
	run := func(b *testing.B, to transport.Addr) {
		c := strangers(b, to, 1)[0]
		out, in := make([]byte, size), make([]byte, size)
		defer begin(b)()
		for range b.N {
			if _, err := c.Write(out); err != nil {
				b.Fatal(err)
			}
			for n := 0; n < size; {
				m, err := c.Read(in[n:])
				if err != nil {
					b.Fatal(err)
				}
				n += m
			}
		}
	}
	b.Run("server=gnetio", func(b *testing.B) {
		p := newProbe()
		p.bytes = func(l transport.Link, in []byte) { l.Write(in) }
		_, bound := start(b, Config{Loops: 1}, p, loopback())
		run(b, bound[0])
	})
	b.Run("server=gnet", func(b *testing.B) {
		run(b, plainEcho(b))
	})
}

// plainEcho runs gnet's shortest echo server.
func plainEcho(b *testing.B) transport.Addr {
	e := &echo{ready: make(chan struct{})}
	over := make(chan error, 1)
	go func() {
		over <- gnet.Run(e, "tcp://127.0.0.1:0", gnet.WithNumEventLoop(1), gnet.WithTicker(true),
			gnet.WithReadBufferCap(defaultReadBuffer), gnet.WithLogger(new(reactorLog)))
	}()
	<-e.ready
	fd, err := e.engine.Dup()
	if err != nil {
		b.Fatal(err)
	}
	defer closeFD(fd)
	b.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		e.engine.Stop(ctx)
		<-over
	})
	return localAddr(fd)
}

type echo struct {
	gnet.BuiltinEventEngine
	engine gnet.Engine
	ready  chan struct{}
	ticked bool
}

func (e *echo) OnBoot(eng gnet.Engine) gnet.Action { e.engine = eng; return gnet.None }
func (e *echo) OnTick() (time.Duration, gnet.Action) {
	if !e.ticked {
		e.ticked = true
		close(e.ready)
	}
	return time.Hour, gnet.None
}
func (e *echo) OnTraffic(c gnet.Conn) gnet.Action {
	b, _ := c.Next(-1)
	c.Write(b)
	return gnet.None
}

// BenchmarkOneWay streams through one link in writes of 256 KiB, by read buffer: this transport at both ends, on two
// loops.
func BenchmarkOneWay(b *testing.B) {
	const write = 256 << 10
	for _, buffer := range []int{32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10} {
		b.Run(fmt.Sprintf("read=%dKiB", buffer>>10), func(b *testing.B) {
			pa, pb := newProbe(), newProbe()
			var received atomic.Int64
			var sum byte
			total := int64(b.N) * write
			done := make(chan struct{})
			pb.bytes = func(_ transport.Link, in []byte) {
				for i := 0; i < len(in); i += 64 { // a receiver looks at what it gets: one byte of each cache line
					sum += in[i]
				}
				if received.Add(int64(len(in))) == total {
					close(done)
				}
			}
			room := make(chan struct{}, 1)
			pa.room = func(transport.Link) { room <- struct{}{} }
			_, bound := start(b, Config{Loops: 1, ReadBuffer: buffer}, pb, loopback())
			a, _ := start(b, Config{Loops: 1}, pa)
			la, _ := connect(b, a, pa, pb, bound[0])
			block := make([]byte, write)
			shorts := 0
			b.SetBytes(write)
			defer begin(b)()
			for range b.N {
				for rest := block; len(rest) > 0; {
					n, err := la.Write(rest)
					if err != nil {
						b.Fatal(err)
					}
					if rest = rest[n:]; len(rest) > 0 {
						shorts++
						<-room
					}
				}
			}
			<-done
			b.ReportMetric(float64(shorts)/float64(b.N), "short/op")
		})
	}
}

// BenchmarkAccept is one connection of a plain socket: connect, Opened, close, Closed.
func BenchmarkAccept(b *testing.B) {
	p := newProbe()
	_, bound := start(b, Config{Loops: 2}, p, loopback())
	defer begin(b)()
	for range b.N {
		c, err := net.Dial("tcp", bound[0].AddrPort.String())
		if err != nil {
			b.Fatal(err)
		}
		get(b, "a link", p.opened)
		c.Close()
		get(b, "its end", p.closed)
	}
}

// BenchmarkDial is one dial of a transport to another: Opened at both ends, close, Closed at both.
func BenchmarkDial(b *testing.B) {
	pa, pb := newProbe(), newProbe()
	_, bound := start(b, Config{Loops: 1}, pb, loopback())
	a, _ := start(b, Config{Loops: 1}, pa)
	defer begin(b)()
	for range b.N {
		la, _ := connect(b, a, pa, pb, bound[0])
		la.Close()
		get(b, "an end", pa.closed)
		get(b, "the other end", pb.closed)
	}
}

// BenchmarkStartStop is the life of a transport with ten links.
func BenchmarkStartStop(b *testing.B) {
	for range b.N {
		p := newProbe()
		tr := New(Config{Loops: 2})
		bound, err := tr.Start(p, []transport.Addr{loopback()})
		if err != nil {
			b.Fatal(err)
		}
		var conns []*net.TCPConn
		for range 10 {
			c, err := net.Dial("tcp", bound[0].AddrPort.String())
			if err != nil {
				b.Fatal(err)
			}
			conns = append(conns, c.(*net.TCPConn))
			get(b, "a link", p.opened)
		}
		tr.Stop()
		for _, c := range conns {
			c.Close()
		}
	}
}
