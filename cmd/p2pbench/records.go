package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/carrier-p2p/carrier/bench/fingerprint"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// records gathers the runs of one command, writes each to --json when it is there, and everything else at the end.
type records struct {
	app   *app
	flags *outFlags
	host  fingerprint.Host
	build fingerprint.Build

	all  []report.Record
	old  map[string]report.Record // that --json held before, by runKey
	set  string                   // of the runs that come: see report.Record
	held []held                   // what was expected of some of them
	json io.Writer
	done func() error
}

func (a *app) records(f *outFlags) (*records, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	out, done, err := a.jsonOut(f.JSON)
	if err != nil {
		return nil, err
	}
	return &records{app: a, flags: f, host: fingerprint.ReadHost(), build: fingerprint.ReadBuild(), json: out, done: done}, nil
}

// before returns a run that need not be made again; nil: there is none.
func (r *records) before(c load.Config, set, driver string, round int) *report.Record {
	if old, ok := r.old[runKey(c.Scenario, c, set, driver, round)]; ok {
		return &old
	}
	return nil
}

// add keeps a run. Round counts from 1; 0: it has no turns.
func (r *records) add(result *load.Result, round int) error {
	r.all = append(r.all, report.Record{
		Schema: report.Schema, At: time.Now().UTC().Truncate(time.Second), Command: r.app.command, Round: round, Set: r.set,
		Host: &r.host, Build: &r.build, Result: *result,
	})
	return writeJSON(r.json, &r.all[len(r.all)-1])
}

// held is runs of one driver and config, and the rules that their median must meet.
type held struct {
	driver string
	rules  slo.Rules
	runs   []*load.Result
}

// expect holds the newest runs of a driver to rules.
func (r *records) expect(newest []report.Record, driver string, rules slo.Rules) {
	h := held{driver: driver, rules: rules}
	for i := range newest {
		if newest[i].Driver == driver {
			h.runs = append(h.runs, &newest[i].Result)
		}
	}
	if len(rules) > 0 && len(h.runs) > 0 {
		r.held = append(r.held, h)
	}
}

// breaches prints every rule that was not met, to standard error: standard output may be somebody's data.
func (r *records) breaches() (broken bool) {
	for _, h := range r.held {
		c := h.runs[0].Config
		c.Scenario = h.runs[0].Scenario
		for _, b := range h.rules.Check(h.runs...) {
			broken = true
			fmt.Fprintf(r.app.stderr, "not met: %s: %s: %s\n", h.driver, report.Title(c), b)
		}
	}
	return broken
}

// show prints the newest runs for people, unless standard output is asked for in another form.
func (r *records) show(newest []report.Record) error {
	if r.flags.Quiet || r.flags.Format != "text" {
		return nil
	}
	return report.WriteTextWithin(r.app.tableOut(r.flags.JSON), newest, r.app.columns(r.flags.JSON))
}

// conclude ends the runs of one scenario: what they came to, for people and as a line of JSON.
func (r *records) conclude(newest []report.Record) error {
	if err := r.show(newest); err != nil || len(newest) < 2 {
		return err
	}
	for _, g := range report.Groups(newest) {
		if err := writeJSON(r.json, g); err != nil {
			return err
		}
	}
	return nil
}

// finish writes what was asked for besides, and says how the runs went.
func (r *records) finish() error {
	if err := r.done(); err != nil {
		return err
	}
	if r.flags.Format != "text" && len(r.all) > 0 {
		if err := report.Write(r.app.stdout, r.flags.Format, r.all); err != nil {
			return err
		}
	}
	for _, path := range r.flags.Out {
		if err := writeReport(path, r.all); err != nil {
			return err
		}
	}
	broken := r.breaches()
	if err := r.outcome(); err != nil {
		return err
	}
	if broken {
		return errThreshold
	}
	return nil
}

// outcome is the worst that happened: faults, then runs that failed, then rules not met, then an interrupt.
func (r *records) outcome() error {
	interrupted, crept, failed := r.app.ctx.Err() != nil, false, 0
	for i := range r.all {
		if r.all[i].Failed() {
			return errFaults
		}
		if r.all[i].Failure != "" {
			failed++
		}
		interrupted = interrupted || r.all[i].Interrupted
		crept = crept || len(r.all[i].Drifts) > 0
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%s of %d failed", report.Plural(failed, "run"), len(r.all))
	case crept:
		return errThreshold
	case interrupted:
		return errInterrupted
	}
	return nil
}

// writeReport writes a file in the form that its name asks for.
func writeReport(path string, all []report.Record) error {
	format, err := report.FormatOf(path)
	if err != nil {
		return fmt.Errorf("%w: --out: %w", errUsage, err)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := report.Write(file, format, all); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}
