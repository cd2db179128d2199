package quicio_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/quicio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

const opEcho = 1000

// labNode is a node of the lab: QUIC beside TCP, no proof of work.
func labNode(listen ...string) (*engine.Network, error) {
	return node.New(node.Config{
		Listen: listen, Transports: []transport.Transport{quicio.New(quicio.Config{})}, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
		Engine: func(c *engine.Config) { c.HandshakeTimeout = time.Minute }, // a machine may stand still for a while
	})
}

// echoes answers requests and says who comes and goes.
type echoes struct{ engine.Component }

func (echoes) PeerConnect(p *engine.PeerClient)    { fmt.Println("up", p.RemoteAddr()) }
func (echoes) PeerDisconnect(p *engine.PeerClient) { fmt.Println("down", p.CloseReason()) }
func (echoes) Receive(ctx *engine.ComponentContext) error {
	return ctx.ReplyRaw(opEcho, ctx.Payload())
}

// labServe is the helper that is dialled.
func labServe(ctx context.Context, _ <-chan string, args ...string) error {
	n, err := labNode(args[0])
	if err == nil {
		err = n.AddComponent(echoes{}, engine.Opcodes(opEcho))
	}
	if err == nil {
		err = n.Start(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Println("ready", n.Target())
	<-ctx.Done()
	return n.Shutdown(context.Background())
}

// labDial is the helper that dials and sends each line it is told as a request.
func labDial(ctx context.Context, lines <-chan string, args ...string) error {
	n, err := labNode()
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
		asking, cancel := context.WithTimeout(ctx, time.Minute)
		_, answer, err := p.RequestRaw(asking, opEcho, []byte(line), nil)
		cancel()
		fmt.Printf("answer %s %v\n", answer, err)
	}
	return nil
}

// A QUIC connection out of a home network lives through what such networks do: every kind of NAT, lost and late packets, a
// router that forgets its bindings, and one that is given another address.
func TestThroughNATs(t *testing.T) {
	for _, kind := range []string{"cone", "symmetric"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := lab.Require(t, "NATLAB_NAT_A="+kind)
			server := l.Start("wan", "serve", "quic://25.64.0.1:4001")
			client := l.Start("lan-a", "dial", server.Expect("ready "))
			client.Expect("open ")
			if from := server.Expect("up "); !strings.HasPrefix(from, "quic://"+l.Env("NATLAB_ROUTER_A_PUBLIC")+":") {
				t.Errorf("the server sees %s", from)
			}
			ask := func(what string) {
				t.Helper()
				client.Say("%s", what)
				if got := client.Expect("answer "); got != what+" <nil>" {
					t.Fatalf("asked %s: %s", what, got)
				}
			}
			ask("first")
			l.Fault("loss", "wan", "20")
			for i := range 10 {
				ask(fmt.Sprintf("loss-%d", i))
			}
			l.Fault("clear", "wan")
			l.Do("forget", "a")
			ask("forgotten")
			l.Do("renumber", "a", "11")
			ask("renumbered")
			client.End()
			if why := server.Expect("down "); !strings.Contains(why, "shutdown") {
				t.Errorf("the connection ended before its time: %s", why)
			}
		})
	}
}
