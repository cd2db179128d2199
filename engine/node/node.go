// Package node is a ready node: a Network on TCP, and whatever transports it is given besides, with the stock
// components, from one Config.
//
//	n, err := node.New(node.Config{Listen: []string{"tcp://0.0.0.0:4001"}, IdentityFile: "carrier.id"})
//	err = n.Start(ctx)
//
// It adds nothing to package engine that a program could not do itself; it is the place where a transport and components
// are chosen. What New returns is an *engine.Network.
package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/component/addressmap"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/component/metric"
	"github.com/carrier-p2p/carrier/engine/component/natmap"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A Config says what node is wanted. The zero Config is a node that only dials, with a new identity each time.
type Config struct {
	// Listen are the addresses to listen on, such as "tcp://0.0.0.0:4001"; port 0 takes any. None: only dial. Addresses of
	// other protocols than TCP need one of Transports.
	Listen []string

	// Advertise are the addresses to show in the node record where others cannot use those in Listen. None: the node finds out,
	// from its host, its router if MapPorts is set, and what peers see: component/addressmap. It then shows its private
	// addresses as well, for peers in the same network.
	Advertise []string

	// MapPorts has the node ask the router for a way in to its listening ports, by NAT-PMP and UPnP, for as long as it runs:
	// component/natmap, found with engine.ComponentOf[*natmap.Component]. docs/nat.md says what that means for an operator.
	MapPorts bool

	// Identity is who the node is. nil: the one in IdentityFile, which is made on the first start, or without a file one
	// for this run. Making one takes about two seconds of one core: the network's proof of work. Beside the file is one with
	// ".number" behind its name, so that the numbers of the node's records and messages rise though the clock may go back. A
	// file is for one process at a time: peers take a second one for the first, restarted, and hang up on that.
	Identity     *identity.Identity
	IdentityFile string

	NetworkID string           // nodes of different networks refuse each other
	Puzzle    *identity.Puzzle // nil means identity.DefaultPuzzle; a weaker one needs WeakPuzzle
	// WeakPuzzle allows a Puzzle that protects nothing, for tests, benchmarks and closed networks.
	WeakPuzzle bool

	// Transports carry bytes beside TCP, such as quicio.New(quicio.Config{}). Each serves the addresses of its protocols in
	// Listen and those that are dialled.
	Transports []transport.Transport

	Loops   int               // event loops; 0 means GOMAXPROCS
	Peers   engine.PeerLimits // zero fields mean the engine's defaults
	Logger  *slog.Logger      // also of the components that have none of their own; nil: silent
	Timeout time.Duration     // for making an identity in New; 0 means 5 minutes

	// Keepalive configures the keepalive; zero fields mean its defaults, and in an Overlay longer spans.
	Keepalive keepalive.Component

	// Ack configures the messages that are sent until they have been taken; zero fields mean its defaults. The component is
	// found with engine.ComponentOf[*ack.Component].
	Ack ack.Config

	// Metric configures the measuring of peers. The zero value answers others and asks nobody.
	Metric metric.Config

	// Reconnect, if not nil, has the node dial again the peers that it had dialled and lost. One that said
	// goodbye, as a node does that is restarted in order, is dialled again only after
	// backoff.Component.Enable.
	Reconnect *backoff.Config

	// Relay says what the node does with relays: dial through them, which the zero value does, be reachable through some, or
	// be one. The component is found with engine.ComponentOf[*proxy.Component]; docs/relay.md says what that means for an
	// operator.
	Relay proxy.Config

	// Overlay, if not nil, makes the node one of an overlay: it is found, it broadcasts, it passes messages on.
	Overlay *Overlay

	// Engine, if not nil, may change anything else before the Network is made.
	Engine func(*engine.Config)
}

