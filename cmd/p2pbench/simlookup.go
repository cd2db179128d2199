package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/skad/sim"
)

type simLookupCommand struct {
	simFlags
	evilFlags
	Lookups  int     `help:"How many lookups for each row." default:"1000"`
	Paths    int     `help:"d: disjoint paths." default:"8"`
	Width    int     `help:"w: live answers that end a path; 0: s/d, at least 2. The paper's lookup has 1."`
	Alpha    int     `help:"Open questions for each path; 0: 3 with one path, 2 with up to four, else 1."`
	Dead     float64 `help:"Part of the nodes that are gone and still in everybody's table, 0 to 1."`
	Unsigned bool    `help:"Nobody checks signatures."`
	Curve    bool    `help:"Shares from 0 to 0.9 for 1, 2, 4 and 8 paths, instead of --share and --paths; --csv and --svg imply it."`
	CSV      string  `help:"Write the curve as CSV; - for standard output." placeholder:"FILE|-"`
	SVG      string  `help:"Draw the curve." placeholder:"FILE"`
}

func (simLookupCommand) Help() string {
	return `Honest nodes look up other honest nodes, in a network whose tables are full and stay as they are. With --adversary paper
lookups are made as in the S/Kademlia paper: the adversary ends each path that touches it, and the share of lookups that have a
path left stands beside what the law of disjoint paths says. Adversaries: paper, dropper, poisoner, colluder, forger, slow, sybil, flooder, eclipse.

  p2pbench sim lookup --nodes 10000 --adversary paper --share 0.2 --paths 4
  p2pbench sim lookup --nodes 10000 --adversary colluder --share 0.3 --paths 8 --width 2
  p2pbench sim lookup --adversary forger --share 0.2 --paths 4 --unsigned
  p2pbench sim lookup --nodes 10000 --adversary sybil
  p2pbench sim lookup --nodes 10000 --adversary eclipse
  p2pbench sim lookup --nodes 10000 --adversary paper --lookups 2000 --svg paper.svg --csv -`
}

func (c *simLookupCommand) Run(a *app) error {
	c.begin(a)
	c.Curve = c.Curve || c.CSV != "" || c.SVG != ""
	results, err := c.results(a)
	if err != nil {
		return err
	}
	if !c.Quiet && c.CSV != "-" && c.JSON != "-" {
		printSim(a.stdout, c.title("lookup", c.evilFlags), results)
	}
	if c.CSV != "" {
		if err := writeFile(c.CSV, a.stdout, func(w io.Writer) error { return writeCurve(w, results) }); err != nil {
			return err
		}
	}
	if c.SVG != "" {
		p := c.picture(results)
		if err := writeFile(c.SVG, a.stdout, p.draw); err != nil {
			return err
		}
	}
	return c.writeJSON(a, results)
}

// results makes all runs: one, or a curve for each number of paths.
func (c *simLookupCommand) results(a *app) ([]*simResult, error) {
	shares, paths := []float64{c.Share}, []int{c.Paths}
	if c.Curve {
		if c.Adversary == "" {
			return nil, fmt.Errorf("%w: a curve needs --adversary", errUsage)
		}
		shares, paths = nil, []int{1, 2, 4, 8}
		for i := range 10 {
			shares = append(shares, float64(i)/10)
		}
	}
	lengths := map[int][]int{} // by paths, in a network without adversary
	if c.Adversary == "paper" && !c.Curve {
		r, err := c.runs(a, 0, paths)
		if err != nil {
			return nil, err
		}
		lengths[c.Paths] = r[0].PathLengths
	}
	var results []*simResult
	for _, m := range shares {
		list, err := c.runs(a, m, paths)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			if c.Adversary == "paper" {
				if m == 0 {
					lengths[r.Paths] = r.PathLengths
				}
				p := sim.PathLaw(lengths[r.Paths], m, r.Paths)
				r.SuccessFormula = &p
			}
			results = append(results, r)
		}
	}
	return results, nil
}

// runs makes the lookups of one share, for each number of paths in the same network.
func (c *simLookupCommand) runs(a *app, share float64, paths []int) ([]*simResult, error) {
	e := c.evilFlags
	e.Share = share
	cfg, err := c.config(e, "paper", "dropper", "poisoner", "colluder", "forger", "slow", "sybil", "flooder", "eclipse")
	if err != nil {
		return nil, err
	}
	cfg.Still, cfg.Unsigned, cfg.Dead = true, c.Unsigned, c.Dead
	w, err := sim.New(cfg)
	if err != nil {
		return nil, simError(err)
	}
	p := newSimProgress(a, c.Quiet)
	defer p.clear()
	w.Fill()
	var results []*simResult
	for _, d := range paths {
		r := c.result("lookup", e)
		r.Paths, r.Width = d, c.Width
		what := fmt.Sprintf("share %.2f, %s", share, report.Plural(d, "path"))
		plan := sim.LookupPlan{Lookups: c.Lookups, Paths: d, Width: c.Width, Alpha: c.Alpha, Classic: c.Adversary == "paper",
			Progress: func(done, total int) { p.tick(what, done, total) }}
		if err := r.measure(w, func() (*sim.Report, error) { return w.Lookups(a.ctx, plan) }); err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// writeCurve writes a table for other programs.
func writeCurve(w io.Writer, results []*simResult) error {
	out := csv.NewWriter(w)
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'f', 5, 64)
	}
	_ = out.Write([]string{"share", "paths", "success", "success_formula", "siblings_found", "rpcs_mean"}) // Error reports it
	for _, r := range results {
		_ = out.Write([]string{strconv.FormatFloat(r.Share, 'f', 2, 64), strconv.Itoa(r.Paths), number(r.Success), number(r.SuccessFormula),
			number(r.SiblingsFound), number(r.RPCsMean)})
	}
	out.Flush()
	return out.Error()
}

// picture makes the drawing of a curve.
func (c *simLookupCommand) picture(results []*simResult) *picture {
	p := &picture{
		title:  fmt.Sprintf("Lookups that succeed, %d nodes, adversary: %s", c.Nodes, c.Adversary),
		xLabel: "share of the nodes that the adversary owns", yLabel: "success", yMost: 1,
	}
	for _, d := range []int{1, 2, 4, 8} {
		simulated := curve{name: fmt.Sprintf("d=%d", d)}
		law := curve{dashed: true}
		for _, r := range results {
			if r.Paths == d && r.Success != nil {
				simulated.points = append(simulated.points, point{r.Share, *r.Success})
				if r.SuccessFormula != nil {
					law.points = append(law.points, point{r.Share, *r.SuccessFormula})
				}
			}
		}
		p.add(simulated, law)
	}
	if c.Adversary == "paper" {
		p.note = "marks and lines: simulated; dashed: 1-(1-(1-m)^i)^d over the measured path lengths i"
	}
	return p
}
