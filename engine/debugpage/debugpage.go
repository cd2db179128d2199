// Package debugpage is a web page on which a person watches a node live: its peers, what they send, its limits, how its loops
// fare, what went wrong.
//
//	page := debugpage.New(net)
//	http.Handle("/debug/", http.StripPrefix("/debug", page))
//
// The page is one file without anything from elsewhere. It fetches state.json, beside it, once a second, and computes rates
// from the counters in it; so it costs the node nothing while nobody looks. Peers are shown by identity and address, so it
// belongs on an address that strangers cannot reach. It changes nothing: there is no request but GET.
//
// A Page subscribes to the network's events and keeps the last eventsKept of them; the subscription, and its goroutine, end
// with the network.
package debugpage

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
)

const (
	// peersShown bounds the peers in state.json, 200: some 40 KB a second for whoever watches.
	peersShown = 200

	// eventsKept is how many events the page remembers.
	eventsKept = 50

	// patience bounds the wait for a loop that is held, so that the page can show that it is.
	patience = 500 * time.Millisecond
)

//go:embed page.html
var html []byte

// A Page is the http.Handler. It may be used by any goroutine.
type Page struct {
	net *engine.Network

	mu     sync.Mutex
	events []event // the newest last
}

// New makes the page of a network, which need not have been started.
func New(net *engine.Network) *Page {
	p := &Page{net: net}
	go p.listen(net.Events(context.Background()))
	return p
}

// listen ends when the network stops.
func (p *Page) listen(events <-chan engine.Event) {
	for e := range events {
		p.keep(told(e, time.Now()))
	}
}

func (p *Page) keep(e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.events = append(p.events, e); len(p.events) > eventsKept {
		p.events = append(p.events[:0:0], p.events[len(p.events)-eventsKept:]...)
	}
}

// ServeHTTP serves the page at / and what it shows at /state.json.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	switch r.URL.Path {
	case "/", "":
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'")
		_, _ = w.Write(html)
	case "/state.json":
		h.Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.state(r.Context())) // whoever has gone does not need the rest
	default:
		http.NotFound(w, r)
	}
}
