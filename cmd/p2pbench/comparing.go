package main

import (
	"fmt"

	"github.com/carrier-p2p/carrier/bench/report"
)

type compareCommand struct {
	A      string  `arg:"" name:"before" help:"Results before: JSONL or JSON of p2pbench, or Go benchmark output."`
	B      string  `arg:"" name:"after" help:"Results after; - for standard input."`
	Effect float64 `help:"The least change that matters, in percent of what it was before." default:"5"`
	Alpha  float64 `help:"The most that chance may explain: 0.01 lets one figure of a hundred look different by luck, and needs five rounds on each side." default:"0.01"`
	All    bool    `help:"Also show what is within noise." short:"a"`
	Force  bool    `help:"Compare figures of different machines."`
}

func (compareCommand) Help() string {
	return `Medians are compared, and the Mann-Whitney test says whether the difference is more than noise. The exit code is 4 if something got
worse beyond noise and by more than --effect.

  p2pbench rpc --inflight 64 --rounds 8 --json before.jsonl
  p2pbench rpc --inflight 64 --rounds 8 --json after.jsonl
  p2pbench compare before.jsonl after.jsonl

  go test -run '^$' -bench . -count 8 ./bench > after.txt
  p2pbench compare before.txt after.txt --effect 2`
}

func (c *compareCommand) Run(a *app) error {
	if !(c.Alpha > 0 && c.Alpha < 1) || !(c.Effect >= 0) {
		return fmt.Errorf("%w: --alpha %v, --effect %v: want a share below 1, and percent", errUsage, c.Alpha, c.Effect)
	}
	before, err := a.readSet(c.A)
	if err != nil {
		return err
	}
	after, err := a.readSet(c.B)
	if err != nil {
		return err
	}
	if x, y := before.Host, after.Host; !c.Force && x != nil && y != nil && !x.Same(*y) {
		return fmt.Errorf("%w: figures of different machines (%d x %s, %d x %s) do not compare; --force if they must",
			errUsage, x.Processors, x.CPU, y.Processors, y.CPU)
	}
	compared := report.Compare(before, after, report.Limits{Alpha: c.Alpha, Effect: c.Effect / 100})
	if err := compared.WriteText(a.stdout, c.All); err != nil {
		return err
	}
	if len(compared.Changes) == 0 {
		return fmt.Errorf("%w: the two files have no figure in common", errUsage)
	}
	if compared.Count(report.Worse) > 0 {
		return errThreshold
	}
	return nil
}

func (a *app) readSet(path string) (*report.Set, error) {
	in, done, err := a.input(path)
	if err != nil {
		return nil, err
	}
	defer done()
	set, err := report.ReadSet(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}
