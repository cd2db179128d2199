package docs_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// The messages of the examples.
const (
	opSay opcode.Opcode = 1000 + iota
	opQuestion
	opAnswer
	opSwitch
)

type (
	Question struct{ N uint32 }
	Answer   struct{ Square uint64 }
)

// A greeter welcomes whoever connects and counts what they say.
type greeter struct {
	engine.Component // no-ops for the callbacks that do not matter here
	heard            atomic.Int64
}

// Opcodes: without it the component would see every message.
func (g *greeter) Opcodes() []opcode.Opcode { return []opcode.Opcode{opSay} }

func (g *greeter) PeerConnect(p *engine.PeerClient) {
	_ = p.TrySendRaw(opSay, []byte("welcome")) // never waits: this is the peer's event loop
}

func (g *greeter) Receive(ctx *engine.ComponentContext) error {
	g.heard.Add(1) // several loops may be here at once, for different peers
	_ = ctx.Client().TrySendRaw(opSay, ctx.Payload())
	return engine.ErrIntercepted // handled: no later component sees it
}

func Example_component() {
	ctx, server, client, done := pair()
	defer done()
	heard := make(listener, 2)
	check(client.AddComponent(heard))

	g := &greeter{}
	check(server.AddComponent(g, engine.Priority(-10))) // before those with a higher number
	peer := dial(ctx, client, server)
	check(peer.SendRaw(ctx, opSay, []byte("thank you")))
	fmt.Println(<-heard, <-heard, g.heard.Load())
	// Output: welcome thank you 1
}

// A listener hands on what is said.
type listener chan string

func (listener) Opcodes() []opcode.Opcode { return []opcode.Opcode{opSay, opSwitch} }

func (listener) Startup(*engine.Network)           {}
func (listener) Cleanup(*engine.Network)           {}
func (listener) PeerConnect(*engine.PeerClient)    {}
func (listener) PeerDisconnect(*engine.PeerClient) {}
func (l listener) Receive(c *engine.ComponentContext) error {
	l <- string(c.Payload()) // a copy: the payload is overwritten when Receive returns
	return nil
}

func Example_call() {
	ctx, server, client, done := pair()
	defer done()
	check(engine.Register[Answer](server, opAnswer))
	check(engine.Handle(server, opQuestion, func(ctx *engine.ComponentContext, q *Question) error {
		return ctx.Reply(&Answer{uint64(q.N) * uint64(q.N)})
	}))
	check(engine.Register[Question](client, opQuestion)) // both ends register the same types
	check(engine.Register[Answer](client, opAnswer))

	peer := dial(ctx, client, server)
	answer, err := engine.Call[*Answer](ctx, peer, &Question{12})
	check(err)
	fmt.Println(answer.Square)
	// Output: 144
}

func Example_async() {
	ctx, server, client, done := pair()
	defer done()
	register(server)
	register(client)
	check(engine.Handle(server, opQuestion, func(ctx *engine.ComponentContext, q *Question) error {
		return ctx.Reply(&Answer{uint64(q.N)})
	}))
	peer := dial(ctx, client, server)
	got := make(chan uint64, 1)

	err := peer.RequestAsync(&Question{7}, time.Second, func(ctx *engine.ComponentContext, err error) {
		if err != nil { // ErrReceiveTimeout, or how the connection ended
			close(got)
			return
		}
		var a Answer
		if ctx.Decode(&a) == nil {
			got <- a.Square
		}
	})
	check(err)
	fmt.Println(<-got)
	// Output: 7
}

// A slow component answers after work that takes a while.
type slow struct{ engine.Component }

func (slow) Opcodes() []opcode.Opcode { return []opcode.Opcode{opQuestion} }

func (slow) Receive(ctx *engine.ComponentContext) error {
	var q Question
	if err := ctx.Decode(&q); err != nil {
		return err
	}
	// A worker, not the loop: this may read a disk, or ask another peer and wait.
	return ctx.Reply(&Answer{uint64(q.N) + 1})
}

