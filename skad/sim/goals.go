package sim

import (
	"context"
	"fmt"
	"math"
	"time"
)

// A Goal is something that the overlay promises: experiments, and what their figures have to be. The promises
// are those of docs/skad.md 8; whoever changes the overlay looks at all of them.
type Goal struct {
	Name string // one word
	Says string // a line for people

	// share is the part of the nodes asked for that takes part: what takes hours of virtual time in a network
	// of 10,000 shows as well in one of 1,000.
	share float64
	run   func(g *goalRun) error
}

// A Check is one figure of a goal.
type Check struct {
	Figure string
	Got    float64
	Least  float64 // -Inf: anything
	Most   float64 // +Inf: anything
}

// OK reports whether the figure is as promised.
func (c Check) OK() bool { return c.Got >= c.Least && c.Got <= c.Most }

// Want says what was promised.
func (c Check) Want() string {
	switch {
	case c.Least == c.Most:
		return fmt.Sprintf("%.5g", c.Most)
	case math.IsInf(c.Least, -1):
		return fmt.Sprintf("at most %.5g", c.Most)
	case math.IsInf(c.Most, 1):
		return fmt.Sprintf("at least %.5g", c.Least)
	}
	return fmt.Sprintf("%.5g to %.5g", c.Least, c.Most)
}

// Run measures in networks of so many nodes; small ones meet what has no logarithm of them in it too, but no
// figure of fewer than a thousand says much. Errors wrap ErrConfig, or are those of ctx.
func (g *Goal) Run(ctx context.Context, nodes int, seed uint64) ([]Check, error) {
	r := &goalRun{ctx: ctx, nodes: max(100, int(g.share*float64(nodes))), seed: seed}
	if err := g.run(r); err != nil {
		return nil, fmt.Errorf("%s: %w", g.Name, err)
	}
	return r.checks, nil
}

// A goalRun is a goal that is being looked at.
type goalRun struct {
	ctx    context.Context
	nodes  int
	seed   uint64
	checks []Check
}

func (g *goalRun) within(figure string, got, least, most float64) {
	g.checks = append(g.checks, Check{figure, got, least, most})
}
func (g *goalRun) atLeast(figure string, got, least float64) {
	g.within(figure, got, least, math.Inf(1))
}
func (g *goalRun) atMost(figure string, got, most float64) {
	g.within(figure, got, math.Inf(-1), most)
}

// network makes a network with the adversary of that name, "" for none.
func (g *goalRun) network(adversary string, cfg Config) (*Network, error) {
	if adversary != "" {
		a, err := AdversaryNamed(adversary)
		if err != nil {
			return nil, err
		}
		cfg.Adversary = a
	}
	cfg.Nodes, cfg.Seed = g.nodes, g.seed
	return New(cfg)
}

// still makes a network whose tables are full and stay as they are.
func (g *goalRun) still(adversary string, cfg Config) (*Network, error) {
	cfg.Still = true
	w, err := g.network(adversary, cfg)
	if err == nil {
		w.Fill()
	}
	return w, err
}

func (g *goalRun) lookups(adversary string, cfg Config, plan LookupPlan) (*Report, error) {
	w, err := g.still(adversary, cfg)
	if err != nil {
		return nil, err
	}
	return w.Lookups(g.ctx, plan)
}

func (g *goalRun) broadcasts(adversary string, cfg Config, plan BroadcastPlan) (*Report, error) {
	w, err := g.still(adversary, cfg)
	if err != nil {
		return nil, err
	}
	return w.Broadcasts(g.ctx, plan)
}

