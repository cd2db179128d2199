package main

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/skad/sim"
)

// live runs an experiment of one network from its beginning to its table.
func (f *simFlags) live(a *app, name string, e evilFlags, fill bool, run func(ctx context.Context, w *sim.Network, tick func(done, total int)) (*sim.Report, error)) error {
	cfg, err := f.config(e)
	if err != nil {
		return err
	}
	w, err := sim.New(cfg)
	if err != nil {
		return simError(err)
	}
	if fill {
		w.Fill()
	}
	p := newSimProgress(a, f.Quiet)
	r := f.result(name, e)
	err = r.measure(w, func() (*sim.Report, error) {
		return run(a.ctx, w, func(done, total int) { p.tick(name, done, total) })
	})
	p.clear()
	if err != nil {
		return err
	}
	results := []*simResult{r}
	if !f.Quiet && f.JSON != "-" {
		printSim(a.stdout, f.title(name, e), results)
	}
	return f.writeJSON(a, results)
}

type simJoinCommand struct {
	simFlags
	Over time.Duration `help:"The span in which the nodes come." default:"10m"`
	Wait time.Duration `help:"From then until their tables are looked at." default:"5m"`
}

func (simJoinCommand) Help() string {
	return `All nodes join through the first one, by the real procedure. Found are those of the s closest nodes that stand in a
node's sibling list, on average.

  p2pbench sim join --nodes 2000
  p2pbench sim join --nodes 2000 --clients 0.5 --loss 0.01`
}

func (c *simJoinCommand) Run(a *app) error {
	c.begin(a)
	return c.live(a, "join", evilFlags{}, false, func(ctx context.Context, w *sim.Network, tick func(int, int)) (*sim.Report, error) {
		return w.Joins(ctx, sim.JoinPlan{Over: c.Over, Wait: c.Wait, Progress: tick})
	})
}

type simPartitionCommand struct {
	simFlags
	For  time.Duration `help:"How long the network is divided." default:"10m"`
	Part float64       `help:"Part of the nodes on one side, above 0 and below 1." default:"0.5"`
	Wait time.Duration `help:"How long healing is waited for." default:"40m"`
}

func (simPartitionCommand) Help() string {
	return `A network at rest is divided, and joined again. It has healed when 99 % of the siblings of all nodes are known again.

  p2pbench sim partition --nodes 1000
  p2pbench sim partition --nodes 1000 --part 0.1 --for 1h`
}

func (c *simPartitionCommand) Run(a *app) error {
	c.begin(a)
	return c.live(a, "partition", evilFlags{}, true, func(ctx context.Context, w *sim.Network, tick func(int, int)) (*sim.Report, error) {
		return w.Partition(ctx, sim.PartitionPlan{For: c.For, Part: c.Part, Wait: c.Wait, Progress: tick})
	})
}

type simChurnCommand struct {
	simFlags
	Mean  time.Duration `help:"Mean time between joining and leaving; Weibull with shape 0.5." default:"10000s"`
	Warm  time.Duration `help:"Before lookups begin; its second half shows the upkeep." default:"30m"`
	For   time.Duration `help:"How long lookups are made." default:"10m"`
	Every time.Duration `help:"Between two lookups of one node." default:"1m"`
	Paths int           `help:"d: disjoint paths." default:"8"`
}

func (simChurnCommand) Help() string {
	return `Nodes leave without a word, new ones come in their place, and all look each other up. Success counts lookups for nodes that
were there until the end.

  p2pbench sim churn --nodes 1000
  p2pbench sim churn --nodes 1000 --mean 1000s
  p2pbench sim churn --nodes 10000 --warm 50m --for 10m`
}

func (c *simChurnCommand) Run(a *app) error {
	c.begin(a)
	if c.Mean <= 0 || c.Warm <= 0 || c.For <= 0 || c.Every <= 0 {
		return fmt.Errorf("%w: spans must be above 0", errUsage)
	}
	return c.live(a, "churn", evilFlags{}, true, func(ctx context.Context, w *sim.Network, tick func(int, int)) (*sim.Report, error) {
		return w.Churn(ctx, sim.ChurnPlan{Mean: c.Mean, Warm: c.Warm, For: c.For, Every: c.Every, Paths: c.Paths, Progress: tick})
	})
}
