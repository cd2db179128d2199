package natmap

import (
	"errors"
	"net/netip"
	"time"
)

// A Protocol is a way to ask a gateway for a mapping.
type Protocol uint8

const (
	PMP  Protocol = iota // NAT-PMP, RFC 6886: two datagrams, and it tells when the gateway has restarted
	UPnP                 // UPnP Internet Gateway Device, versions 1 and 2: XML over HTTP

	protocols = 2
)

func (p Protocol) String() string {
	if p == PMP {
		return "NAT-PMP"
	}
	return "UPnP"
}

// What a gateway may answer, as AgentReport.Err and in events. What the libraries of the two protocols say is turned into these;
// nothing that is decided depends on anything else.
var (
	ErrSilent    = errors.New("natmap: the gateway does not answer")
	ErrGone      = errors.New("natmap: nobody listens at the gateway")
	ErrRefused   = errors.New("natmap: the gateway refuses")
	ErrTaken     = errors.New("natmap: the external port is another host's")
	ErrNoAddress = errors.New("natmap: the gateway has no public address")
	ErrPermanent = errors.New("natmap: the gateway maps without an end only")
	ErrNonsense  = errors.New("natmap: the gateway's answer makes no sense")
)

// A verb says what is to be done.
type verb uint8

const (
	verbProbe verb = iota + 1 // is it there, what is its address, does it still have what we hold?
	verbMap                   // make or renew a mapping
	verbUnmap                 // remove one
)

// An action is a call that the machine wants made: once, with exactly one result.
type action struct {
	Verb     verb
	Via      Protocol
	Gateway  Gateway
	Port     Port          // verbMap, verbUnmap
	External uint16        // verbMap: the external port wished for; verbUnmap: the one to free
	Lifetime time.Duration // verbMap; 0: without an end
	Held     []held        // verbProbe: what to look for

	turn uint64 // of the gateway
}

// A held is a mapping that should be there.
type held struct {
	Port     Port
	External uint16
}

// A result is what became of an action. Err is nil or wraps one of the errors above; fields that do not belong to the
// verb are zero.
type result struct {
	Action   action
	Err      error
	Address  netip.Addr    // verbProbe: the external address, as the gateway says
	Epoch    time.Duration // verbProbe, verbMap: since the gateway began to count; where HasEpoch
	HasEpoch bool
	Missing  []Port        // verbProbe: of held, those that the gateway knows nothing of
	Device   string        // verbProbe: what it calls itself
	Others   []netip.Addr  // verbProbe: who has answered as well and is not the gateway
	External uint16        // verbMap: the port that was given
	Lifetime time.Duration // verbMap: for how long; 0: without an end
}

// An eventKind says what happened, for people.
type eventKind uint8

const (
	gatewayFound     eventKind = iota + 1 // a gateway answers
	gatewayLost                           // and does so no longer
	gatewayRestarted                      // it has forgotten its mappings
	addressChanged                        // its external address is another one
	notPublic                             // it has none that can be reached from the internet: a second NAT above it
	mapped                                // a port can be reached from outside
	mappingLost                           // and can no longer
	mappingRefused                        // the gateway says no; Err why
)

func (k eventKind) String() string {
	names := [...]string{"none", "gateway found", "gateway lost", "gateway restarted", "external address changed",
		"no public address", "mapped", "mapping lost", "mapping refused"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// An event is something an operator may want to know. Fields that do not belong to the kind are zero.
type event struct {
	Kind     eventKind
	Via      Protocol
	Gateway  netip.Addr
	Port     Port
	External netip.AddrPort
	Err      error
}

// String is one line for people.
func (e event) String() string {
	s := e.Kind.String() + " (" + e.Via.String()
	if e.Gateway.IsValid() {
		s += " at " + e.Gateway.String()
	}
	s += ")"
	if e.Port != (Port{}) {
		s += " " + e.Port.String()
	}
	switch {
	case e.External.Port() != 0:
		s += " " + e.External.String()
	case e.External.Addr().IsValid():
		s += " " + e.External.Addr().String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}