// Goals returns all of them.
func Goals() []Goal {
	return []Goal{
		{"lookup", "without faults a lookup is where it wants to be as soon as the law says, and asks as few as designed", 1, goalLookup},
		{"dead", "a third of all entries are gone and everybody is found", 1, goalDead},
		{"paper", "with the adversary of the paper success follows the law of disjoint paths", 1, goalPaper},
		{"buckets", "k=2d is worse than k=16", 1, goalBuckets},
		{"droppers", "silence costs questions and no success", 1, goalDroppers},
		{"colluders", "an all-knowing adversary hides nobody from eight paths", 1, goalColluders},
		{"forgers", "forged addresses hide nobody as long as records are signed", 1, goalForgers},
		{"sybils", "a crowd around a key is noticed, and nothing else is", 1, goalSybils},
		{"flood", "one subnet gets into tables as far as it may", .1, goalFlood},
		{"eclipse", "a restart among strangers keeps the table", 1, goalEclipse},
		{"route", "routed messages arrive as the law says, sooner than a lookup and a message would", 1, goalRoute},
		{"tree", "with one delegate everybody gets everything once, and faults cost what the law says", 1, goalTree},
		{"push", "the tapered tree reaches nearly all among black holes, in time", 1, goalPush},
		{"repair", "with repair it reaches all", 1, goalRepair},
		{"crash", "delegates that are gone are replaced", 1, goalCrash},
		{"inflators", "who claims a larger duty for others makes no work", 1, goalInflators},
		{"churn", "lookups find who is there while nodes come and go, for few bytes", .1, goalChurn},
		{"join", "all join through one and know their neighbours", .2, goalJoin},
		{"homes", "nodes behind routers that do not know it harm nobody", .1, goalHomes},
		{"partition", "a network that was divided heals", .1, goalPartition},
		{"seed", "the same seed does the same", .1, goalSeed},
	}
}

func goalLookup(g *goalRun) error {
	w, err := g.still("", Config{})
	if err != nil {
		return err
	}
	for _, c := range []struct {
		paths, width int
		most         float64
	}{{1, 16, 20}, {4, 4, 26}, {8, 2, 34}, {8, 4, 52}} {
		r, err := w.Lookups(g.ctx, LookupPlan{Lookups: 1000, Paths: c.paths, Width: c.width, Alpha: 1})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("d=%d w=%d: ", c.paths, c.width)
		g.atLeast(name+"success", *r.Success, 1)
		g.atMost(name+"questions", *r.RPCsMean, c.most)
		if c.paths == 1 {
			g.atMost(name+"contacts to the target", *r.ContactsMean, ContactsLaw(g.nodes, 16)+.5)
		}
	}
	r, err := w.Lookups(g.ctx, LookupPlan{Lookups: 1000, Paths: 1, Width: 16, Alpha: 3})
	if err != nil {
		return err
	}
	g.atMost("d=1 alpha=3: RTT to the target, median", r.TimeToTarget.P50, 1.5)
	g.atMost("d=1 alpha=3: RTT to the target, p99", r.TimeToTarget.P99, 3.3)
	return nil
}

func goalDead(g *goalRun) error {
	r, err := g.lookups("", Config{Dead: .3}, LookupPlan{Paths: 4, Alpha: 2})
	if err != nil {
		return err
	}
	g.atLeast("success", *r.Success, .9995)
	g.atMost("RTT to the target, p99", r.TimeToTarget.P99, 4)
	return nil
}

func goalPaper(g *goalRun) error {
	const count = 2000
	quiet, err := g.still("", Config{Eta: 5})
	if err != nil {
		return err
	}
	lengths := map[int][]int{}
	for _, d := range []int{1, 2, 4, 8} {
		r, err := quiet.Lookups(g.ctx, LookupPlan{Lookups: count, Paths: d, Classic: true})
		if err != nil {
			return err
		}
		lengths[d] = r.PathLengths
	}
	for _, m := range []float64{.1, .2, .3, .5, .7} {
		w, err := g.still("paper", Config{Eta: 5, Share: m})
		if err != nil {
			return err
		}
		for _, d := range []int{1, 2, 4, 8} {
			r, err := w.Lookups(g.ctx, LookupPlan{Lookups: count, Paths: d, Classic: true})
			if err != nil {
				return err
			}
			p, below, above := PathLaw(lengths[d], m, d), .02, .02
			if m > .3 && d > 1 {
				above = .06 // the law counts lengths where all paths live; where most are dead the others have shorter ways, and no reason to fare worse
			}
			spread := 2 * math.Sqrt(p*(1-p)/count) // twice the standard deviation of so many lookups
			name := fmt.Sprintf("m=%v d=%d: success", m, d)
			g.within(name+", beside the law", *r.Success, p-below-spread, min(1, p+above+spread))
			if least := map[[2]float64]float64{{.2, 4}: .975, {.2, 8}: .99, {.3, 4}: .92, {.3, 8}: .985}[[2]float64{m, float64(d)}]; least > 0 {
				g.atLeast(name, *r.Success, least)
			}
		}
	}
	return nil
}

