// Command overlaychat is a conversation among any number of terminals that are not all connected with each other.
//
//	go run ./examples/overlaychat -name ann                                     prints the line to type elsewhere, and waits
//	go run ./examples/overlaychat -name bob tcp://<id>@127.0.0.1:41234          joins
//
// A line that is typed is broadcast to every node of the overlay. "/to ann hello" goes to one node, over others if need
// be, and says whether it was received; "/who" lists who has spoken. It does not matter through which node one joins, nor
// whether that one stays: everybody finds the others and keeps the connections that the overlay needs.
//
// docs/overlay.md walks through it.
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

func main() {
	name := flag.String("name", "somebody", "what the others call you")
	listen := flag.String("listen", "tcp://127.0.0.1:0", "address to listen on; port 0 takes any")
	file := flag.String("identity", "", "file that keeps who this node is; none: somebody new each time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg := node.Config{Listen: []string{*listen}, IdentityFile: *file}
	fmt.Println("* making an identity takes a second or two")
	if err := chat(ctx, cfg, *name, flag.Args(), os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// A side is one side of the conversation. Only the goroutine in talk touches it, except report.
type side struct {
	name    string
	out     io.Writer
	net     *engine.Network
	all     *broadcast.Component
	one     *overlay.Component
	public  chan broadcast.Message
	private chan overlay.Message
	outcome chan string
	known   []person
}

// A person is somebody who has spoken.
type person struct {
	id   identity.ID
	name string
}

// chat runs one side until its input or ctx ends.
func chat(ctx context.Context, cfg node.Config, name string, join []string, in io.Reader, out io.Writer) error {
	s := &side{name: name, out: out, public: make(chan broadcast.Message, 64), private: make(chan overlay.Message, 64), outcome: make(chan string, 64)}
	cfg.Overlay = &node.Overlay{
		Bootstrap: join,
		Scope:     skad.Private, // addresses of this machine and this network count
		Broadcast: broadcast.Config{Deliver: broadcast.To(s.public)},
		Routed:    overlay.Config{Deliver: overlay.To(s.private)},
	}
	var err error
	if s.net, err = node.New(cfg); err != nil {
		return err
	}
	s.all, _ = engine.ComponentOf[*broadcast.Component](s.net)
	s.one, _ = engine.ComponentOf[*overlay.Component](s.net)
	if err := s.net.Start(ctx); err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = s.net.Shutdown(end) // whoever does not hang up in time is cut off
	}()
	if len(join) > 0 {
		disc, _ := engine.ComponentOf[*discovery.Component](s.net)
		for !joined(ctx, disc) {
			if ctx.Err() != nil {
				return nil
			}
			fmt.Fprintf(out, "* nobody answers at %s; still trying\n", strings.Join(join, ", "))
		}
		fmt.Fprintf(out, "* joined; known so far: %d\n", disc.View().Len())
	}
	fmt.Fprintf(out, "* others join with: go run ./examples/overlaychat -name you %v\n", s.net.Target())
	return s.talk(ctx, in)
}

// sayNothingFor is how long somebody who waits is left without a word.
const sayNothingFor = 5 * time.Second

// joined waits a while for the node to join.
func joined(ctx context.Context, disc *discovery.Component) bool {
	ctx, cancel := context.WithTimeout(ctx, sayNothingFor)
	defer cancel()
	return disc.Wait(ctx) == nil
}

// talk shows what comes and sends what is typed.
func (s *side) talk(ctx context.Context, in io.Reader) error {
	typed := make(chan string)
	go read(ctx, in, typed)
	for {
		select {
		case m := <-s.public:
			s.show(m.Origin, m.Payload, "")
		case m := <-s.private:
			s.show(m.Origin, m.Payload, " (to you)")
		case text := <-s.outcome:
			fmt.Fprintln(s.out, text)
		case line, more := <-typed:
			if !more {
				return nil
			}
			s.say(line)
		case <-ctx.Done():
			return nil
		}
	}
}

// read passes on what is typed, line by line, until in or ctx ends. A read that waits for a terminal cannot be called off;
// it ends with the program.
func read(ctx context.Context, in io.Reader, typed chan<- string) {
	defer close(typed)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		select {
		case typed <- lines.Text():
		case <-ctx.Done():
			return
		}
	}
}

// A message is "name\x00text". Its origin is proven, the name is only what it says of itself.
func (s *side) message(text string) []byte { return fmt.Appendf(nil, "%s\x00%s", s.name, text) }

func (s *side) show(from identity.ID, payload []byte, how string) {
	name, text, ok := bytes.Cut(payload, []byte{0})
	if !ok {
		return
	}
	p := person{from, printable(name)}
	if i := slices.IndexFunc(s.known, func(k person) bool { return k.id == from }); i >= 0 {
		s.known[i] = p
	} else if len(s.known) < 1000 {
		s.known = append(s.known, p)
	}
	fmt.Fprintf(s.out, "%s·%s%s: %s\n", p.name, from.Short()[:4], how, printable(text))
}

// printable takes out what a stranger could do to a terminal.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, string(b))
}

// say does what a line says.
func (s *side) say(line string) {
	to, text, private := strings.Cut(strings.TrimPrefix(line, "/to "), " ")
	switch {
	case line == "":
	case line == "/who":
		for _, p := range s.known {
			fmt.Fprintf(s.out, "* %s·%s\n", p.name, p.id.Short()[:4])
		}
	case strings.HasPrefix(line, "/to ") && private:
		s.tell(to, text)
	case strings.HasPrefix(line, "/"):
		fmt.Fprintln(s.out, "* there are: /to NAME TEXT, and /who")
	default:
		// Whoever speaks faster than others would pass on is told so; Broadcast would wait.
		err := s.all.BroadcastAsync(s.message(line), func(_ spread.MessageID, err error) {
			if err != nil {
				s.report("* not sent: %v", err)
			}
		})
		if err != nil {
			s.report("* not sent: %v", err)
		}
	}
}

// tell sends to one person.
func (s *side) tell(name, text string) {
	i := slices.IndexFunc(s.known, func(p person) bool { return p.name == name })
	if i < 0 {
		fmt.Fprintf(s.out, "* %s has not spoken yet\n", name)
		return
	}
	err := s.one.SendToAsync(s.known[i].id, s.message(text), func(err error) {
		if err != nil {
			s.report("* %s was not reached: %v", name, err)
			return
		}
		s.report("* %s has got it", name)
	})
	if err != nil {
		s.report("* not sent: %v", err)
	}
}

// report has something shown. It is called on event loops too, where nothing may wait, and a terminal may be slow.
func (s *side) report(format string, args ...any) {
	select {
	case s.outcome <- fmt.Sprintf(format, args...):
	default:
	}
}
