package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/carrier-p2p/carrier/bench/fingerprint"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
)

const (
	// runOverhead is what a run takes besides what it measures, until there is experience: processes, identities, connections,
	// collections of garbage.
	runOverhead = time.Second

	// runGrace is what a run may take besides thrice what it measures: a thousand connections of a slow
	// library, and waiting for what does not arrive.
	runGrace = 2 * time.Minute

	// worthSaying is how long runs must take together before their number and length are said in advance.
	worthSaying = 30 * time.Second
)

// limit is the longest that a run may take.
func (f *turnFlags) limit(c load.Config) time.Duration {
	if f.RunLimit > 0 {
		return f.RunLimit
	}
	return 3*(c.Duration+max(c.Warmup, 0)) + runGrace
}

// check refuses what could not be kept.
func (f *turnFlags) check(kept string) error {
	if f.RunLimit < 0 {
		return fmt.Errorf("%w: --run-limit %v", errUsage, f.RunLimit)
	}
	if f.Resume && (kept == "" || kept == "-") {
		return fmt.Errorf("%w: --resume needs --json FILE", errUsage)
	}
	return nil
}

// measures is how long a run of c takes without what is around it: some scenarios have a part before the one they are about.
func measures(c load.Config) time.Duration {
	parts := 1
	if c.Scenario == load.Mixed || c.Scenario == load.Storm || c.Scenario == load.Slow {
		parts = 2
	}
	return max(c.Warmup, 0) + time.Duration(parts)*c.Duration
}

// A plan is how many runs there are to make, and how long they will take: first by a rule of thumb, then as
// the runs did until now.
type plan struct {
	runs, made int
	left       time.Duration // of the runs to make
	begun      time.Time
	guessed    time.Duration // for the runs that were made
}

func newPlan(f *runFlags, steps []step, kept *records) *plan {
	p := &plan{begun: time.Now()}
	for _, s := range steps {
		for _, name := range s.names {
			for round := range f.rounds() {
				number := round + 1
				if f.rounds() == 1 {
					number = 0
				}
				if kept.before(s.config, s.set(f), name, number) == nil {
					p.runs++
					p.left += runOverhead + measures(s.config)
				}
			}
		}
	}
	return p
}

// announce tells whoever waits how long that will be.
func (p *plan) announce(a *app, f *runFlags) {
	if f.Quiet || p.left < worthSaying {
		return
	}
	fmt.Fprintf(a.stderr, "%s, about %s\n", report.Plural(p.runs, "run"), minutes(p.left))
}

// label stands in front of a run's progress.
func (p *plan) label(round, rounds int) string {
	text := ""
	if p.runs > rounds*2 || p.remaining() > worthSaying {
		text = fmt.Sprintf("%d/%d (%s left) ", p.made+1, p.runs, minutes(p.remaining()))
	}
	if rounds > 1 {
		text += fmt.Sprintf("round %d/%d", round, rounds)
	}
	return text
}

// remaining is what is left, stretched as the runs until now were.
func (p *plan) remaining() time.Duration {
	if p.guessed == 0 {
		return p.left
	}
	return time.Duration(float64(p.left) * float64(time.Since(p.begun)) / float64(p.guessed))
}

// ran takes a run that was made off the plan.
func (p *plan) ran(c load.Config) {
	p.guessed += runOverhead + measures(c)
	p.skip(c)
}

// skip takes a run that will not be made off the plan.
func (p *plan) skip(c load.Config) {
	p.made++
	p.left -= runOverhead + measures(c)
}

func minutes(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()+0.5))
	}
	return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
}

// resumed are records that begin with those that --json holds already, if they are to be kept: of the same
// machine and source, else figures that do not compare would stand side by side.
func (a *app) resumed(f *runFlags) (*records, error) {
	old, err := a.oldRecords(f)
	if err != nil {
		return nil, err
	}
	kept, err := a.records(&f.outFlags)
	if err != nil {
		return nil, err
	}
	kept.old = map[string]report.Record{}
	for _, r := range old {
		kept.old[runKey(r.Scenario, r.Config, r.Set, r.Driver, r.Round)] = r
		if err := writeJSON(kept.json, r); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func (a *app) oldRecords(f *runFlags) (old []report.Record, err error) {
	if !f.Resume {
		return nil, nil
	}
	if info, err := os.Stat(f.JSON); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, nil
	}
	all, err := a.readRecords(f.JSON)
	if err != nil {
		return nil, err
	}
	host, build := fingerprint.ReadHost(), fingerprint.ReadBuild()
	for _, r := range all {
		if r.Host == nil || !r.Host.Same(host) || r.Build == nil || *r.Build != build {
			return nil, fmt.Errorf("%w: --resume: %s is from another machine or another build; another file for these runs", errUsage, f.JSON)
		}
		if r.Failure == "" && !r.Interrupted {
			old = append(old, r)
		}
	}
	return old, nil
}

// runKey is what a run is known by.
func runKey(scenario string, c load.Config, set, driver string, round int) string {
	config, err := json.Marshal(c)
	if err != nil {
		panic("p2pbench: bug: a config is no JSON: " + err.Error())
	}
	return fmt.Sprintf("%s %s %s %s %d", scenario, config, set, driver, round)
}
