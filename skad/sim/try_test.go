package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	run := func(n int, name string, share float64, eta int, plan LookupPlan) *Report {
		t0 := time.Now()
		cfg := Config{Nodes: n, Seed: 1, Eta: eta, Still: true, Share: share}
		if name != "" {
			cfg.Adversary, _ = AdversaryNamed(name)
		}
		w, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.Fill()
		t1 := time.Now()
		r, err := w.Lookups(context.Background(), plan)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(r)
		fmt.Println(name, share, plan.Paths, plan.Width, t1.Sub(t0), time.Since(t1), string(b))
		return r
	}
	for _, d := range []int{1, 4, 8} {
		b := run(2000, "", 0, 5, LookupPlan{Lookups: 1000, Paths: d, Classic: true})
		r := run(2000, "paper", .2, 5, LookupPlan{Lookups: 1000, Paths: d, Classic: true})
		fmt.Println(*r.Success, PathLaw(b.PathLengths, .2, d))
	}
	run(2000, "", 0, 3, LookupPlan{Lookups: 1000, Paths: 1, Alpha: 3, Width: 16})
	run(2000, "", 0, 3, LookupPlan{Lookups: 1000, Paths: 4, Width: 4})
	run(2000, "", 0, 3, LookupPlan{Lookups: 1000, Paths: 8, Width: 2})
	run(2000, "colluder", .3, 3, LookupPlan{Lookups: 1000, Paths: 8, Width: 2})
	run(2000, "dropper", .5, 3, LookupPlan{Lookups: 1000, Paths: 1})
	run(2000, "forger", .2, 3, LookupPlan{Lookups: 1000, Paths: 4})
	run(2000, "slow", .2, 3, LookupPlan{Lookups: 1000, Paths: 4})
	run(2000, "poisoner", .2, 3, LookupPlan{Lookups: 1000, Paths: 4})
}
