package swarm

import (
	"context"

	"github.com/carrier-p2p/carrier/skad/sim"
)

// Simulated are the simulator's figures for the network of a Config: nodes with full tables, on one machine, of which as many
// are hostile, and of which as many are then killed. Nodes do not come there, and nothing is asked of the machine.
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
	w, err := cfg.network(0)
	if err != nil {
		return nil, err
	}
	if s.Lookups, err = w.Lookups(ctx, cfg.lookups()); err == nil {
		s.Broadcasts, err = w.Broadcasts(ctx, cfg.broadcasts())
	}
	if err != nil || cfg.Kill == 0 {
		return s, err
	}
	if w, err = cfg.network(cfg.Kill); err != nil {
		return nil, err
	}
	if s.BroadcastsAfterKill, err = w.Broadcasts(ctx, cfg.broadcasts()); err == nil { // at once, as in the live swarm
		s.LookupsAfterKill, err = w.Lookups(ctx, cfg.lookups())
	}
	return s, err
}

// network is one of which a part has been killed a moment ago, and is still in every table.
func (c *Config) network(killed float64) (*sim.Network, error) {
	sc := sim.Config{Nodes: c.Nodes, Seed: c.Seed, Still: true, Delays: c.Delays, Dead: killed, Resets: true}
	if c.Hostile > 0 && c.Adversary != "flooder" {
		var err error
		sc.Share = c.Hostile
		if sc.Adversary, err = sim.AdversaryNamed(c.Adversary); err != nil {
			return nil, err
		}
	}
	w, err := sim.New(sc)
	if err == nil {
		w.Fill()
	}
	return w, err
}

func (c *Config) lookups() sim.LookupPlan { return sim.LookupPlan{Lookups: c.Lookups} }

func (c *Config) broadcasts() sim.BroadcastPlan {
	return sim.BroadcastPlan{Broadcasts: c.Broadcasts, Size: c.Payload, Apart: broadcastsApart}
}
