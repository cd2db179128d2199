package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/bench/process"
	"github.com/carrier-p2p/carrier/bench/swarm"
)

// swarmCommand runs real nodes of the overlay.
type swarmCommand struct {
	Nodes      int           `help:"How many nodes." default:"200"`
	Processes  int           `help:"Processes that the nodes are spread over; 0: all are in this one." default:"0"`
	Lookups    int           `help:"Lookups, before the kill and after it." default:"1000"`
	Broadcasts int           `help:"Broadcasts, before the kill and after it." default:"20"`
	Payload    int           `help:"Bytes of a broadcast." default:"256"`
	Kill       share         `help:"Part of the nodes that are killed at the same moment, the one that all have joined through among them: 20% or 0.2. Where as many as a process has are to be killed, the process is, by kill -9." default:"20%"`
	Restart    bool          `help:"Start the killed processes again: their nodes have what is in their stores, and no bootstrap."`
	Hostile    share         `help:"Part of the nodes that belong to an adversary; all figures are those of the others." default:"0"`
	Adversary  string        `help:"What these do: ${adversaries}." placeholder:"NAME"`
	Churn      rate          `help:"Part of the nodes that leave in a minute, without a word, each followed by a new one; lookups and broadcasts are made meanwhile." default:"0"`
	Churning   time.Duration `help:"How long they come and go, at least." default:"15s"`
	Rest       time.Duration `help:"From when the last node has joined until what nodes send counts as that of idle ones." default:"30s"`
	Idle       time.Duration `help:"How long the traffic of idle nodes is measured." default:"30s"`
	Loops      int           `help:"Event loops of each process; 0: one for each core."`
	Seed       uint64        `help:"Of identities, keys and choices." default:"1"`
	Simulate   bool          `help:"Run the simulator with the same parameters and the delays that were measured, and show its figures and the difference beside." aliases:"compare-sim"`
	JSON       string        `help:"Write the figures as one JSON object; - for standard output." placeholder:"FILE|-"`
	Quiet      bool          `help:"No progress, no table." short:"q"`

	Child bool `hidden:"" help:"Host nodes, as standard input says."`
}

func (swarmCommand) Help() string {
	return `Each node is a whole one, with a listening socket of its own; all join through the first. Then the figures are taken: how long
until every node knows the 16 nearest to it, whether lookups find exactly the nodes nearest to a key, whom broadcasts reach and how
fast, what idle nodes send, and the same after a part of the nodes is killed without a word. The third example ends a process
that has a quarter of the nodes with kill -9, and starts it again.

  p2pbench swarm
  p2pbench swarm --nodes 50 --kill 40%
  p2pbench swarm --processes 4 --kill 25% --restart
  p2pbench swarm --hostile 20% --adversary forger --simulate
  p2pbench swarm --churn 50%
  p2pbench swarm --json -`
}

// A share is typed as 20% or 0.2.
type share float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *share) UnmarshalText(text []byte) error {
	v, err := parsePart(string(text))
	if err != nil || !(v >= 0 && v < 1) {
		return fmt.Errorf("%q is no share: want such as 20%% or 0.2, below 1", text)
	}
	*s = share(v)
	return nil
}

// A rate is a share that may be more than all.
type rate float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *rate) UnmarshalText(text []byte) error {
	v, err := parsePart(string(text))
	if err != nil || !(v >= 0) {
		return fmt.Errorf("%q is no rate: want such as 20%% or 0.2", text)
	}
	*r = rate(v)
	return nil
}

func parsePart(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	return v, err
}

func (c *swarmCommand) config() swarm.Config {
	return swarm.Config{Nodes: c.Nodes, Lookups: c.Lookups, Broadcasts: c.Broadcasts, Payload: c.Payload,
		Kill: float64(c.Kill), Idle: c.Idle, Rest: c.Rest, Loops: c.Loops, Seed: c.Seed,
		Hostile: float64(c.Hostile), Adversary: c.Adversary, Churn: float64(c.Churn), Churning: c.Churning,
		Processes: c.Processes, Restart: c.Restart,
		Child: func() *exec.Cmd { return process.OfThisProgram("swarm", "--child") }}
}

func (c *swarmCommand) Run(a *app) error {
	if c.Child {
		return swarm.ServeChild()
	}
	p := newSimProgress(a, c.Quiet)
	cfg := c.config()
	cfg.Progress = p.tick
	r, err := swarm.Run(a.ctx, cfg)
	p.clear()
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	var s *swarm.Simulated
	if c.Simulate {
		cfg.Delays = r.Broadcasts.Delays
		if s, err = swarm.Simulate(a.ctx, cfg); err != nil {
			return simError(err)
		}
	}
	if !c.Quiet && c.JSON != "-" {
		printSwarm(a.stdout, c, r, s)
	}
	if c.JSON == "" {
		return nil
	}
	return writeFile(c.JSON, a.stdout, func(w io.Writer) error { return json.NewEncoder(w).Encode(swarmFigures(r, s)) })
}
