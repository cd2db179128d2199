package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/carrier-p2p/carrier/skad/sim"
)

type simGoalsCommand struct {
	Goals []string `arg:"" optional:"" help:"Only these; none: all."`
	Nodes int      `help:"How many nodes; goals that take hours of virtual time take a tenth or a fifth of them." default:"10000"`
	Seed  uint64   `help:"All randomness comes from it; 0: drawn."`
	JSON  string   `help:"Write the checks as JSON, one to a line; - for standard output." placeholder:"FILE|-"`
	Quiet bool     `help:"No progress, no table." short:"q"`
}

func (simGoalsCommand) Help() string {
	var list strings.Builder
	for _, g := range sim.Goals() {
		fmt.Fprintf(&list, "  %-10s %s\n", g.Name, g.Says)
	}
	return `Everything that the overlay promises, measured and compared with the promise. The exit code is 4 if one is not kept.
With 10,000 nodes all goals together take some ten minutes.

  p2pbench sim goals
  p2pbench sim goals paper colluders --seed 7
  p2pbench sim goals --nodes 1000 --json -

` + list.String()
}

// A goalCheck is one line of JSON.
type goalCheck struct {
	Goal   string  `json:"goal"`
	Figure string  `json:"figure"`
	Got    float64 `json:"got"`
	Want   string  `json:"want"`
	OK     bool    `json:"ok"`
}

func (c *simGoalsCommand) Run(a *app) error {
	f := simFlags{Seed: c.Seed, Quiet: c.Quiet}
	f.begin(a)
	goals, err := c.chosen()
	if err != nil {
		return err
	}
	p := newSimProgress(a, c.Quiet)
	var all []goalCheck
	missed := 0
	for i, g := range goals {
		p.last = time.Time{} // a goal is worth a line, however soon it comes after the one before
		p.tick(g.Name, i+1, len(goals))
		checks, err := g.Run(a.ctx, c.Nodes, f.Seed)
		if err != nil {
			p.clear()
			return simError(err)
		}
		for _, k := range checks {
			all = append(all, goalCheck{g.Name, k.Figure, k.Got, k.Want(), k.OK()})
			if !k.OK() {
				missed++
			}
		}
	}
	p.clear()
	if !c.Quiet && c.JSON != "-" {
		printGoals(a.stdout, all)
	}
	if c.JSON != "" {
		if err := writeFile(c.JSON, a.stdout, func(w io.Writer) error {
			enc := json.NewEncoder(w)
			for _, k := range all {
				if err := enc.Encode(k); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if missed > 0 {
		fmt.Fprintf(a.stderr, "p2pbench: not all goals are reached: %d of %d figures\n", missed, len(all))
		return errThreshold
	}
	return nil
}

// chosen returns the goals that were named, or all.
func (c *simGoalsCommand) chosen() ([]sim.Goal, error) {
	all := sim.Goals()
	if len(c.Goals) == 0 {
		return all, nil
	}
	var list []sim.Goal
	for _, name := range c.Goals {
		i := slices.IndexFunc(all, func(g sim.Goal) bool { return g.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%w: no goal %q; --help lists them", errUsage, name)
		}
		list = append(list, all[i])
	}
	return list, nil
}

func printGoals(w io.Writer, checks []goalCheck) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "goal\tfigure\tmeasured\twanted\t")
	last := ""
	for _, k := range checks {
		name, verdict := k.Goal, ""
		if name == last {
			name = ""
		}
		last = k.Goal
		if !k.OK {
			verdict = "missed"
		}
		fmt.Fprintf(t, "%s\t%s\t%.5g\t%s\t%s\n", name, k.Figure, k.Got, k.Want, verdict)
	}
	_ = t.Flush() // standard output that is gone is not worth more words
}
