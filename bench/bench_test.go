package bench_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
)

// Contestants of every benchmark, in the same shape. Both sides share the process, and its cores.
func contestants() []load.Driver {
	return []load.Driver{driver.Carrier(), driver.Gnet(), driver.TLS()}
}

// arrivalLimit is how long a benchmark waits for what it has sent.
const arrivalLimit = 10 * time.Second

// A rig is a serving and a dialling side with open connections.
type rig struct {
	b       *testing.B
	pattern *load.Pattern
	sink    *load.Sink
	server  load.Server
	dialer  load.Dialer
	conns   []load.Conn
	msgs    []message // for each connection
	marks   uint64
}

// message is the next message of one connection.
type message struct {
	seq uint64
	buf []byte
}

func newRig(b *testing.B, d load.Driver, shape load.Shape) *rig {
	b.Helper()
	r := &rig{b: b, pattern: load.NewPattern()}
	r.sink = load.NewSink(r.pattern)
	var err error
	if r.server, err = d.Serve("127.0.0.1:0", shape, r.sink); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.server.Close() })
	if r.dialer, err = d.NewDialer(shape); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.dialer.Close() })
	return r
}

func (r *rig) dial(conns, size int) {
	r.b.Helper()
	for i := range conns {
		c, err := r.dialer.Dial(context.Background(), r.server.Addr(), i)
		if err != nil {
			r.b.Fatal(err)
		}
		r.b.Cleanup(func() { _ = c.Close() })
		r.conns = append(r.conns, c)
		r.msgs = append(r.msgs, message{buf: make([]byte, size)})
	}
}

// send sends the next message of connection i; a mark ends what is counted.
func (r *rig) send(i int, mark bool) {
	m := &r.msgs[i]
	r.pattern.Put(m.buf, load.Header{Seq: m.seq, Stream: uint32(i), Mark: mark})
	m.seq++
	err := r.conns[i].Send(m.buf)
	if err == nil && mark {
		err = r.conns[i].Flush()
	}
	if err != nil {
		r.b.Fatal(err)
	}
}

// arrived marks every connection's stream and waits until all of it is there and in order.
func (r *rig) arrived(sent uint64) {
	for i := range r.conns {
		r.send(i, true)
	}
	r.await()
	if c := r.sink.Counts(); c.Messages != sent || len(c.Errors) > 0 {
		r.b.Fatalf("%d messages of %d arrived, errors %v", c.Messages, sent, c.Errors)
	}
}

// await waits for one more mark of every connection.
func (r *rig) await() {
	r.marks += uint64(len(r.conns))
	if got, err := (load.Local{Sink: r.sink}).Await(r.marks, arrivalLimit); err != nil || got < r.marks {
		r.b.Fatalf("%d marks of %d arrived, %v", got, r.marks, err)
	}
}

// Messages in one direction. The clock stops at the last arrival, so messages/s is not simply 1/(ns/op).
func BenchmarkOneWay(b *testing.B) {
	for _, variant := range []struct{ size, conns int }{{64, 1}, {1 << 10, 1}, {64 << 10, 1}, {64, 100}} {
		for _, d := range contestants() {
			b.Run(fmt.Sprintf("size=%d/conns=%d/driver=%s", variant.size, variant.conns, d.Name()), func(b *testing.B) {
				r := newRig(b, d, load.Shape{Conns: variant.conns})
				r.dial(variant.conns, variant.size)
				b.SetBytes(int64(variant.size))
				b.ReportAllocs()
				begun := time.Now()
				for i := 0; b.Loop(); i++ {
					r.send(i%variant.conns, false)
				}
				r.arrived(uint64(b.N))
				b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "messages/s")
			})
		}
	}
}

// Requests, each answered with its own bytes.
func BenchmarkRequest(b *testing.B) {
	for _, inflight := range []int{1, 64} {
		for _, d := range contestants() {
			b.Run(fmt.Sprintf("size=64/inflight=%d/driver=%s", inflight, d.Name()), func(b *testing.B) {
				r := newRig(b, d, load.Shape{Conns: 1})
				r.dial(1, 64)
				b.ReportAllocs()
				begun := time.Now()
				if inflight == 1 {
					call := r.caller(0)
					for b.Loop() {
						call()
					}
				} else {
					b.ResetTimer()             // b.Loop does so by itself
					b.SetParallelism(inflight) // times GOMAXPROCS: close enough, and the same for all
					b.RunParallel(func(pb *testing.PB) {
						for call := r.caller(0); pb.Next(); {
							call()
						}
					})
				}
				b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "requests/s")
			})
		}
	}
}

// caller returns a function that makes one request and checks its answer.
func (r *rig) caller(i int) func() {
	m := message{buf: make([]byte, 64)}
	var into []byte
	return func() {
		r.pattern.Put(m.buf, load.Header{Seq: m.seq, Stream: uint32(i)})
		m.seq++
		var err error
		if into, err = r.conns[i].Call(m.buf, into); err != nil || string(into) != string(m.buf) {
			r.b.Errorf("request %d: %x, %v", m.seq, into, err)
		}
	}
}

// Dial, handshake, close: one at a time.
func BenchmarkConnect(b *testing.B) {
	for _, d := range append(contestants(), driver.TLSMLKEM()) {
		b.Run("driver="+d.Name(), func(b *testing.B) {
			r := newRig(b, d, load.Shape{Conns: 1, Churn: true})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c, err := r.dialer.Dial(context.Background(), r.server.Addr(), i)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
			}
			for deadline := time.Now().Add(arrivalLimit); r.sink.Counts().Opened < uint64(b.N); runtime.Gosched() {
				if time.Now().After(deadline) {
					b.Fatalf("%d of %d handshakes were finished at the serving end", r.sink.Counts().Opened, b.N)
				}
			}
		})
	}
}

// The same message to 100 connections; an operation ends when it has arrived everywhere.
func BenchmarkFanOut(b *testing.B) {
	const conns = 100
	for _, d := range contestants() {
		b.Run(fmt.Sprintf("size=1024/conns=%d/driver=%s", conns, d.Name()), func(b *testing.B) {
			r := newRig(b, d, load.Shape{Conns: conns})
			r.dial(conns, 1<<10)
			b.ReportAllocs()
			for b.Loop() {
				for i := range r.conns {
					r.send(i, true)
				}
				r.await()
			}
			if c := r.sink.Counts(); len(c.Errors) > 0 {
				b.Fatalf("errors %v", c.Errors)
			}
			b.ReportMetric(float64(b.N*conns)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// What an idle connection keeps alive, both ends together: they share this heap. p2pbench hold tells them apart.
func BenchmarkIdle(b *testing.B) {
	const conns = 500
	for _, d := range contestants() {
		b.Run(fmt.Sprintf("conns=%d/driver=%s", conns, d.Name()), func(b *testing.B) {
			var perConn float64
			for b.Loop() {
				r := newRig(b, d, load.Shape{Conns: conns, Idle: true})
				before := load.ReadUsage(true)
				r.dial(conns, 64)
				after := load.ReadUsage(true)
				perConn = (float64(after.HeapBytes) - float64(before.HeapBytes)) / conns
				r.caller(conns / 2)() // what is held must answer
				for _, c := range r.conns {
					_ = c.Close()
				}
				_ = r.dialer.Close()
				_ = r.server.Close()
			}
			b.ReportMetric(perConn, "heap-B/conn")
		})
	}
}