func goalBuckets(g *goalRun) error {
	const count = 5000
	plan := LookupPlan{Lookups: count, Paths: 4, Classic: true}
	large, err := g.lookups("paper", Config{Eta: 5, Share: .2}, plan)
	if err != nil {
		return err
	}
	small, err := g.lookups("paper", Config{K: 8, Eta: 5, Share: .2}, plan)
	if err != nil {
		return err
	}
	most := *large.Success
	if g.nodes < 5000 { // in small networks the sibling lists are most of the tables, and chance is larger than the difference: twice its standard deviation
		most += 2 * math.Sqrt(2*most*(1-most)/count)
	}
	g.atMost("m=.2 d=4: success with k=8", *small.Success, most)
	return nil
}

func goalDroppers(g *goalRun) error {
	r, err := g.lookups("dropper", Config{Share: .5}, LookupPlan{Paths: 1, Width: 16})
	if err != nil {
		return err
	}
	g.atLeast("m=.5 d=1: success", *r.Success, .999)
	return nil
}

func goalColluders(g *goalRun) error {
	for _, m := range []float64{.2, .3} {
		r, err := g.lookups("colluder", Config{Share: m}, LookupPlan{Paths: 8, Width: 2})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("m=%v d=8 w=2: ", m)
		g.atLeast(name+"success", *r.Success, .99)
		g.atLeast(name+"every honest sibling found", *r.SiblingsFound, .99)
	}
	return nil
}

func goalForgers(g *goalRun) error {
	plan := LookupPlan{Paths: 4, Width: 4}
	signed, err := g.lookups("forger", Config{Share: .2}, plan)
	if err != nil {
		return err
	}
	g.atLeast("m=.2 d=4: success", *signed.Success, .999)
	unsigned, err := g.lookups("forger", Config{Share: .2, Unsigned: true}, plan)
	if err != nil {
		return err
	}
	g.atMost("m=.2 d=4: success where nobody checks signatures", *unsigned.Success, .8) // .7 with 10,000 nodes: of fewer, more are in the asker's own table
	return nil
}

func goalSybils(g *goalRun) error {
	r, err := g.lookups("sybil", Config{}, LookupPlan{})
	if err != nil {
		return err
	}
	g.atLeast("alarms at a surrounded key", *r.DensityAlarms, .99)
	quiet, err := g.lookups("", Config{}, LookupPlan{Lookups: 3000})
	if err != nil {
		return err
	}
	g.atMost("alarms elsewhere", *quiet.DensityAlarms, .001)
	return nil
}

func goalFlood(g *goalRun) error {
	r, err := g.lookups("flooder", Config{}, LookupPlan{Lookups: 500})
	if err != nil {
		return err
	}
	g.within("strays in a table", float64(*r.StraysInTable), 1, 10)
	g.atMost("strays in a sibling list", float64(*r.StraysInSiblings), 2)
	g.atLeast("success", *r.Success, .99)
	return nil
}

func goalEclipse(g *goalRun) error {
	r, err := g.lookups("eclipse", Config{}, LookupPlan{Lookups: 300})
	if err != nil {
		return err
	}
	g.atLeast("part of the table that is from before", *r.TableKept, .5)
	g.atLeast("success", *r.Success, .99)
	return nil
}