func Example_offload() {
	ctx, server, client, done := pair()
	defer done()
	register(server)
	register(client)
	check(server.AddComponent(engine.Offload(slow{}, 4)))

	peer := dial(ctx, client, server)
	answer, err := engine.Call[*Answer](ctx, peer, &Question{41})
	check(err)
	fmt.Println(answer.Square)
	// Output: 42
}

func Example_gate() {
	ctx, server, client, done := pair()
	defer done()
	check(server.AddComponent(switcher{}))
	heard := make(listener, 2)
	check(client.AddComponent(heard))
	peer := dial(ctx, client, server)

	gate, err := peer.LockOnReceive(ctx, opSwitch)
	check(err)
	check(peer.SendRaw(ctx, opSwitch, nil)) // the gate stands: the answer cannot slip through
	m, err := gate.Receive(ctx)
	check(err)
	fmt.Println(string(m.Payload), len(heard)) // what came behind it is held back
	gate.Unlock()
	fmt.Println(<-heard) // now it is delivered, in order
	// Output:
	// from here on 0
	// all is new
}

// A switcher changes what it says at a point that the other side asks for.
type switcher struct{ engine.Component }

func (switcher) Opcodes() []opcode.Opcode { return []opcode.Opcode{opSwitch} }

func (switcher) Receive(ctx *engine.ComponentContext) error {
	_ = ctx.Client().TrySendRaw(opSwitch, []byte("from here on"))
	_ = ctx.Client().TrySendRaw(opSay, []byte("all is new"))
	return engine.ErrIntercepted
}

func Example_stream() {
	ctx, server, client, done := pair()
	defer done()
	check(server.AddComponent(&echo{}))
	peer := dial(ctx, client, server)

	stream, err := peer.Stream() // a net.Conn
	check(err)
	check(stream.SetDeadline(time.Now().Add(time.Minute)))
	_, err = stream.Write([]byte("as if it were TCP"))
	check(err)
	buf := make([]byte, 17)
	_, err = io.ReadFull(stream, buf)
	check(err)
	fmt.Println(string(buf))
	// Output: as if it were TCP
}

// An echo opens the stream of every peer before the peer can write to it, and copies it back.
type echo struct{ engine.Component }

func (echo) Opcodes() []opcode.Opcode { return []opcode.Opcode{} }

func (echo) PeerConnect(p *engine.PeerClient) {
	stream, err := p.Stream()
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(stream, stream) }()
}

func Example_events() {
	ctx, server, client, done := pair()
	defer done()
	watch, stop := context.WithCancel(ctx)
	defer stop()
	events := server.Events(watch)

	dial(ctx, client, server).Disconnect(engine.CodeApplication+7, "enough")
	for up := true; up; {
		switch e := <-events; e.Kind {
		case engine.PeerUp:
			fmt.Println(e.Kind, e.ID == client.ID())
		case engine.PeerDown:
			fmt.Println(e.Kind, e.ID == client.ID(), e.Err)
			up = false
		}
	}
	// Output:
	// peer up true
	// peer down true engine: closed by the peer: code 1007: enough
}

// pair starts a node that listens and one that only dials; done ends both.
func pair() (ctx context.Context, server, client *engine.Network, done func()) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	server, client = start(ctx, "tcp://127.0.0.1:0"), start(ctx)
	return ctx, server, client, func() {
		check(client.Shutdown(ctx))
		check(server.Shutdown(ctx))
		cancel()
	}
}

// start runs a node whose identity took no work: for tests, and said so.
func start(ctx context.Context, listen ...string) *engine.Network {
	net, err := node.New(node.Config{Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
	check(err)
	check(net.Start(ctx))
	return net
}

func register(n *engine.Network) {
	check(engine.Register[Question](n, opQuestion))
	check(engine.Register[Answer](n, opAnswer))
}

func dial(ctx context.Context, from, to *engine.Network) *engine.PeerClient {
	peer, err := from.Dial(ctx, to.Target().String())
	check(err)
	return peer
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}
