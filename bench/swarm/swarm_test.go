package swarm_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/bench/swarm"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
}

// A small swarm converges, finds everything and reaches everybody, before and after a fifth of it is killed. On a machine that
// is busy with other things a question may time out; that is not what this is about.
func TestRun(t *testing.T) {
	phases := map[string]int{}
	r, err := swarm.Run(t.Context(), swarm.Config{Nodes: 40, Lookups: 50, Broadcasts: 5, Kill: 0.2, Idle: 100 * time.Millisecond,
		Progress: func(phase string, _, _ int) { phases[phase]++ }})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", *r)
	if !(r.ConvergedSeconds >= 0) || r.Lookups.Success < .9 || r.Broadcasts.Coverage != 1 || r.AfterKill.Coverage != 1 || r.Killed != 8 {
		t.Errorf("%+v", *r)
	}
	if r.Lookups.Count != 50 || r.Broadcasts.Count != 5 || r.HeapBytes <= 0 || r.Tasks.Runs == 0 || r.Lookups.Hops < 1 {
		t.Errorf("not measured: %+v", *r)
	}
	for _, p := range []string{"join", "converge", "lookups", "broadcasts", "idle", "kill", "broadcasts after the kill", "lookups after the kill"} {
		if phases[p] == 0 {
			t.Errorf("no progress of %q", p)
		}
	}
}

// What makes no sense is refused, all of it at once.
func TestBadConfig(t *testing.T) {
	for _, c := range []swarm.Config{{Nodes: 1}, {Nodes: -1}, {Nodes: 1 << 20}, {Kill: 1}, {Kill: -.1}, {Payload: 7}, {Idle: -1}, {Lookups: -1}} {
		if _, err := swarm.Run(t.Context(), c); !errors.Is(err, swarm.ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
