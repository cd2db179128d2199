package bench_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/skad/sim"
)

var overlayNodes = flag.Int("overlay.nodes", 1000, "nodes of the simulated networks of BenchmarkOverlay; the promises are about 10000")

// Everything that the overlay promises, in a simulated network: each goal is a benchmark, which fails if one of its figures is
// not as promised, and reports them all. p2pbench sim goals prints the same as a table.
func BenchmarkOverlay(b *testing.B) {
	for _, g := range sim.Goals() {
		b.Run("goal="+g.Name, func(b *testing.B) {
			for b.Loop() {
				checks, err := g.Run(b.Context(), *overlayNodes, 1)
				if err != nil {
					b.Fatal(err)
				}
				for _, c := range checks {
					if !c.OK() {
						b.Errorf("%s is %v, want %s", c.Figure, c.Got, c.Want())
					}
					b.ReportMetric(c.Got, unitOf(c.Figure))
				}
			}
		})
	}
}

// unitOf makes a unit of a figure's name: units have no spaces.
func unitOf(figure string) string {
	return strings.NewReplacer(": ", "/", ", ", "/", " ", "-").Replace(figure)
}
