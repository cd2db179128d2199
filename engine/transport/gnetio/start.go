package gnetio

import (
	"context"
	"fmt"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Start binds, starts the loops and waits until they run; see transport.Transport.
//
// The addresses are claimed first, all of them, before the reactor sees any: so an address in use is known before
// anything has happened, a port 0 becomes a number that every loop's listener can use, and the listeners, which share
// the port, share it with no other process.
func (t *Transport) Start(sink transport.Sink, listen []transport.Addr) ([]transport.Addr, error) {
	t.life.Lock()
	defer t.life.Unlock()
	switch t.phase {
	case running:
		return nil, ErrStarted
	case stopped:
		return nil, transport.ErrClosed
	}
	t.sink, t.startedAt, t.hidden = sink, time.Now(), len(listen) == 0
	bound, err := t.begin(listen)
	if err != nil {
		t.phase = stopped
		t.dials.end()
		return nil, err
	}
	t.phase = running
	return bound, nil
}

func (t *Transport) begin(listen []transport.Addr) (bound []transport.Addr, err error) {
	if err := t.cfg.Validate(); err != nil {
		return nil, err
	}
	descriptors, err := descriptorCount()
	if err != nil {
		return nil, err
	}
	t.cfg = t.cfg.withDefaults(descriptors)
	if err := t.setLimit(descriptors, len(listen)); err != nil {
		return nil, err
	}
	claims, err := claimAll(listen)
	if err != nil {
		return nil, err
	}
	defer claims.release()
	if t.watcher, err = newWatcher(); err != nil {
		return nil, err
	}
	t.dials.begin()
	bound = claims.bound()
	if err := t.launch(claims); err != nil {
		t.shutdown()
		return nil, err
	}
	return bound, nil
}

// setLimit decides how many links there may be: what is configured, and no more than there are descriptors for.
func (t *Transport) setLimit(descriptors, listeners int) error {
	own := t.cfg.Loops*(descriptorsPerLoop+listeners) + descriptorsAtLeast
	room := descriptors - t.cfg.FDReserve - own
	if room <= 0 {
		return fmt.Errorf("%w: the process may open %d descriptors; a reserve of %d and %d for the loops leave none for links",
			ErrConfig, descriptors, t.cfg.FDReserve, own)
	}
	t.limit = int64(room)
	if want := t.cfg.LinkLimit; want > room {
		t.cfg.Logger.Warn("gnetio: fewer links than configured: the process may not open enough descriptors",
			"configured", want, "limit", room, "descriptors", descriptors, "reserve", t.cfg.FDReserve)
	} else if want > 0 {
		t.limit = int64(want)
	}
	return nil
}

// launch runs the reactor and waits until every loop has its anchor.
func (t *Transport) launch(claims *claims) error {
	addrs := claims.addrs()
	if t.hidden {
		addrs = []string{hiddenListener}
	}
	claims.yield()
	go t.run(addrs)
	select {
	case <-t.ready:
	case <-t.over:
		return t.endError()
	}
	if t.hidden {
		if err := t.hide(); err != nil {
			return err
		}
	}
	if err := t.anchorLoops(); err != nil {
		return err
	}
	close(t.anchored)
	return nil
}

// hiddenListener is what a node that only dials listens on: gnet does not run without a listener.
const hiddenListener = "tcp://127.0.0.1:0"

// hide makes the hidden listener deaf, where the system can do that. Elsewhere what connects to it is closed.
func (t *Transport) hide() error {
	fd, err := t.engine.Dup()
	if err != nil {
		return fmt.Errorf("gnetio: hidden listener: %w", err)
	}
	defer closeFD(fd)
	deafen(fd)
	return nil
}

// run is the reactor's life.
func (t *Transport) run(addrs []string) {
	err := gnet.Rotate(&handler{t: t}, addrs,
		gnet.WithNumEventLoop(t.cfg.Loops),
		gnet.WithReadBufferCap(t.cfg.ReadBuffer),
		// Each loop accepts for itself, one connection per turn. So the link limit holds at once, with no burst of
		// accepted connections that no loop has counted yet; and gnet chooses no loops, which it does not do safely
		// from several goroutines.
		gnet.WithReusePort(!t.hidden),
		gnet.WithReuseAddr(true), // a restart does not wait for connections in TIME_WAIT
		gnet.WithLoadBalancing(gnet.LeastConnections),
		gnet.WithTicker(true),
		gnet.WithLogger(&t.log),
	)
	t.runErr = err
	close(t.over)
	if !t.stopping.Load() && t.begun() {
		t.sink.Failed(t.endError())
	}
}

// begun reports whether Start has come so far that its caller relies on the reactor.
func (t *Transport) begun() bool {
	select {
	case <-t.anchored:
		return true
	default:
		return false
	}
}

// endError says what the reactor ended of. gnet returns nil even when it ends of a failing accept; then its last log
// line knows more. Called after over is closed.
func (t *Transport) endError() error {
	if t.runErr != nil {
		return fmt.Errorf("%w: %w", ErrReactor, t.runErr)
	}
	return fmt.Errorf("%w: %v", ErrReactor, &t.log)
}

// descriptorCount is how many descriptors the process may open now.
func descriptorCount() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("gnetio: RLIMIT_NOFILE: %w", err)
	}
	return int(min(uint64(limit.Cur), descriptorLimit)), nil
}

// Stop closes everything; see transport.Transport. It returns when the reactor, the watcher, the dials and the alarms are
// gone. It always returns nil: what could fail is closing descriptors.
func (t *Transport) Stop() error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.phase == running {
		t.shutdown()
	}
	t.phase = stopped
	return nil
}

// shutdown ends what Start began. Dials end first, while the loops still run: handing over a connection waits for a loop.
// Then the reactor: it closes every link on its own loop. The watcher is last, as links need it until they are gone.
func (t *Transport) shutdown() {
	t.stopping.Store(true)
	t.dials.end()
	select {
	case <-t.ready:
		// Engine.Stop gives the sign and then looks every 500 ms whether it is done. With a context that is over it
		// returns after the sign, and Rotate's own return says the rest at once.
		signOnly, cancel := context.WithCancel(context.Background())
		cancel()
		_ = t.engine.Stop(signOnly)
	case <-t.over:
	}
	<-t.over
	t.watcher.stop()
	for _, lp := range t.loops.list() {
		lp.(*loop).end()
	}
}
