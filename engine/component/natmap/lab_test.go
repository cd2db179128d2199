package natmap_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/natmap"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) {
	lab.Helpers(map[string]lab.Helper{"serve": serve, "dial": dial})
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

// A book says which addresses it is told, as an address map would.
type book struct{ engine.Component }

func (book) SetMapped(_, external []transport.Addr) { fmt.Println("mapped", external) }

func labNode(seed byte, listen ...string) (*engine.Network, error) {
	id, err := identity.FromSeed(context.Background(), [32]byte{seed}, identity.Puzzle{})
	if err != nil {
		return nil, err
	}
	return node.New(node.Config{Identity: id, Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
}

// serve is a node behind a router.
func serve(ctx context.Context, _ <-chan string, listen ...string) error {
	n, err := labNode(1, listen...)
	if err != nil {
		return err
	}
	for _, c := range []engine.ComponentInterface{book{}, &natmap.Component{}} {
		if err := n.AddComponent(c); err != nil {
			return err
		}
	}
	go func() {
		for e := range n.Events(context.Background()) {
			if e.Kind == engine.Reachability {
				fmt.Println("event", e.Text)
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

// reach waits until addr answers a dialler on the public side, and reports how long that took since began.
func reach(t *testing.T, outside *lab.Process, addr string, began time.Time) time.Duration {
	t.Helper()
	said := ""
	for time.Since(began) < time.Minute {
		outside.Say("tcp://%s", addr)
		if said = outside.Expect("dialled "); strings.HasPrefix(said, "true") {
			return time.Since(began)
		}
	}
	t.Fatalf("%s cannot be reached after a minute: %s", addr, said)
	return 0
}

// A node on the inside is reachable from outside within five seconds of its start, over each protocol and against both
// versions of the device; at its end nothing of it is left in the router.
func TestReachable(t *testing.T) {
	for _, c := range []struct {
		name, lan, external string
		vars                []string
		via                 string
	}{
		{"NAT-PMP and UPnP", "lan-a", "25.64.0.10", nil, "NAT-PMP"},
		{"UPnP 2", "lan-a", "25.64.0.10", []string{"NATLAB_IGD_A=enable_natpmp=no"}, "UPnP"},
		{"UPnP 1", "lan-b", "25.64.0.20", []string{"NATLAB_IGD_B=enable_natpmp=no;force_igd_desc_v1=yes"}, "UPnP"},
		{"NAT-PMP", "lan-a", "25.64.0.10", []string{"NATLAB_IGD_A=enable_upnp=no"}, "NAT-PMP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lab.Require(t, c.vars...)
			outside := l.Start("wan", "dial")
			began := time.Now()
			inside := l.Start(c.lan, "serve", "tcp://0.0.0.0:4001")
			if got := inside.Expect("event mapped "); !strings.HasPrefix(got, "("+c.via) {
				t.Errorf("mapped %s, want %s", got, c.via)
			}
			took := reach(t, outside, c.external+":4001", began)
			t.Logf("reachable after %v", took)
			if took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			inside.End()
			if left := mappings(l); left != "" {
				t.Errorf("left in the routers:\n%s", left)
			}
		})
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
