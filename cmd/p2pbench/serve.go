package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/process"
)

type serveCommand struct {
	Driver  string `help:"What to serve: ${drivers}; ${driver} if nothing is said." default:"${driver}" placeholder:"NAME"`
	Listen  string `help:"Address for load." default:"127.0.0.1:4001" placeholder:"IP:PORT"`
	Control string `help:"Address for questions about what arrived and what it cost; none: it cannot be asked." default:"127.0.0.1:4002" placeholder:"IP:PORT"`

	HTTP string `name:"http" help:"Address to watch the node at in a browser, /debug, and for Prometheus, /metrics; none: neither. The carrier driver only." placeholder:"IP:PORT"`

	AllowRemote bool `help:"Listen on addresses that others can reach. Whoever reaches the control address can reset the counts."`

	Child bool `hidden:"" help:"Speak control lines on standard input and output, and end with the input."`
	Conns int  `hidden:"" help:"Connections to expect."`
	Idle  bool `hidden:"" help:"Expect them to be idle."`
	Storm bool `hidden:"" help:"Expect them to shake hands as fast as they can."`
	Fan   bool `hidden:"" help:"Expect everybody to be told the same."`
	Churn bool `hidden:"" help:"Expect them to come and go."`

	Profile string `help:"Write a CPU profile to PREFIX-serving.pprof at the end." placeholder:"PREFIX"`
}

func (serveCommand) Help() string {
	return `Prints the command line that loads it from another terminal, and serves until interrupted. With --http, as in the third example,
the node can be watched at http://127.0.0.1:4003/debug.

  p2pbench serve --driver tls
  p2pbench rpc --driver tls --target 127.0.0.1:4001 --control 127.0.0.1:4002

  p2pbench serve --http 127.0.0.1:4003`
}

func (c *serveCommand) Run(a *app) error {
	d, err := driver.ByName(c.Driver)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	for _, addr := range []string{c.Listen, c.Control, c.HTTP} {
		if err := c.reachable(addr); err != nil {
			return err
		}
	}
	profiled, err := startProfile(c.Profile, "serving")
	if err != nil {
		return err
	}
	defer profiled()
	shape := load.Shape{Conns: c.Conns, Idle: c.Idle, Storm: c.Storm, Churn: c.Churn, Fan: c.Fan}
	if c.Child {
		// An interrupt at the terminal reaches the whole process group; the parent still has questions.
		signal.Ignore(os.Interrupt)
		return process.Serve(d, c.Listen, shape, a.stdin, a.stdout)
	}
	sink := load.NewSink(load.NewPattern())
	server, err := d.Serve(c.Listen, shape, sink)
	if err != nil {
		return err
	}
	defer server.Close()
	if c.HTTP != "" {
		at, stop, err := watch(c.HTTP, server)
		if err != nil {
			return err
		}
		defer stop()
		fmt.Fprintf(a.stderr, "watch it at http://%s/debug, metrics at http://%s/metrics\n", at, at)
	}
	ready := load.Ready{Driver: d.Name(), Address: server.Addr()}
	return c.serveOpenly(a, ready, sink)
}

// reachable refuses addresses beyond this machine unless they were asked for.
func (c *serveCommand) reachable(addr string) error {
	if addr == "" || c.AllowRemote {
		return nil
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("%w: address %q: want IP:PORT", errUsage, addr)
	}
	if !at.Addr().IsLoopback() {
		return fmt.Errorf("%w: %s can be reached by others; say --allow-remote if that is meant", errUsage, addr)
	}
	return nil
}

func (c *serveCommand) serveOpenly(a *app, ready load.Ready, sink *load.Sink) error {
	try := fmt.Sprintf("p2pbench rpc --driver %s --target %s", ready.Driver, ready.Address)
	if c.Control != "" {
		listener, err := net.Listen("tcp", c.Control)
		if err != nil {
			return err
		}
		defer listener.Close()
		try += " --control " + listener.Addr().String()
		go serveQuestions(a.ctx, listener, ready, sink)
	}
	fmt.Fprintf(a.stdout, "serving %s on %s\nload it with: %s\n", ready.Driver, ready.Address, try)
	<-a.ctx.Done()
	return nil // being told to end is how it ends
}

// serveQuestions answers one connection after the other: two who reset each other's counts would both be misled.
func serveQuestions(ctx context.Context, listener net.Listener, ready load.Ready, sink *load.Sink) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		if load.WriteReady(conn, ready) == nil {
			_ = load.ServeControl(conn, conn, sink) // the other side sees how it ended
		}
		stop()
		_ = conn.Close()
	}
}
