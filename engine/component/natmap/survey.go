package natmap

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// A Survey is what the network around this host is, as far as its gateways tell.
type Survey struct {
	Report
	Routes []Gateway // all default routes over a gateway, best first; Local only where it is known
	Listed []Listed  // what the gateway says it maps, listedLimit at most
}

// A Listed is one mapping of a gateway, of any host, in the gateway's words.
type Listed struct {
	Protocol string `json:"protocol"`
	External uint16 `json:"external"`
	Client   string `json:"client"` // the host it leads to
	Internal uint16 `json:"internal"`
	Name     string `json:"name"`
	Seconds  uint32 `json:"seconds"` // left; 0: without an end, or not said
	Enabled  bool   `json:"enabled"`
}

// Look finds out what a node here would find: who the gateway is, what it speaks, and whether it maps. trial is a port of this
// host for which a mapping is made and removed again; zero: none is made. gateway is asked instead of that of the default
// route, if it is valid. Look takes up to five seconds, or until ctx ends; it waits, so not on a loop.
func Look(ctx context.Context, gateway netip.Addr, trial Port) Survey {
	s := Survey{Routes: known()}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k := newKeeper(0, func() (Gateway, error) { return findGateway(gateway) }, dial)
	k.event = func(event) {}
	k.want = func(local netip.Addr) []Port {
		if public(local) {
			return nil
		}
		return []Port{trial}
	}
	k.m.mapNothing = trial == (Port{})
	k.changed = func(r Report) {
		if ctx.Err() == nil {
			s.Report = r
			if r.settled(k.m.mapNothing) {
				cancel()
			}
		}
	}
	k.run(ctx)
	if a := s.agent(UPnP); a != nil && a.Answers {
		s.Listed = list(context.WithoutCancel(ctx), s.Gateway)
	}
	return s
}

// known are the default routes.
func known() (out []Gateway) {
	found, _ := routes() // the report says what is wrong
	for _, r := range found {
		g := Gateway{Addr: r.Gateway, Interface: r.Interface}
		if len(out) == 0 {
			g.Local, _ = localFor(g.Addr)
		}
		out = append(out, g)
	}
	return out
}

func (r *Report) agent(via Protocol) *AgentReport {
	if int(via) >= len(r.Agents) {
		return nil
	}
	return &r.Agents[via]
}

// settled: every protocol has been asked, and the trial has ended one way or the other.
func (r *Report) settled(nothing bool) bool {
	if r.Gateway.isZero() || public(r.Gateway.Local) {
		return true
	}
	usable, refused := 0, 0
	for _, a := range r.Agents {
		if !a.Answers && a.Err == nil {
			return false
		}
		if a.Answers && a.Public {
			usable++
			if a.Refusing {
				refused++
			}
		}
	}
	return nothing || usable == refused || len(r.Mappings) > 0
}

// list asks the gateway for its table.
func list(ctx context.Context, g Gateway) (out []Listed) {
	ctx, cancel := context.WithTimeout(ctx, upnpTimeout)
	defer cancel()
	d := newUPnP(g)
	if d.find(ctx) != nil {
		return nil
	}
	for i := range uint16(listedLimit) {
		_, external, protocol, internal, client, enabled, name, left, err := d.device.service.GetGenericPortMappingEntryCtx(ctx, i)
		if err != nil { // the end of the table, or it does not tell
			return out
		}
		out = append(out, Listed{printable(protocol), external, printable(client), internal, printable(name), left, enabled})
	}
	return out
}

// nameLimit bounds what is kept of a gateway's words for people.
const nameLimit = 64

// errorLimit is the same of errors, in which libraries quote what a gateway has said.
const errorLimit = 256

// printable makes a gateway's words fit to be shown.
func printable(said string) string { return shown(said, nameLimit) }

func shown(said string, limit int) string {
	word := []rune(said[:min(len(said), utf8.UTFMax*limit)])
	word = word[:min(len(word), limit)]
	for i, r := range word {
		if !strconv.IsPrint(r) {
			word[i] = '?'
		}
	}
	return string(word)
}

// Why says in a few words what an agent's error means.
func (a *AgentReport) Why() string {
	for _, kind := range []error{ErrSilent, ErrGone, ErrNoAddress, ErrTaken, ErrPermanent, ErrNonsense, ErrRefused} {
		if errors.Is(a.Err, kind) {
			return kind.Error()[len("natmap: "):]
		}
	}
	return ""
}
