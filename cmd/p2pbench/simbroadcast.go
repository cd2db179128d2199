package main

import (
	"fmt"

	"github.com/carrier-p2p/carrier/skad/sim"
)

type simBroadcastCommand struct {
	simFlags
	evilFlags
	Broadcasts int     `help:"How many, one after the other." default:"10"`
	Beta       []int   `help:"Delegates in each bucket, by hop; the last number holds for all further hops." default:"8,4,2"`
	Repair     repair  `help:"Rounds of repair and contacts in each; 0: none." default:"3x3" placeholder:"ROUNDSxFANOUT"`
	Size       int     `help:"Bytes of payload." default:"64"`
	Dead       float64 `help:"Part of the nodes that are gone and still in everybody's table, 0 to 1."`
}

func (simBroadcastCommand) Help() string {
	return `Honest nodes send messages to everybody. Coverage is the share of the honest nodes that a message reaches. A tree without
redundancy and repair has a law, which then stands beside it. Adversaries: blackhole, inflator, slow.

  p2pbench sim broadcast --nodes 10000 --adversary blackhole --share 0.3
  p2pbench sim broadcast --nodes 10000 --beta 3 --repair 0 --loss 0.12
  p2pbench sim broadcast --nodes 10000 --beta 1 --repair 0 --adversary blackhole --share 0.2 --broadcasts 100`
}

func (c *simBroadcastCommand) Run(a *app) error {
	c.begin(a)
	r := c.result("broadcast", c.evilFlags)
	r.Beta, r.Repair = c.Beta, c.Repair.String()
	cfg, err := c.config(c.evilFlags, "blackhole", "inflator", "slow")
	if err != nil {
		return err
	}
	cfg.Still, cfg.Dead = true, c.Dead
	w, err := sim.New(cfg)
	if err != nil {
		return simError(err)
	}
	w.Fill()
	p := newSimProgress(a, c.Quiet)
	plan := sim.BroadcastPlan{Broadcasts: c.Broadcasts, Beta: c.Beta, Rounds: c.Repair.rounds, Fanout: c.Repair.fanout, PushOnly: c.Repair.rounds == 0,
		Size: c.Size, Progress: func(done, total int) { p.tick("broadcast", done, total) }}
	err = r.measure(w, func() (*sim.Report, error) { return w.Broadcasts(a.ctx, plan) })
	p.clear()
	if err != nil {
		return err
	}
	if !c.Quiet && c.JSON != "-" {
		printSim(a.stdout, fmt.Sprintf("%s; beta %v, repair %s", c.title("broadcast", c.evilFlags), c.Beta, c.Repair), []*simResult{r})
	}
	return c.writeJSON(a, []*simResult{r})
}

// A repair is typed as 3x3, or 0 for none.
type repair struct{ rounds, fanout int }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *repair) UnmarshalText(text []byte) error {
	*r = repair{}
	if string(text) == "0" {
		return nil
	}
	var rest string
	if n, _ := fmt.Sscanf(string(text)+" .", "%dx%d %s", &r.rounds, &r.fanout, &rest); n != 3 || rest != "." || r.rounds < 1 || r.fanout < 1 {
		return fmt.Errorf("%q is no repair: want rounds and contacts in each, such as 3x3, or 0", text)
	}
	return nil
}

// String is the inverse of UnmarshalText.
func (r repair) String() string {
	if r.rounds == 0 {
		return "0"
	}
	return fmt.Sprintf("%dx%d", r.rounds, r.fanout)
}
