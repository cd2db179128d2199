package sim

import (
	"context"
	"fmt"
	"testing"

	"github.com/carrier-p2p/carrier/skad"
)

func TestFailed(t *testing.T) {
	w, _ := New(Config{Nodes: 2000, Seed: 1, Still: true})
	w.Fill()
	for round := range 6 {
		failed, asked, late := 0, 0, uint64(0)
		plan := LookupPlan{Lookups: 1000, Paths: 8}
		r, _ := func() (*Report, error) {
			plan, _ := plan.withDefaults(&w.cfg)
			_ = plan
			return w.Lookups(context.Background(), LookupPlan{Lookups: 1000, Paths: 8})
		}()
		for _, n := range w.nodes {
			st := n.core.Stats()
			failed += int(st.Missed)
			asked += int(st.Asked)
			late += st.Dropped[skad.Late]
		}
		fmt.Println(round, *r.Success, *r.SiblingsFound, failed, asked, late)
	}
}