func goalRoute(g *goalRun) error {
	quiet, err := g.still("", Config{})
	if err != nil {
		return err
	}
	for _, d := range []int{1, 4, 8} {
		still, err := quiet.Routes(g.ctx, RoutePlan{Routes: 2000, Copies: d})
		if err != nil {
			return err
		}
		w, err := g.still("dropper", Config{Share: .2})
		if err != nil {
			return err
		}
		r, err := w.Routes(g.ctx, RoutePlan{Routes: 2000, Copies: d})
		if err != nil {
			return err
		}
		law := PathLaw(still.PathLengths, .2, d)
		g.within(fmt.Sprintf("m=.2 d=%d: delivered, beside the law", d), *r.Success, law-.03, min(1, law+.03))
	}
	// How soon is a question to a network that has been awake: which of two next hops is nearer is known from their answers.
	awake, err := g.network("", Config{})
	if err != nil {
		return err
	}
	awake.Fill()
	if err := awake.run(g.ctx, allPinged, never); err != nil {
		return err
	}
	routed, err := awake.Routes(g.ctx, RoutePlan{Routes: 2000})
	if err != nil {
		return err
	}
	asked, err := awake.Lookups(g.ctx, LookupPlan{Lookups: 2000, Paths: 1, Alpha: 1})
	if err != nil {
		return err
	}
	const message = .5 // RTT: what is looked up has yet to be sent
	g.atMost("median time, of that of a lookup and a message", routed.TimeToTarget.P50/(asked.TimeToTarget.P50+message), .65)
	return nil
}

// allPinged is when every contact of a filled table has been pinged once: skad's PingMost.
const allPinged = 10 * time.Minute

func goalTree(g *goalRun) error {
	tree := BroadcastPlan{Broadcasts: 10, Beta: []int{1}, PushOnly: true}
	r, err := g.broadcasts("", Config{}, tree)
	if err != nil {
		return err
	}
	g.atLeast("coverage", *r.CoverageWorst, 1)
	g.atMost("duplicates", *r.Duplicates, 0)
	half := math.Log2(float64(g.nodes)) / 2
	g.within("hops", *r.HopsMean, half-.2, half+.2)
	for _, c := range []struct{ share, loss float64 }{{.1, 0}, {.2, 0}, {.3, 0}, {0, .06}, {0, .12}} {
		adversary := ""
		if c.share > 0 {
			adversary = "blackhole"
		}
		tree.Broadcasts = 100
		r, err := g.broadcasts(adversary, Config{Share: c.share, Loss: c.loss}, tree)
		if err != nil {
			return err
		}
		g.within(fmt.Sprintf("f=%v, loss %v: coverage, beside the law", c.share, c.loss), *r.CoverageMean, *r.CoverageFormula-.04, *r.CoverageFormula+.04)
	}
	three, err := g.broadcasts("", Config{Loss: .12}, BroadcastPlan{Broadcasts: 20, Beta: []int{3}, PushOnly: true})
	if err != nil {
		return err
	}
	least := .999
	if g.nodes < 5000 { // a larger part of them lives in buckets that have fewer than three to offer
		least = .997
	}
	// The median: in 0.12^3 of the broadcasts the source alone loses the half farthest from it, whatever the others do, which is
	// most of what is missing in the mean.
	g.atLeast("three delegates, loss 0.12: coverage, median", *three.CoverageMedian, least)
	return nil
}

func goalPush(g *goalRun) error {
	for _, c := range []struct{ share, mean, worst, p99, last float64 }{
		{0, 1, 1, 2.4, 3}, {.1, .9995, .99, 3.2, 4.5}, {.2, .998, .985, 3.2, 4.5}, {.3, .993, .985, 3.2, 4.5},
	} {
		adversary := ""
		if c.share > 0 {
			adversary = "blackhole"
		}
		r, err := g.broadcasts(adversary, Config{Share: c.share}, BroadcastPlan{Broadcasts: 10, PushOnly: true})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("f=%v: ", c.share)
		g.atLeast(name+"coverage", *r.CoverageMean, c.mean)
		g.atLeast(name+"coverage, the worst", *r.CoverageWorst, c.worst)
		g.atMost(name+"RTT until 99 % have it", r.TimeToDeliver.P99, c.p99)
		g.atMost(name+"RTT until the last has it", r.TimeToLast.P50, c.last)
	}
	return nil
}

