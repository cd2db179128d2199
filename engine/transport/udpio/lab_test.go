package udpio_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

const opEcho = 1000

// labNode is a node of the lab: UDP alone, no proof of work.
func labNode(listen ...string) (*engine.Network, error) {
	return node.New(node.Config{Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Engine: func(c *engine.Config) {
		c.Transport = udpio.New(udpio.Config{})
		for _, at := range listen {
			c.Listen = append(c.Listen, transport.Addr{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort(at)})
		}
	}})
}

// echoes answers requests and says who comes and goes.
type echoes struct {
	engine.Component
	mu   sync.Mutex
	last *engine.PeerClient
}

func (e *echoes) PeerConnect(p *engine.PeerClient) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = p
	fmt.Println("up", p.RemoteAddr())
}
func (e *echoes) PeerDisconnect(p *engine.PeerClient) { fmt.Println("down", p.CloseReason()) }
func (e *echoes) Receive(ctx *engine.ComponentContext) error {
	return ctx.ReplyRaw(opEcho, ctx.Payload())
}

func (e *echoes) peer() *engine.PeerClient {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

// ask makes a request again and again, as it and its answer may be lost, and says how that ended.
func ask(ctx context.Context, p *engine.PeerClient, line string) {
	var err error
	for range 120 {
		var answer []byte
		asking, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		_, answer, err = p.RequestRaw(asking, opEcho, []byte(line), nil)
		cancel()
		if err == nil {
			fmt.Printf("answer %s from %v\n", answer, p.RemoteAddr())
			return
		}
	}
	fmt.Println("answer none:", err)
}

// labServe is the helper that is dialled. Each line it is told it asks of the peer that came last.
func labServe(ctx context.Context, lines <-chan string, args ...string) error {
	n, err := labNode(args[0])
	all := &echoes{}
	if err == nil {
		err = n.AddComponent(all, engine.Opcodes(opEcho))
	}
	if err == nil {
		err = n.Start(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Println("ready", n.Target())
	for line := range lines {
		ask(ctx, all.peer(), line)
	}
	return n.Shutdown(context.Background())
}

// labDial is the helper that dials, and asks each line it is told.
func labDial(ctx context.Context, lines <-chan string, args ...string) error {
	n, err := labNode()
	if err == nil {
		err = n.AddComponent(&echoes{}, engine.Opcodes(opEcho))
	}
	if err == nil {
		err = n.Start(ctx)
	}
	if err != nil {
		return err
	}
	defer n.Shutdown(context.Background())
	p, err := n.Dial(ctx, args[0])
	if err != nil {
		return err
	}
	fmt.Println("open", p.RemoteAddr())
	for line := range lines {
		ask(ctx, p, line)
	}
	return nil
}

// labCrowd is the helper whose many nodes dial, some at once, each until it is connected. It says how long each took, in
// milliseconds, and in how many dials.
func labCrowd(ctx context.Context, _ <-chan string, args ...string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	turns := make(chan struct{}, 8)
	failed := make(chan error, count)
	for range count {
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			failed <- dialUntil(ctx, args[0])
		}()
	}
	for range count {
		err = errors.Join(err, <-failed)
	}
	return err
}

// dialUntil is one of the crowd.
func dialUntil(ctx context.Context, to string) error {
	n, err := labNode()
	if err == nil {
		err = n.Start(ctx)
	}
	if err != nil {
		return err
	}
	defer n.Shutdown(context.Background())
	began := time.Now()
	for dials := 1; ; dials++ {
		_, err := n.Dial(ctx, to)
		if err == nil {
			fmt.Println("took", time.Since(began).Milliseconds(), dials)
			return nil
		}
		if dials == 5 {
			return err
		}
	}
}

// A connection over UDP out of a home network: keepalives hold a binding that the router would forget, so that the node outside
// can ask; a router that forgets all bindings, and one that is given another address, are survived by a move, with the
// connection that there was.
func TestThroughNATs(t *testing.T) {
	for _, kind := range []string{"port", "symmetric"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := lab.Require(t, "NATLAB_NAT_A="+kind)
			server := l.Start("wan", "serve", "25.64.0.1:4001")
			client := l.Start("lan-a", "dial", server.Expect("ready "))
			client.Expect("open ")
			router := "udp://" + l.Env("NATLAB_ROUTER_A_PUBLIC") + ":"
			if from := server.Expect("up "); !strings.HasPrefix(from, router) {
				t.Errorf("the server sees %s", from)
			}
			asks := func(who *lab.Process, what string) (from string) {
				t.Helper()
				who.Say("%s", what)
				said := who.Expect("answer ")
				if !strings.HasPrefix(said, what+" from ") {
					t.Fatalf("asked %s: %s", what, said)
				}
				return strings.TrimPrefix(said, what+" from ")
			}
			asks(client, "first")
			if kind == "port" {
				l.Do("udp-timeout", "a", "25")
				time.Sleep(40 * time.Second) // how long it is quiet is what the test is about
				if from := asks(server, "held"); !strings.HasPrefix(from, router) {
					t.Errorf("the client is said to be at %s", from)
				}
			}
			l.Fault("loss", "wan", "20")
			for i := range 10 {
				asks(client, fmt.Sprintf("loss-%d", i))
			}
			l.Fault("clear", "wan")
			l.Do("forget", "a")
			asks(client, "forgotten")
			l.Do("renumber", "a", "11")
			asks(client, "renumbered")
			if from := asks(server, "moved"); !strings.HasPrefix(from, "udp://25.64.0.11:") {
				t.Errorf("the client is said to be at %s", from)
			}
			client.End()
			if why := server.Expect("down "); !strings.Contains(why, "shutdown") {
				t.Errorf("the connection ended before its time: %s", why)
			}
		})
	}
}

// Handshakes come about through a real network that loses 30 % each way, and through one that doubles and shuffles, nearly all
// of them with the first dial. How soon is for a test with a clock of its own (TestHandshakeThroughLoss in package engine).
func TestThroughFaults(t *testing.T) {
	const count = 100
	for name, weather := range map[string][]string{
		"loss":               {"-delay", "10ms", "-loss", "30"},
		"doubled, reordered": {"-delay", "10ms", "-jitter", "10ms", "-dup", "20", "-reorder", "20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lab.Require(t)
			server := l.Start("wan", "serve", "25.64.0.1:4001")
			at := server.Expect("ready ")
			l.Fault(append([]string{"wire", "a"}, weather...)...)
			crowd := l.Start("lan-a", "crowd", at, strconv.Itoa(count))
			again, worst := 0, 0
			for range count {
				var ms, dials int
				if _, err := fmt.Sscan(crowd.Expect("took "), &ms, &dials); err != nil {
					t.Fatal(err)
				}
				if worst = max(worst, ms); dials > 1 {
					again++
				}
			}
			crowd.End()
			t.Logf("the slowest of %d took %d ms; %d had to dial again", count, worst, again)
			if again > count/4 { // one in a thousand, and those that a machine that is held up keeps from their answers
				t.Errorf("%d of %d dials failed", again, count)
			}
		})
	}
}
