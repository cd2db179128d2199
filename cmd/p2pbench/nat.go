package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/natmap"
)

type natCommand struct {
	Gateway string        `help:"Ask this router, not that of the default route." placeholder:"IP"`
	NoMap   bool          `help:"Only look: make no mapping for a try."`
	Peer    []string      `help:"Also ask nodes that run elsewhere how they see this host; two of them by udp:// tell the kind of NAT." placeholder:"PROTO://[ID@]IP:PORT,..."`
	Network string        `help:"The peers' network." placeholder:"NAME"`
	C1      uint8         `name:"c1" help:"The peers' static puzzle." default:"16"`
	C2      uint8         `name:"c2" help:"Their dynamic puzzle." default:"20"`
	Timeout time.Duration `help:"When to give up." default:"20s"`
	JSON    string        `help:"Write what was found as one JSON object; - for standard output." placeholder:"FILE|-"`
}

func (natCommand) Help() string {
	return `Prints what the network around this host is: its router, what the router speaks and whether it opens a port, and with --peer
how this host looks from outside. A mapping for a port of its own is made for the try and removed again.

  p2pbench nat
  p2pbench nat --no-map --json -
  p2pbench nat --peer udp://198.51.100.7:4001,udp://203.0.113.9:4001`
}

// natFacts are what was found; their JSON is for programs, so names stay.
type natFacts struct {
	Kind     natmap.Kind      `json:"kind"`
	Gateway  *natmap.Gateway  `json:"gateway,omitempty"`
	Routes   []natmap.Gateway `json:"routes,omitempty"`
	Problem  string           `json:"problem,omitempty"`
	Agents   []natAgent       `json:"protocols,omitempty"`
	External string           `json:"external,omitempty"`
	Mappings []natMapping     `json:"mappings,omitempty"` // the try
	Listed   []natmap.Listed  `json:"listed,omitempty"`
	Seen     []natSight       `json:"seen,omitempty"`
	NAT      natBehaviour     `json:"nat,omitempty"`
	Advice   string           `json:"advice"`
}

type natAgent struct {
	Protocol string       `json:"protocol"`
	Answers  bool         `json:"answers"`
	External string       `json:"external,omitempty"`
	Public   bool         `json:"public"`
	Device   string       `json:"device,omitempty"`
	Others   []netip.Addr `json:"others,omitempty"` // who answered searches and is not the gateway
	Problem  string       `json:"problem,omitempty"`
}

type natMapping struct {
	Port     string `json:"port"`
	External string `json:"external"`
	Protocol string `json:"protocol"`
}

func (c *natCommand) Run(a *app) error {
	gateway, err := c.gateway()
	if err != nil {
		return err
	}
	out, done, err := a.jsonOut(c.JSON)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	found, err := c.look(ctx, gateway)
	if err != nil {
		return err
	}
	if len(c.Peer) > 0 {
		if found.Seen, err = c.askPeers(ctx, found.Gateway); err != nil {
			return err
		}
		found.NAT = behaviour(found.Seen)
	}
	if a.ctx.Err() != nil {
		return errInterrupted
	}
	found.Advice = advice(found, c.NoMap)
	printNAT(a.tableOut(c.JSON), found)
	if err := writeJSON(out, found); err != nil {
		return err
	}
	return done()
}

func (c *natCommand) gateway() (netip.Addr, error) {
	if c.Gateway == "" {
		return netip.Addr{}, nil
	}
	gateway, err := netip.ParseAddr(c.Gateway)
	if err != nil || !gateway.Is4() {
		return netip.Addr{}, fmt.Errorf("%w: --gateway %q: want an IPv4 address", errUsage, c.Gateway)
	}
	return gateway, nil
}