// New makes a node that has not been started. It may take seconds if an identity has to be made. All problems of cfg that
// can be seen are reported at once.
func New(cfg Config) (*engine.Network, error) {
	if cfg.Overlay != nil {
		cfg.settle()
	}
	relays, err1 := proxy.New(cfg.Relay)
	if err1 != nil {
		relays, _ = proxy.New(proxy.Config{}) // so that the rest can be looked at
	}
	ec, first, err2 := cfg.engine(relays)
	cfg.Overlay = cfg.Overlay.numbered(first)
	n, err3 := engine.New(ec)
	if ec.Identity == nil && err2 != nil {
		err3 = nil // that there is no identity has been said, and why
	}
	components, err4 := cfg.components(ec.Advertise)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	for _, c := range append(components, relays) {
		if err := n.AddComponent(c); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// engine says what Network is wanted, what its numbers begin with, and what of that cannot be.
func (cfg *Config) engine(relays *proxy.Component) (ec engine.Config, first uint64, err error) {
	listen, err1 := parseAll("Listen", cfg.Listen)
	advertise, err2 := parseAll("Advertise", cfg.Advertise)
	var err3 error
	if cfg.Loops < 0 {
		err3 = fmt.Errorf("Loops %d is negative", cfg.Loops)
	}
	if cfg.Timeout < 0 {
		err3 = errors.Join(err3, fmt.Errorf("Timeout %v is negative", cfg.Timeout))
	}
	puzzle := identity.DefaultPuzzle
	if cfg.Puzzle != nil {
		puzzle = *cfg.Puzzle
	}
	id, err4 := cfg.identity(puzzle)
	if err4 != nil {
		err4 = fmt.Errorf("identity: %w", err4)
	} else {
		first = cfg.firstNumber(time.Now())
	}
	ec = engine.Config{
		Transport:      gnetio.New(gnetio.Config{Loops: cfg.Loops, Logger: cfg.Logger}),
		MoreTransports: append(slices.Clone(cfg.Transports), relays.Transport()),
		Identity:       id, Listen: listen, RecordSeq: first,
		Advertise: advertise, NetworkID: cfg.NetworkID, Puzzle: &puzzle, WeakPuzzle: cfg.WeakPuzzle, Peers: cfg.Peers,
		Logger: cfg.Logger,
	}
	if cfg.Engine != nil {
		cfg.Engine(&ec)
	}
	return ec, first, errors.Join(err1, err2, err3, err4)
}

// components makes the stock components. public are the addresses that the configuration advertises.
func (cfg *Config) components(public []transport.Addr) ([]engine.ComponentInterface, error) {
	acks, err1 := ack.New(cfg.Ack)
	metrics, err2 := metric.New(cfg.Metric)
	addresses := addressmap.New(addressmap.Config{
		Public: public, HidePrivate: len(public) > 0, TryPrivate: cfg.Overlay != nil && cfg.Overlay.Scope == skad.Private,
	})
	all, problems := []engine.ComponentInterface{&cfg.Keepalive, acks, metrics, addresses}, []error{err1, err2, cfg.Keepalive.Validate()}
	if cfg.Reconnect != nil {
		reconnect, err := backoff.New(*cfg.Reconnect)
		all, problems = append(all, reconnect), append(problems, err)
	}
	if cfg.MapPorts {
		all = append(all, &natmap.Component{Logger: cfg.Logger})
	}
	if cfg.Overlay != nil {
		more, err := cfg.Overlay.components(cfg.Logger)
		all, problems = append(all, more...), append(problems, err)
	}
	return all, errors.Join(problems...)
}

func parseAll(field string, in []string) (out []transport.Addr, err error) {
	for _, s := range in {
		a, bad := transport.ParseAddr(s)
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", field, bad))
			continue
		}
		out = append(out, a)
	}
	return out, err
}

// identity takes, loads or makes the node's identity.
func (cfg *Config) identity(p identity.Puzzle) (*identity.Identity, error) {
	if cfg.Identity != nil {
		return cfg.Identity, nil
	}
	if cfg.IdentityFile != "" {
		id, err := identity.Load(cfg.IdentityFile)
		if err == nil {
			cfg.warnOfMode()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return id, err
		}
	}
	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	id, err := identity.Generate(ctx, p, identity.GenerateOptions{})
	if err != nil || cfg.IdentityFile == "" {
		return id, err
	}
	return id, id.Save(cfg.IdentityFile)
}

// warnOfMode says that others may read the identity file. It is no error: containers and network file systems often cannot do better.
func (cfg *Config) warnOfMode() {
	if err := identity.CheckMode(cfg.IdentityFile); err != nil {
		cfg.log().Warn("whoever can read the identity file can be this node", "err", err)
	}
}

// log is where to say what is no error.
func (cfg *Config) log() *slog.Logger {
	if cfg.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return cfg.Logger
}
