package swarm

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/bench/swarm/host"
	"github.com/carrier-p2p/carrier/skad/sim"
)

var (
	// ErrConfig is wrapped by everything that is wrong with a Config.
	ErrConfig = errors.New("swarm: configuration")

	// ErrProcess is wrapped by what is said of a child process that has ended although nobody wanted it to.
	ErrProcess = errors.New("swarm: a process of the swarm has ended")
)

// A Config says what to run. Zero means the written default.
type Config struct {
	Nodes      int           // 0 means 200
	Lookups    int           // after convergence, and as many after the kill; 0 means 1000
	Broadcasts int           // before and after the kill; 0 means 20
	Payload    int           // bytes of a broadcast; 0 means 256
	Kill       float64       // part of the nodes that are killed at the same moment, 0 to 1
	Rest       time.Duration // from when the last has joined until its traffic counts as that of an idle node; 0 means 30 s
	Idle       time.Duration // how long that is measured; 0 means 30 s: in the first minute each contact is pinged once in it
	Seed       uint64        // of identities, keys and choices; 0 means 1
	Loops      int           // event loops of a process; 0 means one per core
	Joining    int           // nodes that join at the same time; 0 means 8
	Patience   time.Duration // for each phase that waits; 0 means 1 min

	Hostile   float64 // part of the nodes that the adversary owns, 0 to 1
	Adversary string  // what they do: one of Adversaries

	Churn    float64       // part of the nodes that leave in a minute, each followed by a new one; 0: nobody does
	Churning time.Duration // how long, at least; 0 means 15 s

	// Processes spreads the nodes over child processes, each of which Child makes: a program that calls ServeChild. 0 runs
	// all nodes in this one.
	Processes int
	Child     func() *exec.Cmd

	// Restart starts the killed processes again: the same nodes, which have what is in their stores and no bootstrap.
	Restart bool

	// Delays are those of messages in Simulate: Broadcasts.Delays of a live run, so that both have the same. Zero means a
	// message takes 1 ms, and 1 ms more in the mean.
	Delays sim.Delays

	// Progress is told, by the measuring goroutine, how far a phase is; total 0: nobody knows. May be nil.
	Progress func(phase string, done, total int)
}

// Adversaries are the names for Config.Adversary; host.Adversaries says more.
func Adversaries() []string { return host.Adversaries() }

// nodeLimit keeps a typing error from taking the machine: so many nodes have 100 connections each in 400,000 descriptors.
const nodeLimit = 2000

// processLimit likewise: a process that hosts nobody else costs 20 MB.
const processLimit = 256

// churnLimit is every node replaced every six seconds: nobody would have joined.
const churnLimit = 10

func (c Config) withDefaults() (Config, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	for _, f := range []struct {
		name     string
		v        *int
		standard int
		most     int
	}{
		{"Nodes", &c.Nodes, 200, nodeLimit}, {"Lookups", &c.Lookups, 1000, 1e6}, {"Broadcasts", &c.Broadcasts, 20, 1e4},
		{"Payload", &c.Payload, 256, 16 << 10}, {"Loops", &c.Loops, 0, 1024}, {"Joining", &c.Joining, 8, nodeLimit},
		{"Processes", &c.Processes, 0, processLimit},
	} {
		if *f.v == 0 {
			*f.v = f.standard
		}
		if *f.v < 0 || *f.v > f.most {
			bad("%s is %d, must be at most %d", f.name, *f.v, f.most)
		}
	}
	if c.Nodes < 2 {
		bad("%d nodes are no swarm", c.Nodes)
	}
	if c.Payload < host.ShoutLeast {
		bad("Payload is %d, must be at least %d", c.Payload, host.ShoutLeast)
	}
	if !(c.Kill >= 0 && c.Kill < 1) {
		bad("Kill is %v, must be 0 to below 1", c.Kill)
	}
	if !(c.Churn >= 0 && c.Churn <= churnLimit) {
		bad("Churn is %v, must be 0 to %d", c.Churn, churnLimit)
	}
	for _, f := range []struct {
		v        *time.Duration
		standard time.Duration
	}{{&c.Idle, 30 * time.Second}, {&c.Rest, 30 * time.Second}, {&c.Patience, time.Minute}, {&c.Churning, 15 * time.Second}} {
		if *f.v == 0 {
			*f.v = f.standard
		}
		if *f.v < 0 {
			bad("a span of %v", *f.v)
		}
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Delays == (sim.Delays{}) {
		c.Delays = sim.Delays{Least: time.Millisecond, More: time.Millisecond}
	}
	if c.Progress == nil {
		c.Progress = func(string, int, int) {}
	}
	c.checkHostile(bad)
	c.checkProcesses(bad)
	return c, errors.Join(errs...)
}

func (c *Config) checkHostile(bad func(string, ...any)) {
	switch {
	case !(c.Hostile >= 0 && c.Hostile < 1):
		bad("Hostile is %v, must be 0 to below 1", c.Hostile)
	case c.Hostile > 0 && !slices.Contains(Adversaries(), c.Adversary):
		bad("no adversary %q for the hostile nodes; there are %s", c.Adversary, strings.Join(Adversaries(), ", "))
	case c.Hostile == 0 && c.Adversary != "":
		bad("adversary %s without hostile nodes", c.Adversary)
	case c.Nodes-c.hostiles() < 2:
		bad("fewer than two honest nodes")
	}
}

// hostiles is how many nodes the adversary owns.
func (c *Config) hostiles() int { return int(c.Hostile * float64(c.Nodes)) }

func (c *Config) checkProcesses(bad func(string, ...any)) {
	switch {
	case c.Processes > 0 && c.Child == nil:
		bad("Processes without Child")
	case c.Processes > c.Nodes:
		bad("%d processes for %d nodes", c.Processes, c.Nodes)
	case c.Restart && c.Processes < 2:
		bad("Restart needs several processes")
	case c.Restart && int(c.Kill*float64(c.Nodes)) < c.places(0):
		bad("Restart needs a whole process to be killed: kill %d of %d nodes at least", c.places(0), c.Nodes)
	}
}

// places is how many nodes live in a process.
func (c *Config) places(site int) int {
	sites := max(1, c.Processes)
	return (c.Nodes + sites - 1 - site) / sites
}
