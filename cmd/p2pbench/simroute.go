package main

import (
	"fmt"

	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/skad/sim"
)

type simRouteCommand struct {
	simFlags
	evilFlags
	Routes int `help:"How many messages." default:"1000"`
	Paths  int `help:"d: copies, over distinct first hops." default:"1"`
}

func (simRouteCommand) Help() string {
	return `Honest nodes send messages to the IDs of other honest nodes, over the overlay from hop to hop. A dropper says that it has taken
a message over, and forgets it; the share that arrives stands beside what the law of disjoint paths says.

  p2pbench sim route --nodes 10000
  p2pbench sim route --nodes 10000 --adversary dropper --share 0.2 --paths 4`
}

func (c *simRouteCommand) Run(a *app) error {
	c.begin(a)
	results, err := c.results(a)
	if err != nil {
		return err
	}
	if !c.Quiet && c.JSON != "-" {
		printSim(a.stdout, c.title("route", c.evilFlags), results)
	}
	return c.writeJSON(a, results)
}

// results sends the messages; where the adversary drops them also in a network without it, for the law.
func (c *simRouteCommand) results(a *app) ([]*simResult, error) {
	r, err := c.route(a, c.Share)
	if err != nil {
		return nil, err
	}
	if c.Adversary == "dropper" && c.Share > 0 {
		still, err := c.route(a, 0)
		if err != nil {
			return nil, err
		}
		law := sim.PathLaw(still.PathLengths, c.Share, c.Paths)
		r.SuccessFormula = &law
	}
	return []*simResult{r}, nil
}

func (c *simRouteCommand) route(a *app, share float64) (*simResult, error) {
	e := c.evilFlags
	e.Share = share
	cfg, err := c.config(e, "dropper", "slow", "flooder")
	if err != nil {
		return nil, err
	}
	cfg.Still = true
	w, err := sim.New(cfg)
	if err != nil {
		return nil, simError(err)
	}
	p := newSimProgress(a, c.Quiet)
	defer p.clear()
	w.Fill()
	r := c.result("route", e)
	r.Paths = c.Paths
	what := fmt.Sprintf("share %.2f, %s", share, report.Plural(c.Paths, "path"))
	err = r.measure(w, func() (*sim.Report, error) {
		return w.Routes(a.ctx, sim.RoutePlan{Routes: c.Routes, Copies: c.Paths, Progress: func(done, total int) { p.tick(what, done, total) }})
	})
	return r, err
}
