package reach_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/lab"
	ready "github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// labNode is a whole node of an overlay.
func labNode(seed byte, cfg ready.Config) (*engine.Network, error) {
	id, err := identity.FromSeed(context.Background(), [32]byte{seed}, identity.Puzzle{})
	if err != nil {
		return nil, err
	}
	cfg.Identity, cfg.Puzzle, cfg.WeakPuzzle, cfg.Overlay = id, &identity.Puzzle{}, true, &ready.Overlay{}
	cfg.Engine = func(c *engine.Config) { c.HandshakeTimeout = time.Minute } // a machine may stand still for a while
	n, err := ready.New(cfg)
	if err != nil {
		return nil, err
	}
	return n, n.Start(context.Background())
}

// others are nodes on the public side, at these IP addresses.
func others(ctx context.Context, _ <-chan string, ips ...string) error {
	for i, ip := range ips {
		n, err := labNode(byte(10+i), ready.Config{Listen: []string{"tcp://" + ip + ":4001"}})
		if err != nil {
			return err
		}
		defer n.Shutdown(context.Background())
		fmt.Println("other", n.Target())
	}
	<-ctx.Done()
	return nil
}

// asks is a node that joins them. It says what it is whenever it is told something new about that.
func asks(ctx context.Context, _ <-chan string, args ...string) error {
	cfg := ready.Config{Listen: []string{"tcp://0.0.0.0:4001"}, MapPorts: args[0] == "map"}
	if args[0] == "advertise" {
		cfg.Advertise = []string{"tcp://25.64.0.10:4001"}
	}
	n, err := labNode(1, cfg)
	if err != nil {
		return err
	}
	defer n.Shutdown(context.Background())
	for _, target := range args[1:] {
		if _, err := n.Dial(ctx, target); err != nil {
			return err
		}
	}
	r, _ := engine.ComponentOf[*reach.Component](n)
	for e := range n.Events(ctx) {
		if e.Kind == engine.Reachability && strings.HasPrefix(e.Text, r.Reachability().Verdict.String()) {
			fmt.Printf("client %v: %v\n", r.Reachability().Client, e.Text)
		}
	}
	return nil
}

// Behind a home router a node is a client, whether it knows that nobody can dial it or believes that they can, and a server
// where the router opens a port: real kernels, a real router.
func TestBehindARouter(t *testing.T) {
	for _, c := range []struct{ name, how, says, count string }{
		{"no way in", "nothing", "client true: unreachable, ", "^nobody was asked$"},
		{"a way in that is none", "advertise", "client true: unreachable, ", "^0 of [34] networks came in$"},
		// Three have to agree; the fourth may have answered by then.
		{"a mapping", "map", "client false: reachable at tcp://25.64.0.10:4001, ", "^(3 of [34]|4 of 4) networks came in$"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := lab.Require(t)
			for _, ip := range four {
				if out, err := l.Exec("wan", "ip", "addr", "add", ip+"/32", "dev", "eth0"); err != nil {
					t.Fatal(out, err)
				}
			}
			wan := l.Start("wan", "others", four...)
			args := []string{c.how}
			for range four {
				args = append(args, wan.Expect("other "))
			}
			// A router that is slow to map leaves a node unreachable for a moment.
			if got := l.Start("lan-a", "asker", args...).Expect(c.says); !regexp.MustCompile(c.count).MatchString(got) {
				t.Errorf("%s%s, want %s", c.says, got, c.count)
			}
		})
	}
}
