package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/carrier-p2p/carrier/bench/swarm/host"
)

// A site is a host and the way to it. It belongs to the coordinating goroutine; call may be used by any.
type site struct {
	name    string
	client  *rpc.Client
	cmd     *exec.Cmd     // nil: inside this process
	out     io.Closer     // of cmd
	ended   chan struct{} // closed when the host is gone
	status  error         // how its process has ended; after ended
	unasked func(error)   // called when it ends although nobody wanted it to
	wanted  chan struct{} // closed when it is meant to end
	down    bool          // killed
}

// ServeChild is what a process that Config.Child starts does, and nothing else: it hosts nodes until its input ends. An
// interrupt at the terminal reaches the whole process group; the one who started this process hears it and decides.
func ServeChild() error {
	signal.Ignore(os.Interrupt)
	return host.Serve(stdio{os.Stdin, os.Stdout})
}

// stdio is a connection to whoever has started this process.
type stdio struct {
	io.Reader
	io.Writer
}

// Close implements io.Closer. The process ends anyway.
func (stdio) Close() error { return nil }

// newSite starts a host. unasked is called, once and by a goroutine, when it ends without having been asked to.
func newSite(name string, child func() *exec.Cmd, unasked func(error)) (*site, error) {
	x := &site{name: name, ended: make(chan struct{}), wanted: make(chan struct{}), unasked: unasked}
	if child == nil {
		here, there := net.Pipe()
		x.client = rpc.NewClient(here)
		go func() { // ends with the pipe
			defer close(x.ended)
			x.status = host.Serve(there)
		}()
		return x, nil
	}
	x.cmd = child()
	in, err := x.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := x.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	x.out = out
	if err := x.cmd.Start(); err != nil {
		return nil, fmt.Errorf("swarm: %s: %w", name, err)
	}
	x.client = rpc.NewClient(pipes{out, in})
	go x.watch() // ends with the process
	return x, nil
}

// pipes are the two ends of a child.
type pipes struct {
	io.Reader
	io.WriteCloser
}

// watch waits for the process.
func (x *site) watch() {
	state, err := x.cmd.Process.Wait() // not Cmd.Wait, which would take the pipe from whoever still reads
	if err == nil && !state.Success() {
		err = errors.New(state.String())
	}
	x.status = err
	_ = x.out.Close() // nobody writes there any more
	close(x.ended)
	select {
	case <-x.wanted:
	default:
		if err == nil {
			err = errors.New("by itself")
		}
		x.unasked(fmt.Errorf("%w: %s (pid %d): %w", ErrProcess, x.name, x.cmd.Process.Pid, err))
	}
}

// call has the host do something, and waits until it is done, ctx ends or the host is gone.
func (x *site) call(ctx context.Context, method string, args, reply any) error {
	c := x.client.Go("Host."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-c.Done:
		return x.explain(ctx, c.Error)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// breakWithin is how long it may take until the end of a process is known after its pipes have broken.
const breakWithin = time.Second

// explain says whose error it is: the host's own, or that it is gone, of which watch has heard or is about to.
func (x *site) explain(ctx context.Context, err error) error {
	var own rpc.ServerError
	if err == nil {
		return nil
	}
	if !errors.As(err, &own) {
		_ = pause(ctx, breakWithin)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
	}
	return fmt.Errorf("swarm: %s: %w", x.name, err)
}

// kill ends the process with kill -9 and waits until it is gone.
func (x *site) kill() error {
	close(x.wanted)
	x.down = true
	err := x.cmd.Process.Kill()
	<-x.ended
	_ = x.client.Close() // it is broken
	return err
}

// endWithin is how long a host may take to end by itself.
const endWithin = 15 * time.Second

// close has the host end and waits for it; one that does not end by itself is killed.
func (x *site) close() {
	if x.down {
		return
	}
	close(x.wanted)
	_ = x.client.Close() // the host hears that
	if x.cmd == nil {
		<-x.ended
		return
	}
	tooLate := time.AfterFunc(endWithin, func() { _ = x.cmd.Process.Kill() })
	defer tooLate.Stop()
	<-x.ended
}