func goalRepair(g *goalRun) error {
	for _, c := range []struct{ share, mean float64 }{{0, 1}, {.1, .99999}, {.2, .9999}, {.3, .9998}} {
		adversary := ""
		if c.share > 0 {
			adversary = "blackhole"
		}
		r, err := g.broadcasts(adversary, Config{Share: c.share}, BroadcastPlan{Broadcasts: 20})
		if err != nil {
			return err
		}
		g.atLeast(fmt.Sprintf("f=%v: coverage", c.share), *r.CoverageMean, c.mean)
		if c.share == 0 {
			g.atMost("duplicates for each delivery", *r.Duplicates, 5)
			g.atMost("payloads sent by a node", *r.Payloads, 6)
			g.atMost("control messages sent by a node", *r.Control, 10)
		}
	}
	return nil
}

func goalCrash(g *goalRun) error {
	r, err := g.broadcasts("", Config{Dead: .3}, BroadcastPlan{Broadcasts: 10, Beta: []int{1}, PushOnly: true})
	if err != nil {
		return err
	}
	g.atLeast("30 % are gone, one delegate: coverage", *r.CoverageMean, .9999)
	g.atMost("payloads sent by a node", *r.Payloads, 1.8)
	return nil
}

func goalInflators(g *goalRun) error {
	honest, err := g.broadcasts("", Config{}, BroadcastPlan{})
	if err != nil {
		return err
	}
	r, err := g.broadcasts("inflator", Config{Share: .05}, BroadcastPlan{})
	if err != nil {
		return err
	}
	g.atMost("payloads sent by a node, of what honest ones would cost", *r.Payloads / *honest.Payloads, 1.2)
	g.atLeast("coverage", *r.CoverageMean, .9998)
	return nil
}

func goalChurn(g *goalRun) error {
	for _, c := range []struct {
		mean    time.Duration
		success float64
	}{{10_000 * time.Second, .99}, {1000 * time.Second, .95}} {
		w, err := g.network("", Config{})
		if err != nil {
			return err
		}
		w.Fill()
		r, err := w.Churn(g.ctx, ChurnPlan{Mean: c.mean})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("sessions of %.0f s: ", c.mean.Seconds())
		g.atLeast(name+"success", *r.Success, c.success)
		if c.mean == 10_000*time.Second {
			g.atMost(name+"upkeep, B/s of a node", *r.UpkeepBytes, 500)
		}
	}
	return nil
}

func goalJoin(g *goalRun) error {
	w, err := g.network("", Config{})
	if err != nil {
		return err
	}
	r, err := w.Joins(g.ctx, JoinPlan{})
	if err != nil {
		return err
	}
	g.atLeast("have joined", *r.Success, 1)
	g.atLeast("siblings known five minutes later", *r.SiblingsFound, .999)
	return nil
}

func goalHomes(g *goalRun) error {
	w, err := g.network("", Config{Homes: .33})
	if err != nil {
		return err
	}
	r, err := w.Joins(g.ctx, JoinPlan{Wait: 20 * time.Minute})
	if err != nil {
		return err
	}
	g.atLeast("siblings known that can be dialled", *r.SiblingsFound, .99)
	found, err := w.Lookups(g.ctx, LookupPlan{Lookups: 500})
	if err != nil {
		return err
	}
	g.atLeast("success", *found.Success, .99)
	return nil
}

func goalPartition(g *goalRun) error {
	w, err := g.network("", Config{})
	if err != nil {
		return err
	}
	w.Fill()
	r, err := w.Partition(g.ctx, PartitionPlan{})
	if err != nil {
		return err
	}
	g.atMost("siblings known while apart", *r.SiblingsApart, .7)
	after := math.Inf(1)
	if r.HealSeconds != nil {
		after = *r.HealSeconds
	}
	g.atMost("seconds until 99 % are known again", after, 1200)
	return nil
}

func goalSeed(g *goalRun) error {
	traces := map[string]bool{}
	for range 2 {
		r, err := g.lookups("colluder", Config{Share: .2}, LookupPlan{Lookups: 300})
		if err != nil {
			return err
		}
		traces[r.TraceHash] = true
	}
	g.within("traces of two runs", float64(len(traces)), 1, 1)
	clear(traces)
	for _, workers := range []int{1, 2, 4} {
		r, err := g.lookups("", Config{Workers: workers}, LookupPlan{Lookups: 300})
		if err != nil {
			return err
		}
		traces[r.TraceHash] = true
	}
	g.within("traces of 1, 2 and 4 workers", float64(len(traces)), 1, 1)
	return nil
}
