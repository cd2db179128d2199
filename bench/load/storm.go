package load

import (
	"context"
	"fmt"
	"sync"
)

// storm measures requests of one established peer alone, then while Beside shakes hands with the same server.
func (b *Bench) storm(ctx context.Context) error {
	if b.Beside == nil {
		return fmt.Errorf("%w: storm needs a second process to make it", ErrConfig)
	}
	if b.Config.Spoof {
		return b.spoofed(ctx)
	}
	quiet, callers, err := b.quiet(ctx, 1)
	if err != nil {
		return err
	}
	storm := b.startStorm(ctx, b.Addr)
	defer func() { _, _ = storm.end() }()
	if b.Server != nil {
		if _, err := b.eventually(func(c Counts) bool { return c.Opened > 0 || storm.ended() }); err != nil {
			return err
		}
		if err := b.Server.Reset(); err != nil {
			return err
		}
	}
	start, _, err := b.usage()
	if err != nil {
		return err
	}
	out, err := b.request(ctx, Storm, b.Config.Duration, b.Config.table(), callers)
	if err != nil {
		return err
	}
	others, err := storm.end()
	if err != nil {
		return err
	}
	b.keep(out)
	b.compareQuiet(quiet, out)
	b.result.HandshakesPerSecond = others.HandshakesPerSecond
	if b.Server != nil {
		b.result.HandshakesPerSecond = float64(out.counts.Opened) / out.seconds
	}
	b.stormFaults(others)
	if others.Seconds > 0 { // it began before, and ended after
		b.beside = others.Client.CPUSeconds * out.seconds / others.Seconds
	}
	return b.sides(start, out.end)
}

func (b *Bench) stormFaults(storm *Result) {
	for kind, n := range storm.Errors {
		b.result.fault("storm_"+kind, n)
	}
}

// A storming is a storm of handshakes in another process. It belongs to the goroutine that started it.
type storming struct {
	enough  context.CancelFunc
	began   chan struct{} // closed when made-up handshakes have begun
	over    chan struct{}
	running sync.WaitGroup

	// The storm's goroutine's, until over is closed.
	result *Result
	err    error
}

func (b *Bench) startStorm(ctx context.Context, addr string) *storming {
	s := &storming{began: make(chan struct{}), over: make(chan struct{})}
	ctx, s.enough = context.WithCancel(ctx)
	s.running.Go(func() {
		defer close(s.over)
		s.result, s.err = b.Beside(ctx, addr, sync.OnceFunc(func() { close(s.began) }))
	})
	return s
}

func (s *storming) ended() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// end tells it to end, and returns what came of it. It may be called again.
func (s *storming) end() (*Result, error) {
	s.enough()
	s.running.Wait()
	if s.err != nil {
		return nil, fmt.Errorf("load: the storm: %w", s.err)
	}
	return s.result, nil
}
