package promexport

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

func TestMain(m *testing.M) {
	enginetest.VerifyMain(m)
}

// started is a node on loopback with every component that keeps books.
func started(t *testing.T) *engine.Network {
	t.Helper()
	n, err := node.New(node.Config{Listen: []string{"tcp://127.0.0.1:0"}, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Loops: 2,
		Reconnect: &backoff.Config{}})
	if err != nil {
		t.Fatal(err)
	}
	others, err := reach.New(reach.Config{}) // a node of an overlay has it
	if err != nil {
		t.Fatal(err)
	}
	if err := n.AddComponent(others); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func dial(t *testing.T, from, to *engine.Network) *engine.PeerClient {
	t.Helper()
	p, err := from.Dial(t.Context(), to.Target().String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// series are the names with their labels that a scrape gives, and their values.
func series(t *testing.T, n *engine.Network) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // refuses what was not described, and doubles
	r.MustRegister(NewCollector(n))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "," + l.GetName() + "=" + l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				all[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				all[name] = m.GetGauge().GetValue()
			default:
				all[name] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return all
}

// A scrape is well named, and what happened is in it.
func TestCollect(t *testing.T) {
	n, other := started(t), started(t)
	if err := n.AddComponent(&sink{}); err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(NewCollector(n))
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	p := dial(t, other, n)
	for range 5 {
		if _, _, err := p.RequestRaw(t.Context(), opNote, []byte("1234"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := series(t, n)
	giveUp := time.After(time.Minute)
	for got["carrier_opcode_messages_received_total,opcode=Ping"] == 0 { // counted at the end of the event
		select {
		case <-giveUp:
			t.Fatalf("the Ping is not counted: %v", got)
		default:
			got = series(t, n)
		}
	}
	for name, want := range map[string]float64{
		"carrier_peers,direction=in":                                 1,
		"carrier_peers,direction=out":                                0,
		"carrier_peers_limit,direction=all":                          engine.PeersDefault,
		"carrier_connections_opened_total":                           1,
		"carrier_opcode_messages_received_total,opcode=Opcode(1000)": 5,
		"carrier_opcode_bytes_received_total,opcode=Opcode(1000)":    20,
		"carrier_opcode_messages_received_total,opcode=Ping":         1,
		"carrier_component_errors_total,component=promexport.sink":   0,
		"carrier_ack_sent_total,outcome=acked":                       0,
		"carrier_reconnect_waiting":                                  0,
		"carrier_metric_questions_total,outcome=served":              0,
		"carrier_reach_verdict,verdict=unknown":                      1,
		"carrier_reach_verdict,verdict=reachable":                    0,
		"carrier_reach_client":                                       0,
		"carrier_reach_requests_total,outcome=not_reached":           0,
		"carrier_faults_total,whose=peer":                            0,
		"carrier_buffer_limit_bytes":                                 engine.MemoryDefault,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
		}
	}
	if got["carrier_bytes_total,direction=in"] == 0 || got["carrier_loop_held_seconds,loop=0"]+got["carrier_loop_held_seconds,loop=1"] == 0 {
		t.Errorf("no bytes, or no events: %v", got)
	}
}

// What a transport over datagrams drops is there, where there is one.
func TestDatagrams(t *testing.T) {
	over := udpio.New(udpio.Config{Loops: 1})
	n, err := node.New(node.Config{Listen: []string{"tcp://127.0.0.1:0"}, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Loops: 1,
		Transports: []transport.Transport{over}})
	if err != nil {
		t.Fatal(err)
	}
	c := over.Counts()
	for i, count := range []*atomic.Int64{&c.Malformed, &c.Unknown, &c.Strangers, &c.BadCookie, &c.Replayed, &c.Overrun, &c.Cookies, &c.Moved, &c.Stayed} {
		count.Store(int64(i + 1))
	}
	got, without := series(t, n), series(t, started(t))
	for i, name := range []string{
		"datagrams_dropped_total,why=malformed", "datagrams_dropped_total,why=unknown", "datagrams_dropped_total,why=stranger",
		"datagrams_dropped_total,why=bad_cookie", "datagrams_dropped_total,why=replayed", "datagrams_dropped_total,why=overrun",
		"datagram_cookies_total", "datagram_moves_total,outcome=moved", "datagram_moves_total,outcome=stayed",
	} {
		if v := got["carrier_"+name]; v != float64(i+1) {
			t.Errorf("%s is %v, want %d", name, v, i+1)
		}
		if _, ok := without["carrier_"+name]; ok {
			t.Errorf("%s is there without datagrams", name)
		}
	}
}

// The number of series does not grow with peers, whatever they send.
func TestBounded(t *testing.T) {
	n, other := started(t), started(t)
	dial(t, other, n).TrySendRaw(opNote, nil)
	before := len(series(t, n))
	for range 10 {
		more := started(t)
		p := dial(t, more, n)
		for op := opcode.Opcode(2000); op < 2100; op++ {
			if err := p.TrySendRaw(op, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.Ping(t.Context()); err != nil { // behind all of them, nearly: it is a lane of its own
			t.Fatal(err)
		}
	}
	if after := len(series(t, n)); after > before+8 { // opcodes of the library that came for the first time
		t.Errorf("%d series with one peer, %d with eleven", before, after)
	}
	many := make([]sample, 200)
	for i := range many {
		many[i] = sample{float64(i), []string{fmt.Sprint(i)}}
	}
	cut := bounded(many)
	sum := 0.0
	for _, s := range cut {
		sum += s.value
	}
	if last := cut[len(cut)-1]; len(cut) != labelLimit || last.labels[0] != "other" || sum != 199*200/2 {
		t.Errorf("%d series are left, the last %v, together %v", len(cut), last, sum)
	}
}

// Histograms are cumulative, and the last bucket is left to Prometheus.
func TestOfSpans(t *testing.T) {
	s := engine.Spans{Sum: 5e9}
	s.Counts[0], s.Counts[3], s.Counts[17] = 1, 2, 4
	h := ofSpans(s)
	for i, want := range map[int]uint64{0: 1, 1: 1, 2: 1, 3: 3, 16: 3} {
		if got := h.buckets[engine.SpanBound(i).Seconds()]; got != want {
			t.Errorf("bucket %d has %d, want %d", i, got, want)
		}
	}
	if h.count != 7 || h.sum != 5 || len(h.buckets) != 17 {
		t.Errorf("%+v", h)
	}
}

const opNote opcode.Opcode = 1000

type sink struct{ engine.Component }

func (*sink) Opcodes() []opcode.Opcode { return []opcode.Opcode{opNote} }

func (*sink) Receive(ctx *engine.ComponentContext) error {
	if ctx.IsRequest() {
		return ctx.ReplyRaw(opNote, nil)
	}
	return engine.ErrIntercepted
}

// The page for Prometheus has the network's metrics and the process's.
func TestHandler(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(started(t)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, _ := io.ReadAll(w.Result().Body)
	for _, want := range []string{"carrier_peers{direction=\"in\"} 0", "carrier_loop_late_seconds_bucket{loop=\"1\",le=\"+Inf\"}", "go_goroutines "} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in\n%.2000s", want, body)
		}
	}
}

// described are the names of all metrics.
func described() (names []string) {
	ch := make(chan *prometheus.Desc, 200)
	NewCollector(nil).Describe(ch)
	close(ch)
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range ch {
		names = append(names, name.FindStringSubmatch(d.String())[1])
	}
	return names
}

var update = flag.Bool("update", false, "write the table of docs/metrics.md anew")

// The table of docs/metrics.md is that of the metrics there are.
func TestDocument(t *testing.T) {
	const page, mark = "../../docs/metrics.md", "| metric | kind | label | |\n|---|---|---|---|\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rows, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatal("the page has no table")
	}
	about := regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]+)",.*variableLabels: \{([^}]*)\}`)
	var want strings.Builder
	row := func(d *prometheus.Desc, kind string) {
		m := about.FindStringSubmatch(d.String())
		label := ""
		if m[3] != "" {
			label = "`" + m[3] + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m[1], kind, label, m[2])
	}
	for _, f := range families {
		row(f.desc, map[prometheus.ValueType]string{prometheus.CounterValue: "counter", prometheus.GaugeValue: "gauge"}[f.kind])
	}
	for _, h := range histograms {
		row(h.desc, "histogram")
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+mark+want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if rows != want.String() {
		t.Errorf("the table of %s is not that of the metrics (-update writes it):\n%s", page, want.String())
	}
}

var metricName = regexp.MustCompile(`\bcarrier_[a-z0-9_]+`)

// Every metric that the dashboard asks for exists, with the labels it groups by, and every metric is on the dashboard.
func TestDashboard(t *testing.T) {
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(Dashboard(), &d); err != nil {
		t.Fatal(err)
	}
	names, used := described(), map[string]bool{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 || (p.Type != "row") != (len(p.Targets) > 0) {
			t.Errorf("panel %d, %q: a double ID, no title, too wide, or without a query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			for _, name := range metricName.FindAllString(q.Expr, -1) {
				base := name
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if cut, ok := strings.CutSuffix(name, suffix); ok && slices.Contains(names, cut) {
						base = cut
					}
				}
				if !slices.Contains(names, base) {
					t.Errorf("%q asks for %s, which does not exist", p.Title, name)
				}
				used[base] = true
			}
			checkLabels(t, p.Title, q.Expr, q.LegendFormat)
		}
	}
	for _, name := range names {
		if !used[name] {
			t.Errorf("%s is on no panel", name)
		}
	}
}

// checkLabels: what a query groups by, and what its legend shows, are labels of the metric.
func checkLabels(t *testing.T, title, expr, legend string) {
	t.Helper()
	name := metricName.FindString(expr)
	known := labelsOf(name)
	groups := regexp.MustCompile(`by \(([a-z, ]+)\)`).FindAllStringSubmatch(expr, -1)
	var grouped []string
	for _, g := range groups {
		for label := range strings.SplitSeq(g[1], ",") {
			grouped = append(grouped, strings.TrimSpace(label))
		}
	}
	for _, label := range grouped {
		if label != "le" && !slices.Contains(known, label) {
			t.Errorf("%q groups %s by %s, which it does not have", title, name, label)
		}
	}
	for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(grouped, m[1]) {
			t.Errorf("%q shows the label %s, by which it does not group", title, m[1])
		}
	}
}

func labelsOf(name string) []string {
	ch := make(chan *prometheus.Desc, 200)
	NewCollector(nil).Describe(ch)
	close(ch)
	for d := range ch {
		s := d.String()
		fq := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(s)[1]
		if name == fq || strings.HasPrefix(name, fq+"_") && regexp.MustCompile(`_(bucket|sum|count)$`).MatchString(name) {
			if m := regexp.MustCompile(`variableLabels: \{([^}]*)\}`).FindStringSubmatch(s); m != nil && m[1] != "" {
				return strings.Split(m[1], ",")
			}
		}
	}
	return nil
}
