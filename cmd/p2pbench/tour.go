package main

import (
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

type runCommand struct {
	runFlags
	Full bool `help:"Every scenario, at the sizes that docs/measuring.md reports; takes minutes."`
}

func (runCommand) Help() string {
	return `Each row is a run in two fresh processes on loopback that share this machine: figures of one run compare, those of two days do not.

  p2pbench run --duration 500ms
  p2pbench run --full --against gnet,tls --rounds 5 --json results.jsonl`
}

func (c *runCommand) Run(a *app) error {
	names, err := a.drivers(&c.runFlags)
	if err != nil {
		return err
	}
	steps := shortTour()
	if c.Full {
		steps = fullTour()
	}
	for i := range steps {
		if steps[i], err = c.config(steps[i]); err != nil {
			return err
		}
		if steps[i].Scenario == load.Hold && c.Full {
			// Idle CPU needs a while to show, and what a peer has at hand after its handshake a while to go.
			steps[i].Duration, steps[i].Warmup = max(steps[i].Duration, 10*time.Second), max(steps[i].Warmup, 10*time.Second)
		}
	}
	if !c.Quiet {
		fmt.Fprintf(a.tableOut(c.JSON), "%s: a serving and a dialling process on loopback, %v each\n", c.Driver, c.Duration)
	}
	var tour []step
	for _, config := range steps {
		tour = append(tour, step{config: config, names: names})
	}
	return a.turns(&c.runFlags, tour)
}

// shortTour takes some twenty seconds with default durations.
func shortTour() []load.Config {
	return []load.Config{
		{Scenario: load.OneWay},
		{Scenario: load.OneWay, Size: 64 << 10},
		{Scenario: load.RPC},
		{Scenario: load.RPC, Inflight: 64},
		{Scenario: load.Connect, Conns: 64},
		{Scenario: load.Hold, Conns: 1000},
	}
}

// fullTour is every row of the table in docs/measuring.md.
func fullTour() []load.Config {
	return []load.Config{
		{Scenario: load.OneWay, Size: 64},
		{Scenario: load.OneWay, Size: 1 << 10},
		{Scenario: load.OneWay, Size: 64 << 10},
		{Scenario: load.OneWay, Size: 64, Conns: 1000},
		{Scenario: load.RPC, Inflight: 64},
		{Scenario: load.RPC, Conns: 1000},
		{Scenario: load.RPC},
		{Scenario: load.Connect, Conns: 64},
		{Scenario: load.Storm, Conns: 64},
		{Scenario: load.Hold, Conns: 10_000},
		{Scenario: load.Mixed},
		{Scenario: load.Slow, Conns: 1000, Rate: 2000},
		{Scenario: load.FanOut, Conns: 1000, Size: 1 << 10},
	}
}
