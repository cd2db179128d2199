package bench_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/process"
)

// asProgram makes this test binary the program whose children serve and dial.
const asProgram = "CARRIER_BENCH_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		process.Main(driver.All()...)
	}
	os.Exit(m.Run())
}

// measured runs one scenario as p2pbench does: this process starts one that dials, and that one another that serves.
func measured(t *testing.T, c load.Config) *load.Result {
	t.Helper()
	t.Setenv(asProgram, "1")
	c, err := c.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	result, err := process.Result(context.Background(), process.OfThisProgram(process.Arguments(c, "carrier", "")...))
	if err != nil {
		t.Fatal(err)
	}
	if result.Failed() || result.Messages == 0 || result.Server == nil {
		t.Fatalf("%s: %d messages, errors %v", c.Scenario, result.Messages, result.Errors)
	}
	return result
}

// What a message costs in allocations, of whole processes, the generator's own included. Not how long
// anything takes: that is the machine's. The bounds are five to a hundred times what a busy machine shows
// (0.0001, 0.002 and 0.002), since timers and windows of the series allocate by the second and not by the
// message.
func TestAllocationsPerMessage(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	const slow = 500 // allocations in the second, for machines on which hardly any messages share them
	for _, test := range []struct {
		config load.Config
		most   float64
	}{
		{load.Config{Scenario: load.OneWay, Size: 64}, 0.01},
		{load.Config{Scenario: load.OneWay, Size: 1 << 10, Conns: 20}, 0.02},
		{load.Config{Scenario: load.RPC, Inflight: 64}, 0.05},
	} {
		test.config.Duration, test.config.Warmup = time.Second, 300*time.Millisecond
		r := measured(t, test.config)
		for side, allocs := range map[string]float64{"dialling": r.Client.AllocsPerMessage, "serving": r.Server.AllocsPerMessage} {
			if allocs > test.most+slow/float64(r.Messages) {
				t.Errorf("%s of %d B: the %s side allocates %.4f times for each of %d messages, promised at most %v",
					r.Scenario, test.config.Size, side, allocs, r.Messages, test.most)
			}
		}
	}
}

// What an idle peer costs the serving side: heap below 2 KiB, and not one goroutine.
func TestIdlePeerSize(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector keeps shadow memory")
	}
	rest := load.Config{Scenario: load.Hold, Duration: 200 * time.Millisecond, Warmup: 200 * time.Millisecond}
	few, many := rest, rest
	few.Conns, many.Conns = 10, 1000
	alone, r := measured(t, few), measured(t, many)
	if r.Server.HeapPerConn <= 0 || r.Server.HeapPerConn > 2048 {
		t.Errorf("an idle peer of %d costs %.0f B of heap, promised at most 2048", many.Conns, r.Server.HeapPerConn)
	}
	if grown := r.Server.Goroutines - alone.Server.Goroutines; grown > 4 { // workers of a handshake pool may still be there
		t.Errorf("%d goroutines with %d peers, %d with %d: they must not grow with peers", r.Server.Goroutines, many.Conns, alone.Server.Goroutines, few.Conns)
	}
}
