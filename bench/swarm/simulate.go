package swarm

import (
	"context"

	"github.com/carrier-p2p/carrier/skad/sim"
)

// Simulated are the simulator's figures for the network of a Config: nodes with full tables, of which as many are hostile,
// and of which as many are then gone. Nodes do not come there, and nothing is asked of the machine.
type Simulated struct {
	Lookups, Broadcasts                   *sim.Report
	LookupsAfterKill, BroadcastsAfterKill *sim.Report // nil without Config.Kill
}

// Simulate runs the simulator with the parameters of cfg. The flooder's nodes are honest in it: a simulated node has time
// for every question. Errors wrap ErrConfig, or are those of ctx.
func Simulate(ctx context.Context, cfg Config) (s *Simulated, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s = &Simulated{}
	if s.Lookups, s.Broadcasts, err = cfg.simulate(ctx, 0); err == nil && cfg.Kill > 0 {
		s.LookupsAfterKill, s.BroadcastsAfterKill, err = cfg.simulate(ctx, cfg.Kill)
	}
	return s, err
}

// simulate makes as many lookups and broadcasts in a network of which a part is dead, and still in every table.
func (c *Config) simulate(ctx context.Context, dead float64) (lookups, broadcasts *sim.Report, err error) {
	sc := sim.Config{Nodes: c.Nodes, Seed: c.Seed, Still: true, Dead: dead}
	if c.Hostile > 0 && c.Adversary != "flooder" {
		sc.Share = c.Hostile
		if sc.Adversary, err = sim.AdversaryNamed(c.Adversary); err != nil {
			return nil, nil, err
		}
	}
	w, err := sim.New(sc)
	if err != nil {
		return nil, nil, err
	}
	w.Fill()
	if lookups, err = w.Lookups(ctx, sim.LookupPlan{Lookups: c.Lookups}); err != nil {
		return nil, nil, err
	}
	broadcasts, err = w.Broadcasts(ctx, sim.BroadcastPlan{Broadcasts: c.Broadcasts, Size: c.Payload})
	return lookups, broadcasts, err
}
