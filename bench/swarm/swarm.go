// Package swarm runs many real nodes of an overlay in one process, over loopback sockets, and measures what they do:
// how fast they know each other, whether lookups are exact, whom broadcasts reach, and what all that costs.
//
//	r, err := swarm.Run(ctx, swarm.Config{Nodes: 200, Kill: 0.2})
//
// Every node is a whole one: an identity, a listening socket, the engine, keepalive, discovery and broadcast. They share
// the event loops and the handshake workers of one transport (engine/transport/shared), because a process has few cores,
// and nothing else: what they know of each other has come over the sockets. Puzzles are switched off, as 200 proofs of
// work are five minutes of arithmetic that measure nothing here.
//
// The phases, in order:
//
//	start ─▶ join through the first ─▶ converge ─▶ lookups ─▶ broadcasts ─▶ idle ─▶ kill ─▶ broadcasts ─▶ lookups
//
// A killed node says no goodbye: its sockets close as the kernel closes those of a killed process.
//
// Results are judged against the truth, which this package knows because it has started everybody. Run returns an error
// only if it could not measure; a bad figure is a figure.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// ErrConfig is wrapped by everything that is wrong with a Config.
var ErrConfig = errors.New("swarm: configuration")

// A Config says what to run. Zero means the written default.
type Config struct {
	Nodes      int           // 0 means 200
	Lookups    int           // after convergence, and as many after the kill; 0 means 1000
	Broadcasts int           // before and after the kill; 0 means 20
	Payload    int           // bytes of a broadcast; 0 means 256
	Kill       float64       // part of the nodes that are killed at the same moment, 0 to 1
	Idle       time.Duration // how long maintenance is measured; 0 means 15 s
	Rest       time.Duration // how long before that the nodes are left alone; newcomers look around again for two minutes
	Seed       uint64        // of identities, keys and choices; 0 means 1
	Loops      int           // event loops shared by all; 0 means one per core
	Joining    int           // nodes that join at the same time; 0 means 8
	Patience   time.Duration // for each phase that waits; 0 means 1 min

	// Progress is told, by the measuring goroutine, how far a phase is; total 0: nobody knows. May be nil.
	Progress func(phase string, done, total int)
}

// nodeLimit keeps a typing error from taking the machine: so many nodes have 100 connections each in 400,000 descriptors.
const nodeLimit = 2000

func (c Config) withDefaults() (Config, error) {
	var errs []error
	for _, f := range []struct {
		name     string
		v        *int
		standard int
		most     int
	}{
		{"Nodes", &c.Nodes, 200, nodeLimit}, {"Lookups", &c.Lookups, 1000, 1e6}, {"Broadcasts", &c.Broadcasts, 20, 1e4},
		{"Payload", &c.Payload, 256, 16 << 10}, {"Loops", &c.Loops, 0, 1024}, {"Joining", &c.Joining, 8, nodeLimit},
	} {
		if *f.v == 0 {
			*f.v = f.standard
		}
		if *f.v < 0 || *f.v > f.most {
			errs = append(errs, fmt.Errorf("%w: %s is %d, must be at most %d", ErrConfig, f.name, *f.v, f.most))
		}
	}
	if c.Nodes < 2 {
		errs = append(errs, fmt.Errorf("%w: %d nodes are no swarm", ErrConfig, c.Nodes))
	}
	if c.Payload < 8 {
		errs = append(errs, fmt.Errorf("%w: Payload is %d, must be at least 8", ErrConfig, c.Payload))
	}
	if !(c.Kill >= 0 && c.Kill < 1) {
		errs = append(errs, fmt.Errorf("%w: Kill is %v, must be 0 to below 1", ErrConfig, c.Kill))
	}
	for _, f := range []struct {
		v        *time.Duration
		standard time.Duration
	}{{&c.Idle, 15 * time.Second}, {&c.Rest, 0}, {&c.Patience, time.Minute}} {
		if *f.v == 0 {
			*f.v = f.standard
		}
		if *f.v < 0 {
			errs = append(errs, fmt.Errorf("%w: a span of %v", ErrConfig, *f.v))
		}
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Progress == nil {
		c.Progress = func(string, int, int) {}
	}
	return c, errors.Join(errs...)
}

// A Result is what was measured.
type Result struct {
	Nodes            int
	JoinSeconds      float64 // from the first start until the last node has begun
	ConvergedSeconds float64 // from then until every node knows its 16 nearest exactly; NaN: not within Patience
	Connections      float64 // of a node, mean, then

	Lookups, LookupsAfterKill Lookups
	Broadcasts                Broadcasts
	AfterKill                 Broadcasts
	Killed                    int

	HeapBytes   float64 // for each node, after everything was measured
	UpkeepBytes float64 // sent by an idle node in a second
	Tasks       Tasks
}

// Lookups sum up lookups of random keys by random nodes.
type Lookups struct {
	Count   int
	Success float64 // part that found exactly the 16 nodes nearest to the key
	Hops    float64 // mean
	Asked   float64 // questions, mean
	P50     time.Duration
	P99     time.Duration
}

// Broadcasts sum up broadcasts by random nodes.
type Broadcasts struct {
	Count    int
	Coverage float64 // deliveries by what they should have been
	Worst    float64 // coverage of the worst one
	Copies   float64 // that came to a node beside the first, mean
	P50      time.Duration
	P99      time.Duration
	Max      time.Duration // from the call to the last delivery
}

// Tasks tell how the overlay's tasks have held the loops of all nodes, engine.TaskStats summed up.
type Tasks struct {
	Runs    int64
	Over    int64 // held a loop for more than a millisecond
	Longest time.Duration

	OverWork    int64 // of processor time: what the system gave to others meanwhile does not count; zero where it is not known
	LongestWork time.Duration
}

// Run runs a swarm. Errors wrap ErrConfig, are those of starting nodes, or of ctx.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &swarm{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 1)), deliveries: newDeliveries()}
	defer s.close()
	r := &Result{Nodes: cfg.Nodes, ConvergedSeconds: math.NaN()}
	for _, phase := range []func(context.Context, *Result) error{s.join, s.converge, s.lookUp, s.broadcast, s.idle, s.kill} {
		if err := phase(ctx, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// kill kills, and measures again.
func (s *swarm) kill(ctx context.Context, r *Result) (err error) {
	if r.Killed = int(s.cfg.Kill * float64(s.cfg.Nodes)); r.Killed == 0 {
		s.account(r)
		return nil
	}
	s.cfg.Progress("kill", r.Killed, s.cfg.Nodes)
	dead := s.pick(r.Killed)
	if r.AfterKill, err = s.broadcasts(ctx, "broadcasts after the kill", func() { s.end(dead) }); err != nil {
		return err
	}
	r.LookupsAfterKill, err = s.lookups(ctx, "lookups after the kill")
	s.account(r)
	return err
}

func (s *swarm) lookUp(ctx context.Context, r *Result) (err error) {
	r.Lookups, err = s.lookups(ctx, "lookups")
	return err
}

func (s *swarm) broadcast(ctx context.Context, r *Result) (err error) {
	r.Broadcasts, err = s.broadcasts(ctx, "broadcasts", func() {})
	return err
}

// nearest is how many nodes a lookup is asked for, and what convergence means: the siblings of a key.
const nearest = 16

// randomKey draws a key.
func randomKey(rnd *rand.Rand) (k skad.ID) {
	for i := range k {
		k[i] = rnd.Uint64()
	}
	return k
}
