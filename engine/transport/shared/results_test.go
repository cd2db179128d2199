package shared_test

import (
	"sync/atomic"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// What workers compute for many Ports comes back once each; and the turn that a result asks for comes, to the Port that asked,
// although the loop is having a turn for the results then. So does one that is asked for from outside after that.
func TestResults(t *testing.T) {
	h := hub(t)
	const ports, each = 20, 30
	for round := range each {
		var back [ports]atomic.Int64
		var asked []*recorder
		for n := range ports {
			p := h.Port()
			r := start(t, p)
			lp := p.Loops()[(n+round)%2]
			if !p.OffloadTo(lp, func() func() { return func() { back[n].Add(1); lp.Wake() } }) {
				t.Fatal("too much is waiting")
			}
			asked = append(asked, r)
		}
		for n, r := range asked {
			lp := wait(t, "a turn", r.turns)
			if lp.Index() != (n+round)%2 {
				t.Fatalf("port %d: the turn is loop %d's", n, lp.Index())
			}
			if got := back[n].Load(); got != 1 {
				t.Fatalf("port %d: its result came back %d times", n, got)
			}
			lp.Wake()
			wait(t, "another turn", r.turns)
		}
	}
}

// A loop that rides on another transport of the node gets its results, too.
func TestResultsOfAnotherTransport(t *testing.T) {
	p, done := hub(t).Port(), make(chan struct{})
	var foreign struct{ transport.Loop }
	if !p.OffloadTo(foreign, func() func() { return func() { close(done) } }) {
		t.Fatal("too much is waiting")
	}
	wait(t, "the result", done)
}
