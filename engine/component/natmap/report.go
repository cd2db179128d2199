package natmap

import "net/netip"

// A Report is how a node stands to its gateway.
type Report struct {
	Gateway  Gateway       // zero: none
	Problem  error         // why there is no gateway
	Agents   []AgentReport // the protocols, in the order of Protocol
	Mappings []Mapping     // what is reachable from outside now
}

// An AgentReport is about one protocol at the gateway.
type AgentReport struct {
	Via      Protocol
	Answers  bool       // at this moment
	Holder   bool       // it makes the mappings
	Address  netip.Addr // the external address as it says; zero: it has not said
	Public   bool       // which the internet can reach
	Device   string     // what it calls itself
	Others   []netip.Addr
	Err      error // the last call's, nil if it was answered well
	Refusing bool  // it has said no to a mapping, and no yes since
}

func (m *machine) report(problem error) Report {
	r := Report{Gateway: m.gateway, Problem: problem, Mappings: m.Mappings()}
	for i := range m.agents {
		a := &m.agents[i]
		r.Agents = append(r.Agents, AgentReport{
			Via: a.via, Answers: a.state == ready, Holder: a == m.holder, Address: a.address, Public: public(a.address),
			Device: a.device, Others: a.others, Err: a.err, Refusing: a.refusing(),
		})
	}
	return r
}

func (a *agent) refusing() bool {
	for _, h := range a.holdings {
		if h.refused {
			return true
		}
	}
	return false
}

// A Kind says in one word how a node stands in the network, as far as its gateway tells.
type Kind string

const (
	KindNoGateway Kind = "no gateway"        // not connected, or not by a router
	KindPublic    Kind = "public"            // this host has a public address: nothing to map
	KindMapped    Kind = "mapped"            // behind a router that has opened the ports
	KindStacked   Kind = "carrier-grade NAT" // behind a router that is itself behind another
	KindRefused   Kind = "refused"           // behind a router that does not map
	KindSilent    Kind = "no answer"         // behind a router that speaks neither protocol
	KindLooking   Kind = "looking"           // not known yet
)

// Kind sums the report up.
func (r *Report) Kind() Kind {
	switch {
	case r.Gateway.isZero():
		return KindNoGateway
	case public(r.Gateway.Local):
		return KindPublic
	case len(r.Mappings) > 0:
		return KindMapped
	}
	stacked, refused, silent := false, false, 0
	for _, a := range r.Agents {
		stacked = stacked || a.Answers && !a.Public
		refused = refused || a.Answers && a.Refusing
		if !a.Answers && a.Err != nil {
			silent++
		}
	}
	switch {
	case refused:
		return KindRefused
	case stacked:
		return KindStacked
	case silent == len(r.Agents):
		return KindSilent
	}
	return KindLooking
}
