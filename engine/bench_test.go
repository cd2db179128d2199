package engine_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
)

func pair(b testing.TB) (*engine.Network, *engine.PeerClient, *atomic.Int64) {
	w := liveWorld(b)
	var got atomic.Int64
	srv := w.node(nil, func(n *engine.Network) { n.AddComponent(&sinkComponent{n: &got}, engine.Opcodes(1000, 1001)) })
	return srv, w.dial(w.node(nil), srv), &got
}

type sinkComponent struct {
	engine.Component
	n *atomic.Int64
	l int64
}

func (s *sinkComponent) Receive(ctx *engine.ComponentContext) error {
	if ctx.IsRequest() {
		return ctx.ReplyRaw(1001, ctx.Payload())
	}
	s.n.Add(1)
	return engine.ErrIntercepted
}

func BenchmarkOneWay64(b *testing.B) {
	_, p, got := pair(b)
	msg := make([]byte, 64)
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := p.SendRaw(ctx, 1000, msg); err != nil {
			b.Fatal(err)
		}
	}
	for got.Load() < int64(b.N) {
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mmsg/s")
}

func BenchmarkRequest1(b *testing.B) {
	_, p, _ := pair(b)
	msg := make([]byte, 64)
	ctx := context.Background()
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, _, err := p.RequestRaw(ctx, 1000, msg, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequest64(b *testing.B) {
	_, p, _ := pair(b)
	ctx := context.Background()
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		msg := make([]byte, 64)
		buf := make([]byte, 0, 128)
		for pb.Next() {
			if _, _, err := p.RequestRaw(ctx, 1000, msg, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e3, "kreq/s")
}
