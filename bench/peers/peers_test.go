package main

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

// Every driver runs what it can for a moment, and nothing is lost, doubled, altered or late. Rates are nobody's concern here.
func TestScenarios(t *testing.T) {
	runs := []load.Config{
		{Scenario: load.OneWay, Conns: 1, Size: 64},
		{Scenario: load.OneWay, Conns: 3, Size: 64 << 10},
		{Scenario: load.RPC, Conns: 1, Inflight: 16, Size: 64},
		{Scenario: load.RPC, Conns: 5, Inflight: 2, Size: 1024},
		{Scenario: load.Connect, Conns: 2},
		{Scenario: load.Hold, Conns: 10},
		{Scenario: load.FanOut, Conns: 5, Size: 1024},
	}
	for _, d := range drivers() {
		t.Run(d.Name(), func(t *testing.T) {
			for _, c := range runs {
				c.Duration, c.Warmup = 50*time.Millisecond, 20*time.Millisecond
				r := run(t, d, c)
				if member, ok := d.(memberlistDriver); ok && r.Cannot != "" && (c.Scenario == load.Connect || c.Scenario == load.Hold || member.datagrams && c.Size > memberDatagram) {
					continue // as its documentation says
				}
				if r.Failed() {
					t.Errorf("%s, %d connections, %d bytes: errors %v", c.Scenario, c.Conns, c.Size, r.Errors)
				}
				if r.Messages == 0 {
					t.Errorf("%s, %d connections, %d bytes: no message", c.Scenario, c.Conns, c.Size)
				}
			}
		})
	}
}

func run(t *testing.T, d load.Driver, c load.Config) *load.Result {
	t.Helper()
	sink := load.NewSink(load.NewPattern())
	server, err := d.Serve("127.0.0.1:0", c.Shape(), sink)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dialer, err := d.NewDialer(c.Shape())
	if err != nil {
		t.Fatal(err)
	}
	defer dialer.Close()
	bench := load.Bench{Config: c, Driver: d.Name(), Dialer: dialer, Addr: server.Addr(), Server: load.Local{Sink: sink}}
	r, err := bench.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}
