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

// What a gateway may answer. Dialects turn the words of their libraries into these; the machine knows nothing else.
var (
	ErrSilent    = errors.New("natmap: the gateway does not answer")
	ErrGone      = errors.New("natmap: nobody listens at the gateway")
	ErrRefused   = errors.New("natmap: the gateway refuses")
	ErrTaken     = errors.New("natmap: the external port is another host's")
	ErrNoAddress = errors.New("natmap: the gateway has no public address")
	ErrPermanent = errors.New("natmap: the gateway maps without an end only")
	ErrNonsense  = errors.New("natmap: the gateway's answer makes no sense")
)

// A Verb says what is to be done.
type Verb uint8

const (
	Probe Verb = iota + 1 // is it there, what is its address, does it still have what we hold?
	Map                   // make or renew a mapping
	Unmap                 // remove one
)

// An Action is a call that the machine wants made: once, with exactly one Result.
type Action struct {
	Verb     Verb
	Via      Protocol
	Gateway  Gateway
	Port     Port          // Map, Unmap
	External uint16        // Map: the external port wished for; Unmap: the one to free
	Lifetime time.Duration // Map; 0: without an end
	Held     []Held        // Probe: what to look for

	turn uint64 // of the gateway
}

// Held is a mapping that should be there.
type Held struct {
	Port     Port
	External uint16
}

// A Result is what became of an Action. Err is nil or wraps one of the errors above; fields that do not belong to the
// verb are zero.
type Result struct {
	Action   Action
	Err      error
	Address  netip.Addr    // Probe: the external address, as the gateway says
	Epoch    time.Duration // Probe, Map: since the gateway began to count; where HasEpoch
	HasEpoch bool
	Missing  []Port        // Probe: of Held, those that the gateway knows nothing of
	Device   string        // Probe: what it calls itself
	Others   []netip.Addr  // Probe: who has answered as well and is not the gateway
	External uint16        // Map: the port that was given
	Lifetime time.Duration // Map: for how long; 0: without an end
}

// An EventKind says what happened, for people.
type EventKind uint8

const (
	GatewayFound     EventKind = iota + 1 // a gateway answers
	GatewayLost                           // and does so no longer
	GatewayRestarted                      // it has forgotten its mappings
	AddressChanged                        // its external address is another one
	NotPublic                             // it has none that can be reached from the internet: a second NAT above it
	Mapped                                // a port can be reached from outside
	MappingLost                           // and can no longer
	MappingRefused                        // the gateway says no; Err why
)

func (k EventKind) String() string {
	names := [...]string{"none", "gateway found", "gateway lost", "gateway restarted", "external address changed",
		"no public address", "mapped", "mapping lost", "mapping refused"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// An Event is something an operator may want to know. Fields that do not belong to the kind are zero.
type Event struct {
	Kind     EventKind
	Via      Protocol
	Gateway  netip.Addr
	Port     Port
	External netip.AddrPort
	Err      error
}

// String is one line for people.
func (e Event) String() string {
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