// look surveys the gateway. The port of the try is held meanwhile, so that nobody else is opened to the world.
func (c *natCommand) look(ctx context.Context, gateway netip.Addr) (*natFacts, error) {
	var trial natmap.Port
	if !c.NoMap {
		l, err := net.Listen("tcp4", "0.0.0.0:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		trial.Number = uint16(l.Addr().(*net.TCPAddr).Port)
	}
	return facts(natmap.Look(ctx, gateway, trial)), nil
}

func facts(s natmap.Survey) *natFacts {
	f := &natFacts{Kind: s.Kind(), Routes: s.Routes, Listed: s.Listed}
	if s.Gateway.Addr.IsValid() {
		f.Gateway = &s.Gateway
	}
	if s.Problem != nil {
		f.Problem = trimPackage(s.Problem)
	}
	for _, a := range s.Agents {
		one := natAgent{Protocol: a.Via.String(), Answers: a.Answers, Public: a.Public, Device: a.Device, Others: a.Others, Problem: a.Why()}
		if a.Address.IsValid() {
			one.External = a.Address.String()
		}
		if a.Public && f.External == "" {
			f.External = one.External
		}
		f.Agents = append(f.Agents, one)
	}
	for _, m := range s.Mappings {
		f.Mappings = append(f.Mappings, natMapping{m.Port.String(), m.External.String(), m.Via.String()})
	}
	return f
}

// advice is what an operator makes of it.
func advice(f *natFacts, onlyLooked bool) string {
	switch f.Kind {
	case natmap.KindPublic:
		return "this host has a public address: listen on it"
	case natmap.KindMapped:
		return "nodes here are reachable with MapPorts"
	case natmap.KindStacked:
		return "the router is behind another NAT: nodes here need a relay"
	case natmap.KindRefused:
		return "the router refuses: allow NAT-PMP or UPnP there, forward a port by hand and advertise it, or use a relay"
	case natmap.KindSilent:
		return "the router speaks neither protocol: forward a port by hand and advertise it, or use a relay"
	case natmap.KindNoGateway:
		return "no router to ask: is this host connected?"
	}
	if onlyLooked {
		return "the router answers; whether it opens ports was not tried"
	}
	return "no verdict in the time given: try again with a longer --timeout"
}

func printNAT(w io.Writer, f *natFacts) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("kind", "%s", f.Kind)
	switch {
	case f.Gateway != nil:
		line("gateway", "%v%s, this host is %v", f.Gateway.Addr, over(f.Gateway.Interface), f.Gateway.Local)
	case f.Problem != "":
		line("gateway", "%s", f.Problem)
	}
	for _, r := range f.Routes {
		if f.Gateway == nil || r.Addr != f.Gateway.Addr {
			line("also there", "%v%s, with a worse route", r.Addr, over(r.Interface))
		}
	}
	for _, a := range f.Agents {
		line(a.Protocol, "%s", agentLine(a))
		for _, other := range a.Others {
			line("", "%v answers as well and is not the gateway: not listened to", other)
		}
	}
	if f.External != "" {
		line("external", "%s", f.External)
	}
	for _, m := range f.Mappings {
		line("mapping", "%s -> %s by %s, for a try", m.Port, m.External, m.Protocol)
	}
	for _, l := range f.Listed {
		line("in the router", "%s %d -> %s:%d %s", l.Protocol, l.External, l.Client, l.Internal, l.Name)
	}
	for _, s := range f.Seen {
		line("seen", "%s", s.line())
	}
	if f.NAT != "" {
		line("NAT", "%s", f.NAT)
	}
	line("so", "%s", f.Advice)
	_ = t.Flush() // standard output that is gone is not worth more words
}

func over(iface string) string {
	if iface == "" {
		return ""
	}
	return " over " + iface
}

func agentLine(a natAgent) string {
	if !a.Answers {
		if a.Problem == "" {
			return "not asked"
		}
		return a.Problem
	}
	s := "answers"
	if a.Device != "" {
		s += " as " + a.Device
	}
	switch {
	case a.External != "" && a.Public:
		s += ", external address " + a.External
	case a.External != "":
		s += ", external address " + a.External + ", which is not public"
	default:
		s += ", has no external address"
	}
	if a.Problem != "" && a.Public {
		s += "; " + a.Problem
	}
	return s
}
