package sim

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// ErrConfig is wrapped by everything that is wrong with a Config or a plan.
var ErrConfig = errors.New("sim: configuration")

// A Config describes a network. Zero means the written default.
type Config struct {
	Nodes int    // 0 means 1000
	Seed  uint64 // all randomness comes from it

	K        int // contacts in a bucket; 0 means 16
	Siblings int // s; 0 means 16
	Eta      int // 0 means 3

	Clients float64 // part of the nodes that only ask, 0 to 1
	Homes   float64 // part of the nodes that are behind a router and do not know it: what reaches them is answers, 0 to 1
	Loss    float64 // part of the messages that get lost, 0 to 1
	Dead    float64 // part of the nodes that are gone while everybody's table still has them, 0 to 1

	Adversary Adversary // what those that are not honest do; with Share
	Share     float64   // part of the nodes that the adversary owns, 0 to 1

	// Delays, if not zero, are those of every message, wherever its ends are: a live swarm's on one machine, for instance.
	Delays Delays

	// Resets has the connections with nodes that are gone break where others see it, as
	// those of a killed process do; else they are found out by silence alone, as those of a machine without power are.
	Resets bool

	Unsigned bool // nobody checks signatures: what lookups would be worth without them
	Still    bool // no pings and no refreshes: tables stay as they were filled, which is what the paper measures in

	Workers int // how many processors share the work; 0 means GOMAXPROCS. What happens does not depend on it
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	part := func(name string, v float64) {
		if !(v >= 0 && v <= 1) {
			errs = append(errs, fmt.Errorf("%w: %s is %v, must be 0 to 1", ErrConfig, name, v))
		}
	}
	if c.Nodes == 0 {
		c.Nodes = 1000
	}
	if c.Nodes < 2 || c.Nodes > nodeLimit {
		errs = append(errs, fmt.Errorf("%w: %d nodes, must be 2 to %d", ErrConfig, c.Nodes, nodeLimit))
	}
	for _, v := range []*int{&c.K, &c.Siblings} {
		if *v == 0 {
			*v = 16
		}
	}
	if c.Eta == 0 {
		c.Eta = 3
	}
	if c.Workers == 0 {
		c.Workers = min(runtime.GOMAXPROCS(0), workerLimit)
	}
	if c.Workers < 1 || c.Workers > workerLimit {
		errs = append(errs, fmt.Errorf("%w: %d workers, must be 1 to %d", ErrConfig, c.Workers, workerLimit))
	}
	part("the share of clients", c.Clients)
	part("the share of homes", c.Homes)
	if c.Clients+c.Homes > 1 {
		errs = append(errs, fmt.Errorf("%w: %v clients and %v homes are more than all", ErrConfig, c.Clients, c.Homes))
	}
	part("the loss", c.Loss)
	if d := c.Delays; d.Least < 0 || d.More < 0 || d.Least > spanLimit || d.More > spanLimit {
		errs = append(errs, fmt.Errorf("%w: delays of %v and %v more", ErrConfig, d.Least, d.More))
	}
	part("the share of dead nodes", c.Dead)
	part("the share of the adversary", c.Share)
	if c.Share > 0 && c.Adversary == nil {
		errs = append(errs, fmt.Errorf("%w: a share of %v without an adversary", ErrConfig, c.Share))
	}
	return c, errors.Join(errs...)
}

// core returns the configuration of every node.
func (c *Config) core(v skad.Verifier) skad.Config {
	cfg := skad.Config{Verifier: v, Scope: skad.Private, K: c.K, Siblings: c.Siblings, Eta: c.Eta}
	if c.Still {
		cfg.PingLeast, cfg.PingMost, cfg.RefreshLeast, cfg.RefreshMost, cfg.BucketIdle = quiet, quiet, quiet, quiet, quiet
	}
	return cfg
}

// A span is a field of a plan, with what zero means.
type span struct {
	value    *time.Duration
	standard time.Duration
	least    time.Duration
}

// complete fills in what is zero, or says which span makes no sense.
func complete(spans ...span) error {
	for _, s := range spans {
		if *s.value == 0 {
			*s.value = s.standard
		}
		if *s.value < s.least || *s.value > spanLimit {
			return fmt.Errorf("%w: a span of %v, must be %v to %v", ErrConfig, *s.value, s.least, spanLimit)
		}
	}
	return nil
}

// inRTT expresses a span in median round trips.
func inRTT(d time.Duration) float64 { return float64(d) / float64(MedianRTT) }
