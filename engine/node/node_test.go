package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

func TestMain(m *testing.M) {
	enginetest.VerifyMain(m)
}

func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// easy is a network without proof of work.
func easy(c node.Config) node.Config {
	c.Puzzle, c.WeakPuzzle = &identity.Puzzle{}, true
	return c
}

// The identity is made and saved on the first start and is the same on the next.
func TestIdentityFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.id")
	first, err := node.New(easy(node.Config{IdentityFile: path}))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info, err)
	}
	second, err := node.New(easy(node.Config{IdentityFile: path}))
	if err != nil {
		t.Fatal(err)
	}
	if first.ID() != second.ID() {
		t.Error("another identity on the second start")
	}
	if err := os.WriteFile(path, []byte("not an identity"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.New(easy(node.Config{IdentityFile: path})); err == nil {
		t.Error("a damaged file is replaced in silence")
	}
}

// Who may read the identity file but should not is said, and the node runs; and what the overlay's components have to say comes to
// the same log.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	cfg := easy(node.Config{IdentityFile: filepath.Join(dir, "node.id"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := node.New(cfg); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o600, 0o640, 0o604} {
		log.Reset()
		if err := os.Chmod(cfg.IdentityFile, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := node.New(cfg); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(log.String(), "node.id"); said != (mode != 0o600) {
			t.Errorf("mode %04o: the log says %q", mode, &log)
		}
	}
	cfg.Overlay = &node.Overlay{}
	cfg.Overlay.Discovery.StoreFile = dir // not a file
	n, err := node.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(brief(t)); err != nil {
		t.Fatal(err)
	}
	if err := n.Shutdown(brief(t)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "nothing will be kept") {
		t.Errorf("the log says %q", &log)
	}
}

// Two nodes talk, the keepalive is there, and everything ends.
func TestTwoNodes(t *testing.T) {
	server, err := node.New(easy(node.Config{Listen: []string{"tcp://127.0.0.1:0"}}))
	if err != nil {
		t.Fatal(err)
	}
	client, err := node.New(easy(node.Config{Loops: 1}))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*engine.Network{server, client} {
		if _, ok := engine.ComponentOf[*keepalive.Component](n); !ok {
			t.Error("no keepalive")
		}
		if err := n.Start(brief(t)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.Shutdown(brief(t)); err != nil {
				t.Error(err)
			}
		})
	}
	p, err := client.Dial(brief(t), server.Target().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Ping(brief(t)); err != nil {
		t.Error(err)
	}
	if rec := server.Record(); len(rec.Addrs) != 1 || rec.Addrs[0] != server.Addrs()[0] {
		t.Errorf("the record shows %v", rec.Addrs)
	}
}

// All that is wrong with any part is said at once, and a weak puzzle has to be meant.
func TestBadConfig(t *testing.T) {
	_, err := node.New(easy(node.Config{
		Listen: []string{"nonsense", "tcp://127.0.0.1:0", "tcp://localhost:4001", "udp://127.0.0.1:0"}, Advertise: []string{"tcp://:x"},
		Loops: -1, Peers: engine.PeerLimits{All: -4}, Relay: proxy.Config{Reservations: -1},
		Reconnect: &backoff.Config{First: -1}, Overlay: &node.Overlay{
			Bootstrap: []string{"nobody"}, Broadcast: broadcast.Config{Spread: spread.Config{Rounds: -1}},
			Routed: overlay.Config{Copies: -1}, Reach: reach.Config{Voters: 1},
		},
		Engine: func(c *engine.Config) { c.Memory = 5 },
	}))
	if !errors.Is(err, transport.ErrAddress) {
		t.Errorf("%v", err)
	}
	for _, part := range []string{`Listen: transport: not an address: "nonsense"`, "want an IP address and a port", "udp", "Advertise", "Loops -1",
		"Peers.All", "Memory", "backoff:", "discovery:", "Rounds", "Copies", "Voters", "proxy:"} {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("%q is not in:\n%v", part, err)
		}
	}
	none := node.Config{IdentityFile: t.TempDir()}
	if _, err := node.New(easy(none)); err == nil || strings.Contains(err.Error(), "missing") {
		t.Errorf("an identity that cannot be read: %v", err)
	}
	if _, err := node.New(node.Config{Puzzle: &identity.Puzzle{}}); err == nil || !strings.Contains(err.Error(), "WeakPuzzle") {
		t.Errorf("a weak puzzle: %v", err)
	}
}

// Nodes with an Overlay find each other, broadcast and send to each other by ID; what is wrong with its parts is said by
// New.
func TestOverlay(t *testing.T) {
	ctx := brief(t)
	heard, told := make(chan broadcast.Message, 8), make(chan overlay.Message, 8)
	var nodes []*engine.Network
	for i := range 3 {
		o := &node.Overlay{Scope: skad.Private, Broadcast: broadcast.Config{Deliver: broadcast.To(heard)}, Routed: overlay.Config{Deliver: overlay.To(told)}}
		if i > 0 {
			o.Bootstrap = []string{engine.Target{Addr: nodes[i-1].Addrs()[0], ID: nodes[i-1].ID()}.String()}
		}
		n, err := node.New(easy(node.Config{Listen: []string{"tcp://127.0.0.1:0"}, Overlay: o}))
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Start(ctx); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = n.Shutdown(ctx) }()
		nodes = append(nodes, n)
		if d, ok := engine.ComponentOf[*discovery.Component](n); !ok {
			t.Fatal("no discovery")
		} else if i > 0 {
			if err := d.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	cast, _ := engine.ComponentOf[*broadcast.Component](nodes[2])
	if _, err := cast.Broadcast(ctx, []byte("everybody")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case m := <-heard:
			if string(m.Payload) != "everybody" || m.Origin != nodes[2].ID() {
				t.Errorf("heard %+v", m)
			}
		case <-ctx.Done():
			t.Fatal("not everybody has heard it")
		}
	}
	routed, _ := engine.ComponentOf[*overlay.Component](nodes[0])
	if err := routed.SendTo(ctx, nodes[2].ID(), []byte("you")); err != nil {
		t.Error(err)
	} else if m := <-told; string(m.Payload) != "you" || m.Origin != nodes[0].ID() {
		t.Errorf("told %+v", m)
	}
	for want, o := range map[error]*node.Overlay{
		discovery.ErrConfig: {Bootstrap: []string{"nowhere"}},
		spread.ErrConfig:    {Broadcast: broadcast.Config{Spread: spread.Config{Rounds: -1}}},
		overlay.ErrConfig:   {Routed: overlay.Config{Copies: -1}},
	} {
		if _, err := node.New(easy(node.Config{Overlay: o})); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
