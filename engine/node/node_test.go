package node_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
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
	p, err := client.Dial(brief(t), engine.Target{Addr: server.Addrs()[0], ID: server.ID()}.String())
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

// All that is wrong with the addresses is said at once, and a weak puzzle has to be meant.
func TestBadConfig(t *testing.T) {
	_, err := node.New(node.Config{Listen: []string{"nonsense", "tcp://127.0.0.1:0"}, Advertise: []string{"tcp://:x"}})
	if !errors.Is(err, transport.ErrAddress) || !strings.Contains(err.Error(), "Listen") || !strings.Contains(err.Error(), "Advertise") {
		t.Errorf("%v", err)
	}
	if _, err := node.New(node.Config{Puzzle: &identity.Puzzle{}}); err == nil || !strings.Contains(err.Error(), "WeakPuzzle") {
		t.Errorf("a weak puzzle: %v", err)
	}
}
