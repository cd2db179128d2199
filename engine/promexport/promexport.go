// Package promexport shows a Network to Prometheus: its own counters, how its loops fare, and the components that keep books.
//
//	registry.MustRegister(promexport.NewCollector(net))
//	http.Handle("/metrics", promexport.Handler(net)) // or all at once, with the process's own metrics
//
// Every name begins with carrier_. No label comes from a peer: the values are directions, reasons, opcodes that this node
// has registered, its components, tasks and loops, and of each only so many as labelLimit. So the number of series is bounded,
// and does not grow with peers. What is known of single peers is on the page of engine/debugpage.
//
// A scrape reads Network.Stats and asks each open peer for its round trip, about a millisecond for ten thousand peers. The
// Collector keeps nothing between scrapes and may be used by any goroutine.
//
// Dashboard is a Grafana dashboard that shows all of it.
package promexport

import (
	_ "embed"
	"net/http"
	"slices"
	"sort"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/component/metric"
	"github.com/carrier-p2p/carrier/engine/component/reach"
)

// labelLimit bounds the values of a label. What does not fit is summed up under "other".
const labelLimit = 64

//go:embed dashboard.json
var dashboard []byte

// Dashboard returns a Grafana dashboard, to be imported. It asks for its Prometheus data source.
func Dashboard() []byte { return slices.Clone(dashboard) }

// A Collector is a prometheus.Collector of one Network. For several in one process, give each labels of its own with
// prometheus.WrapRegistererWith.
type Collector struct{ net *engine.Network }

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector makes the Collector of a network, which need not have been started.
func NewCollector(net *engine.Network) *Collector { return &Collector{net} }

// Handler serves the metrics of a network and of the process it runs in.
func Handler(net *engine.Network) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(NewCollector(net), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// Describe tells of all metrics there can be.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range families {
		ch <- f.desc
	}
	for _, f := range histograms {
		ch <- f.desc
	}
}

// Collect reads the network.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	v := view{net: c.net, Stats: c.net.Stats()}
	if a, ok := engine.ComponentOf[*ack.Component](c.net); ok {
		s := a.Stats()
		v.acks = &s
	}
	if b, ok := engine.ComponentOf[*backoff.Component](c.net); ok {
		s := b.Stats()
		v.backoff = &s
	}
	if m, ok := engine.ComponentOf[*metric.Component](c.net); ok {
		s := m.Stats()
		v.metric = &s
	}
	if r, ok := engine.ComponentOf[*reach.Component](c.net); ok {
		v.reach = &reachView{r.Reachability(), r.Stats()}
	}
	for _, f := range families {
		for _, s := range bounded(f.read(&v)) {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, s.value, s.labels...)
		}
	}
	for _, f := range histograms {
		for _, h := range f.read(&v) {
			ch <- prometheus.MustNewConstHistogram(f.desc, h.count, h.sum, h.buckets, h.labels...)
		}
	}
}

// A view is what one scrape sees. Components that the network does not have are nil.
type view struct {
	engine.Stats
	net     *engine.Network
	acks    *ack.Stats
	backoff *backoff.Stats
	metric  *metric.Stats
	reach   *reachView
}

// A reachView is what component/reach has to say.
type reachView struct {
	reach.Report
	stats reach.Stats
}

// A sample is one series of a family.
type sample struct {
	value  float64
	labels []string
}

// bounded sorts samples and sums up those beyond labelLimit, the smallest.
func bounded(all []sample) []sample {
	if len(all) <= labelLimit {
		return all
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].value > all[j].value })
	rest := sample{labels: slices.Clone(all[labelLimit-1].labels)}
	rest.labels[len(rest.labels)-1] = "other"
	for _, s := range all[labelLimit-1:] {
		rest.value += s.value
	}
	return append(all[:labelLimit-1:labelLimit-1], rest)
}
