package driver_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/engine/enginetest"
)

// quic-go keeps the socket of a connection that has been closed for three probe time-outs, which follow from the round trips of a
// machine that may be busy.
func TestMain(m *testing.M) {
	enginetest.VerifyMain(m,
		goleak.IgnoreAnyFunction("github.com/quic-go/quic-go.(*Transport).listen"),
		goleak.IgnoreAnyFunction("github.com/quic-go/quic-go.(*Transport).runSendQueue"),
	)
}

// Every driver runs every scenario for a moment, and nothing is lost, doubled, altered or late. Rates are nobody's
// concern here.
func TestScenarios(t *testing.T) {
	runs := []load.Config{
		{Scenario: load.OneWay, Conns: 1, Size: 64},
		{Scenario: load.OneWay, Conns: 3, Size: 70_000},
		{Scenario: load.OneWay, Conns: 2, Size: 1024, Rate: 2000},
		{Scenario: load.OneWay, Conns: 1, Size: load.SizeLimit},
		{Scenario: load.RPC, Conns: 1, Inflight: 64, Size: 64},
		{Scenario: load.RPC, Conns: 20, Inflight: 2, Size: 1024, Rate: 1000},
		{Scenario: load.RPC, Conns: 1, Size: 200_000},
		{Scenario: load.Stream, Direction: load.Down, Conns: 2, Inflight: 64}, // 4 MiB of answers at once: more than a send buffer
		{Scenario: load.Stream, Direction: load.Both, Conns: 1},
		{Scenario: load.Connect, Conns: 4},
		{Scenario: load.Hold, Conns: 60},
		{Scenario: load.FanOut, Conns: 30, Size: 1024},
		{Scenario: load.Mixed, Conns: 1},
		{Scenario: load.Slow, Conns: 5, Rate: 500},
	}
	datagrams := []load.Config{ // what is sent one way may be lost, so nothing is sent faster than a busy machine reads
		{Scenario: load.OneWay, Conns: 2, Size: 1024, Rate: 2000},
		{Scenario: load.RPC, Conns: 1, Inflight: 8, Size: 64},
		{Scenario: load.RPC, Conns: 20, Inflight: 2, Size: 1024, Rate: 1000},
		{Scenario: load.Connect, Conns: 4},
		{Scenario: load.Hold, Conns: 60},
	}
	for _, d := range driver.All() {
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			runs := slices.Clone(runs)
			if strings.HasSuffix(d.Name(), "-udp") {
				runs = datagrams
			}
			if strings.HasSuffix(d.Name(), "-quic") {
				runs = runs[:len(runs)-1] // nobody plays a peer who stops reading
			}
			if strings.HasSuffix(d.Name(), "quic") {
				for i := range runs { // of those that a busy machine has not accepted yet quic-go turns the 33rd away
					runs[i].Conns = min(runs[i].Conns, 32)
				}
			}
			for _, c := range runs {
				if testing.Short() && d.Name() == "carrier-quic" && c.Scenario == load.Connect {
					continue // two thousand nodes, each with a transport of its own, that take turns
				}
				c.Duration, c.Warmup = 50*time.Millisecond, 20*time.Millisecond
				result := runLocal(t, d, c)
				if d.Name() == "quic" && c.Scenario == load.Connect {
					// A client of plain QUIC is done half a round trip before its server, and closes at once: nothing of the
					// handshake tells it to wait.
					delete(result.Errors, "unfinished_there")
				}
				if result.Failed() {
					t.Errorf("%s, %d connections, %d bytes: errors %v", c.Scenario, c.Conns, c.Size, result.Errors)
				}
				if result.Messages == 0 {
					t.Errorf("%s, %d connections, %d bytes: no message", c.Scenario, c.Conns, c.Size)
				}
			}
		})
	}
}

func runLocal(t *testing.T, d load.Driver, c load.Config) *load.Result {
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
	result, err := bench.Run(context.Background())
	if err != nil {
		t.Fatalf("%s: %v", c.Scenario, err)
	}
	return result
}

// A transport makes a driver's name another driver's, if there is one.
func TestOver(t *testing.T) {
	for _, c := range []struct{ name, over, want string }{
		{"carrier", "tcp", "carrier"}, {"carrier", "", "carrier"}, {"carrier", "udp", "carrier-udp"}, {"carrier", "quic", "carrier-quic"},
		{"carrier-udp", "udp", "carrier-udp"}, {"carrier-udp", "tcp", "carrier-udp"}, {"tls", "udp", ""}, {"carrier", "ipx", ""},
	} {
		got, err := driver.Over(c.name, c.over)
		if c.want == "" && err == nil || c.want != "" && (err != nil || got != c.want) {
			t.Errorf("%s over %q: %q, %v, want %q", c.name, c.over, got, err, c.want)
		}
	}
}
