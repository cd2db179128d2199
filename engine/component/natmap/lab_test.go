package natmap_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) {
	lab.Helpers(map[string]lab.Helper{"serve": serve, "dial": dial})
	enginetest.VerifyMain(m)
}

func labNode(seed byte, listen ...string) (*engine.Network, error) {
	id, err := identity.FromSeed(context.Background(), [32]byte{seed}, identity.Puzzle{})
	if err != nil {
		return nil, err
	}
	return node.New(node.Config{
		Identity: id, Listen: listen, MapPorts: len(listen) > 0, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
		Transports: []transport.Transport{udpio.New(udpio.Config{})},
	})
}

// serve is a node behind a router. It says what happens, and which public addresses its record shows.
func serve(ctx context.Context, _ <-chan string, listen ...string) error {
	n, err := labNode(1, listen...)
	if err != nil {
		return err
	}
	events := n.Events(context.Background())
	go func() {
		last := ""
		for e := range events {
			if e.Kind != engine.Reachability {
				continue
			}
			fmt.Println("event", e.Text)
			addrs := slices.DeleteFunc(slices.Clone(n.Record().Addrs), func(a transport.Addr) bool { return a.Addr().IsPrivate() })
			if now := fmt.Sprint("record ", addrs); now != last {
				last = now
				fmt.Println(now)
			}
		}
	}()
	if err := n.Start(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return n.Shutdown(context.Background())
}

// dial tries to reach addresses and says what came of it.
func dial(_ context.Context, lines <-chan string, _ ...string) error {
	n, err := labNode(2)
	if err != nil {
		return err
	}
	if err := n.Start(context.Background()); err != nil {
		return err
	}
	for line := range lines {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		p, err := n.Dial(ctx, line)
		if err == nil {
			p.Disconnect(engine.CodeApplication, "seen")
		}
		cancel()
		fmt.Printf("dialled %v %v\n", err == nil, err)
	}
	return n.Shutdown(context.Background())
}

// reach waits until addr answers a dialler on the public side, and logs how long that took since began. That it is soon is for
// tests with a clock of their own (TestMachineFirst, TestMachineLaws); here it depends on what else the machine does.
func reach(t *testing.T, outside *lab.Process, addr string, began time.Time) {
	t.Helper()
	said := ""
	for time.Since(began) < lab.ExpectTimeout {
		outside.Say("%s", addr)
		if said = outside.Expect("dialled "); strings.HasPrefix(said, "true") {
			t.Logf("%s reached after %v", addr, time.Since(began))
			return
		}
	}
	t.Fatalf("%s cannot be reached after %v: %s", addr, lab.ExpectTimeout, said)
}

// A host runs a node behind a router, which listens at these addresses.
type host struct {
	*lab.Process
	lab    *lab.Lab
	name   string
	listen []string
}

func serveOn(l *lab.Lab, name string, listen ...string) *host {
	return &host{l.Start(name, "serve", listen...), l, name, listen}
}

// leave ends the node. It fails t unless the routers map nothing of it then. A node gives a router three seconds to
// answer; on a machine that stood still for so long it comes back and leaves once more.
func (h *host) leave(t *testing.T) {
	t.Helper()
	address := h.lab.Env("NATLAB_" + strings.ToUpper(strings.ReplaceAll(h.name, "-", "_")) + "_IP")
	for try := 1; ; try++ {
		h.End()
		left := mappings(h.lab)
		if !strings.Contains(left, address+":") {
			return
		}
		if try == 3 {
			t.Fatalf("left in the routers of %s:\n%s", address, left)
		}
		h.Process = h.lab.Start(h.name, "serve", h.listen...)
		h.Expect("record [")
	}
}

// mappings are what the routers hold.
func mappings(l *lab.Lab) string {
	var out []string
	for line := range strings.Lines(l.Do("status")) {
		if strings.Contains(line, "dnat") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}

// A node on the inside is reachable from outside soon after its start, over each protocol and against both versions of the
// device; at its end nothing of it is left in the router.
func TestReachable(t *testing.T) {
	for _, c := range []struct {
		name, lan, external string
		vars                []string
		via                 string
	}{
		{"NAT-PMP and UPnP", "lan-a", "25.64.0.10", nil, ""}, // NAT-PMP, if it answers as soon as it should
		{"UPnP 2", "lan-a", "25.64.0.10", []string{"NATLAB_IGD_A=enable_natpmp=no"}, "UPnP"},
		{"UPnP 1", "lan-b", "25.64.0.20", []string{"NATLAB_IGD_B=enable_natpmp=no;force_igd_desc_v1=yes"}, "UPnP"},
		{"NAT-PMP", "lan-a", "25.64.0.10", []string{"NATLAB_IGD_A=enable_upnp=no"}, "NAT-PMP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := lab.Require(t, c.vars...)
			outside := l.Start("wan", "dial")
			began := time.Now()
			inside := serveOn(l, c.lan, "tcp://0.0.0.0:4001")
			if got := inside.Expect("event mapped "); !strings.HasPrefix(got, "("+c.via) {
				t.Errorf("mapped %s, want %s", got, c.via)
			}
			reach(t, outside, "tcp://"+c.external+":4001", began)
			inside.leave(t)
		})
	}
}

// Every listening port is mapped, TCP and UDP, and what the record shows leads to the node.
func TestAllPorts(t *testing.T) {
	for _, vars := range [][]string{{"NATLAB_IGD_A=enable_upnp=no"}, {"NATLAB_IGD_A=enable_natpmp=no"}} {
		t.Run(vars[0], func(t *testing.T) {
			t.Parallel()
			l := lab.Require(t, vars...)
			outside := l.Start("wan", "dial")
			inside := serveOn(l, "lan-a", "tcp://0.0.0.0:4001", "udp://0.0.0.0:4002")
			inside.Expect("record [tcp://25.64.0.10:4001 udp://25.64.0.10:4002]")
			reach(t, outside, "tcp://25.64.0.10:4001", time.Now())
			reach(t, outside, "udp://25.64.0.10:4002", time.Now())
			inside.leave(t)
		})
	}
}

// What a node lives through: whatever happens to the gateway, it is reachable again, and leaves nothing behind at its end.
func TestSurvives(t *testing.T) {
	for _, via := range []struct {
		name string
		vars []string
	}{
		{"both", nil},
		{"NAT-PMP", []string{"NATLAB_IGD_A=enable_upnp=no"}},
		{"UPnP", []string{"NATLAB_IGD_A=enable_natpmp=no"}},
	} {
		for _, fault := range []struct {
			name     string
			external string // where the node is to be reached afterwards
			strike   func(t *testing.T, l *lab.Lab, outside *lab.Process, inside *host)
		}{
			{"restart", "25.64.0.10", func(_ *testing.T, l *lab.Lab, _ *lab.Process, _ *host) { l.Do("gw", "a", "restart") }},
			{"crash", "25.64.0.10", func(_ *testing.T, l *lab.Lab, _ *lab.Process, inside *host) {
				l.Do("gw", "a", "crash")
				inside.Expect("event gateway lost")
				l.Do("gw", "a", "start")
			}},
			{"mute", "25.64.0.10", func(t *testing.T, l *lab.Lab, outside *lab.Process, inside *host) {
				l.Do("gw", "a", "mute")
				inside.Expect("event gateway lost")
				reach(t, outside, "tcp://25.64.0.10:4001", time.Now()) // the mapping is there, and nobody has given it up
				l.Do("gw", "a", "unmute")
				inside.Expect("event gateway found")
			}},
			{"renumber", "25.64.0.11", func(t *testing.T, l *lab.Lab, _ *lab.Process, inside *host) {
				l.Do("renumber", "a", "11")
				inside.Expect("record [tcp://25.64.0.11:4001]")
			}},
		} {
			t.Run(via.name+"/"+fault.name, func(t *testing.T) {
				t.Parallel()
				l := lab.Require(t, via.vars...)
				outside := l.Start("wan", "dial")
				inside := serveOn(l, "lan-a", "tcp://0.0.0.0:4001")
				inside.Expect("record [tcp")
				reach(t, outside, "tcp://25.64.0.10:4001", time.Now())
				<-time.After(5 * time.Second) // the daemon's clock counts whole seconds: there has to be something to fall from
				struck := time.Now()
				fault.strike(t, l, outside, inside)
				reach(t, outside, "tcp://"+fault.external+":4001", struck)
				inside.leave(t)
			})
		}
	}
}

// Two hosts behind one router want the same port: the second gets another one, and both are reachable, until each of them ends.
func TestConflict(t *testing.T) {
	for _, vars := range [][]string{{"NATLAB_IGD_A=enable_upnp=no"}, {"NATLAB_IGD_A=enable_natpmp=no"}} {
		t.Run(vars[0], func(t *testing.T) {
			t.Parallel()
			l := lab.Require(t, vars...)
			outside := l.Start("wan", "dial")
			one := serveOn(l, "lan-a", "tcp://0.0.0.0:4001")
			first := "tcp://" + strings.Trim(one.Expect("record [tcp://"), "]")
			other := serveOn(l, "lan-a2", "tcp://0.0.0.0:4001")
			second := "tcp://" + strings.Trim(other.Expect("record [tcp://"), "]")
			if first == second {
				t.Fatalf("both have %s", first)
			}
			reach(t, outside, first, time.Now())
			reach(t, outside, second, time.Now())
			one.leave(t)
			if left := mappings(l); strings.Count(left, "dnat") != 1 || !strings.Contains(left, "192.168.101.3:") {
				t.Errorf("when the first has ended the router has\n%s", left)
			}
			other.leave(t)
		})
	}
}

// A router that says no to one port and yes to another; one that has no public address; one that is not there yet.
func TestReluctant(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		l := lab.Require(t, "NATLAB_IGD_A=enable_natpmp=no") // by NAT-PMP it gives another port instead
		inside := serveOn(l, "lan-a", "tcp://0.0.0.0:443", "tcp://0.0.0.0:4001")
		if got := inside.Expect("event mapping refused "); !strings.Contains(got, "tcp/443") {
			t.Errorf("refused: %s", got)
		}
		inside.Expect("record [tcp://25.64.0.10:4001]")
		inside.End()
	})
	t.Run("carrier-grade NAT", func(t *testing.T) {
		t.Parallel()
		l := lab.Require(t, "NATLAB_WAN=100.64.7")
		inside := serveOn(l, "lan-a", "tcp://0.0.0.0:4001")
		inside.Expect("event no public address")
		inside.End()
		if left := mappings(l); left != "" {
			t.Errorf("the router has\n%s", left)
		}
	})
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		l := lab.Require(t)
		l.Do("gw", "a", "stop")
		inside := serveOn(l, "lan-a", "tcp://0.0.0.0:4001")
		inside.Expect("ready")
		l.Do("gw", "a", "start")
		inside.Expect("record [tcp://25.64.0.10:4001]")
		inside.End()
	})
}
