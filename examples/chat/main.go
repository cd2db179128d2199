// Command chat is a conversation between terminals over direct connections.
//
//	go run ./examples/chat                                         prints the line to type on the other side, and waits
//	go run ./examples/chat tcp://<id>@198.51.100.7:4001            joins
//
// Every line typed goes to all who are connected to this node. There is no server: who is dialled and who dials is the same
// program. The address holds the identity of the node, so nobody else can answer in its place. examples/overlaychat is a chat
// among nodes that are not all connected to each other.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"
	"unicode"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/node"
)

// A Line is what somebody typed.
type Line struct{ Text string }

const opLine = 1000

func main() {
	listen := flag.String("listen", "tcp://127.0.0.1:0", "address to listen on; port 0 takes any")
	file := flag.String("identity", "", "file that keeps who this node is; none: somebody new each time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := chat(ctx, node.Config{Listen: []string{*listen}, IdentityFile: *file}, flag.Args(), os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// chat runs one side of the conversation until its input or ctx ends.
func chat(ctx context.Context, cfg node.Config, join []string, in io.Reader, out io.Writer) error {
	net, err := node.New(cfg)
	if err != nil {
		return err
	}
	room := &room{news: make(chan string, 64)}
	if err := engine.Handle(net, opLine, func(ctx *engine.ComponentContext, line *Line) error {
		room.tell("%s: %s", ctx.Client().ID().Short(), printable(line.Text))
		return nil
	}); err != nil {
		return err
	}
	if err := net.AddComponent(room); err != nil {
		return err
	}
	if err := net.Start(ctx); err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = net.Shutdown(end) // whoever does not hang up in time is cut off
	}()
	for _, target := range join {
		if _, err := net.Dial(ctx, target); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "others join with: go run ./examples/chat %v\n", net.Target())
	typed := make(chan string)
	go read(ctx, in, typed)
	for {
		select {
		case news := <-room.news:
			fmt.Fprintln(out, news)
		case line, more := <-typed:
			if !more {
				return nil
			}
			if _, err := net.Broadcast(&Line{line}); err != nil {
				fmt.Fprintf(out, "not sent: %v\n", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// read sends what is typed, line by line, until in or ctx ends. A read that waits for a terminal cannot be called off; it
// ends with the program.
func read(ctx context.Context, in io.Reader, typed chan<- string) {
	defer close(typed)
	for s := bufio.NewScanner(in); s.Scan(); {
		select {
		case typed <- s.Text():
		case <-ctx.Done():
			return
		}
	}
}

// printable takes out what a stranger could do to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}

// A room is the component that tells what happens. Its callbacks run on event loops, where nothing may block, and a
// terminal may: so they hand their news on, and drop them when nobody has looked for 64 lines.
type room struct {
	engine.Component
	news chan string
}

func (r *room) PeerConnect(p *engine.PeerClient) { r.tell("* %s is here", p.ID().Short()) }

func (r *room) PeerDisconnect(p *engine.PeerClient) { r.tell("* %s has left", p.ID().Short()) }

func (r *room) tell(format string, args ...any) {
	select {
	case r.news <- fmt.Sprintf(format, args...):
	default:
	}
}
