package node

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/skad"
)

// An Overlay makes a node one of many that find each other, broadcast, and pass on each other's messages. The components
// are found with engine.ComponentOf[*discovery.Component], [*broadcast.Component], [*overlay.Component] and [*reach.Component].
//
// A node that others can dial is a server; one that they cannot is a client, in nobody's table. It finds out by itself, once it
// has peers in three networks: see Reach.
type Overlay struct {
	// Bootstrap are nodes to join through, "tcp://<id>@198.51.100.7:4001". The first node of all has none.
	Bootstrap []string

	// Scope says which addresses count: those of the Internet, or with skad.Private those of a LAN or of this machine, too.
	Scope skad.Scope

	Discovery discovery.Config // more about it; Bootstrap and Scope above are added
	Broadcast broadcast.Config // Table, Connect, Blame and Scope are set here
	Routed    overlay.Config   // Discovery is set here
	Reach     reach.Config     // Scope is set here; with Discovery.Client its Mode is Client
}

// The overlay asks its members itself whether they are alive; the keepalive has only to keep the mappings of routers, of
// connections that may be a hundred.
const (
	overlayKeepalive = time.Minute
	overlayTimeout   = 3 * time.Minute
)

// settle changes defaults that do not suit a node of an overlay. When it is full the youngest peer makes room, not the one
// that has been silent longest: lookups bring many short visits, and who is there for long must not go for them.
func (cfg *Config) settle() {
	if cfg.Keepalive.Every == 0 && cfg.Keepalive.Timeout == 0 {
		cfg.Keepalive.Every, cfg.Keepalive.Timeout = overlayKeepalive, overlayTimeout
	}
	if cfg.Peers.Score == nil {
		cfg.Peers.Score = func(p *engine.PeerClient) float64 { return p.Age().Seconds() }
	}
}

// components returns the four, in the order in which they are to be added. What they have to say goes to log, unless they have a
// Logger of their own.
func (o Overlay) components(log *slog.Logger) ([]engine.ComponentInterface, error) {
	dc := o.Discovery
	dc.Bootstrap = append(append([]string(nil), dc.Bootstrap...), o.Bootstrap...)
	dc.Overlay.Scope = max(dc.Overlay.Scope, o.Scope)
	dc.Logger = cmp.Or(dc.Logger, log)
	d, err1 := discovery.New(dc)
	if err1 != nil {
		d, _ = discovery.New(discovery.Config{}) // so that the rest can be looked at
	}
	bc := o.Broadcast
	bc.Table, bc.Connect, bc.Scope = d.Table(), d.Connect, dc.Overlay.Scope
	bc.Logger = cmp.Or(bc.Logger, log)
	bc.Blame = func(who *skad.Contact, why skad.Reason) {
		_ = d.Do(func(now time.Duration, core *skad.Core) { core.Blame(now, who, why) })
	}
	b, err2 := broadcast.New(bc)
	rc := o.Routed
	rc.Discovery = d
	r, err3 := overlay.New(rc)
	ac := o.Reach
	ac.Scope = dc.Overlay.Scope
	if dc.Client {
		ac.Mode = reach.Client
	}
	a, err4 := reach.New(ac)
	return []engine.ComponentInterface{d, b, r, a}, errors.Join(err1, err2, err3, err4)
}
