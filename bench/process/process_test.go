package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
)

// asProgram makes this test binary a program that lends drivers: children are started with it in their environment.
const asProgram = "PROCESS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main(driver.TCP(), driver.CarrierUDP())
	}
	os.Exit(m.Run())
}

func program(t *testing.T) Self {
	t.Setenv(asProgram, "1") // for children, which inherit it
	return OfThisProgram
}

// A run with the serving side in a child of its own, and one that is a child itself: every message arrives.
func TestRun(t *testing.T) {
	c, err := load.Config{Scenario: load.RPC, Duration: 50 * time.Millisecond, Warmup: -1}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	start := program(t)
	here, err := (&Run{Driver: driver.TCP(), Config: c, Self: start}).Do(t.Context())
	if err != nil || here.Messages == 0 || here.Failed() || here.Server == nil {
		t.Errorf("%+v, %v", here, err)
	}
	there, err := Result(t.Context(), start(append(Arguments(c, "tcp", "a label"), "--quiet=true", "--no-table")...))
	if err != nil || there.Messages == 0 || there.Failed() || there.Server == nil || there.Driver != "tcp" || there.Config.Duration != c.Duration {
		t.Errorf("%+v, %v", there, err)
	}
}

// Made-up handshakes come from a process of their own, begin before anything is measured, are answered with
// less than they send, and nobody is let in.
func TestSpoofedRun(t *testing.T) {
	c, err := load.Config{Scenario: load.Storm, Spoof: true, SpoofRate: 2000, Rate: 100, Duration: 500 * time.Millisecond, Warmup: -1}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&Run{Driver: driver.CarrierUDP(), Config: c, Self: program(t)}).Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Cannot != "" {
		t.Skip(r.Cannot)
	}
	f := r.Figures
	if r.Failed() || f["initiations"] == 0 || f["control_initiations"] == 0 || f["control_p99_us"] == 0 {
		t.Errorf("errors %v, figures %v", r.Errors, f)
	}
	if share := f["answered_share"]; share <= 0 || share > 0.1 {
		t.Errorf("%.3f of what came was answered, want a cookie for a Knock", share)
	}
}

// When the context ends, a child prints what it has.
func TestResultEndsEarly(t *testing.T) {
	c, err := load.Config{Scenario: load.RPC, Duration: time.Hour, Warmup: -1}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Result(ctx, program(t)(Arguments(c, "tcp", "")...)); err == nil && !r.Interrupted {
		t.Errorf("%+v, %v; want an interrupted run, or none", r, err)
	}
}

// A child that does not speak the protocol, or that there is none of, is an error and no result.
func TestResultRefuses(t *testing.T) {
	start := program(t)
	for _, args := range [][]string{{"rpc", "--driver", "nobody", "--config", "{}"}, {"rpc", "--driver", "tcp", "--config", "x"}, {"drivers"}} {
		if r, err := Result(t.Context(), start(args...)); err == nil {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if _, err := Result(t.Context(), exec.Command("/nowhere", "x")); err == nil {
		t.Error("a program that does not exist had a result")
	}
}

// A program names its drivers.
func TestDrivers(t *testing.T) {
	if names, err := Drivers(program(t)("drivers")); err != nil || !slices.Equal(names, []string{"tcp", "carrier-udp"}) {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := Drivers(exec.Command("true")); err == nil {
		t.Error("a program that says nothing has drivers")
	}
}

// Command lines that are none of the protocol's, and what they are told.
func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "--program"}, {[]string{"serve"}, "--program"}, {[]string{"serve", "--child", "--driver", "x"}, `no driver "x"`}, {[]string{"serve", "--what"}, "--program"},
		{[]string{"rpc", "--what"}, "--program"}, {[]string{"rpc", "--driver", "tcp"}, "--program"}, {[]string{"dance", "--driver", "tcp", "--config", "{}"}, `no scenario "dance"`},
	} {
		err := serveCommandLine(test.args, []load.Driver{driver.TCP()}, strings.NewReader(""), io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.args, err, test.want)
		}
	}
	if err := serveCommandLine(nil, nil, nil, nil); !errors.Is(err, errUsage) {
		t.Errorf("nothing at all: %v", err)
	}
}

// A serving child says where it is and ends with its input.
func TestServe(t *testing.T) {
	var out bytes.Buffer
	if err := Serve(driver.TCP(), "127.0.0.1:0", load.Shape{}, strings.NewReader(`{"do":"reset"}`+"\n"), &out); err != nil {
		t.Fatal(err)
	}
	var first struct{ Ready load.Ready }
	if err := json.NewDecoder(&out).Decode(&first); err != nil || first.Ready.Driver != "tcp" || first.Ready.Address == "" {
		t.Errorf("%+v, %v", first, err)
	}
	if err := Serve(driver.TCP(), "nowhere", load.Shape{}, strings.NewReader(""), &out); err == nil {
		t.Error("served at no address")
	}
}
