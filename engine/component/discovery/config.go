package discovery

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad"
)

var (
	// ErrConfig is wrapped by everything that New says about a Config.
	ErrConfig = errors.New("discovery: bad config")

	// ErrNotFound says that nobody knows the node.
	ErrNotFound = errors.New("discovery: nobody knows this node")

	// ErrBusy says that too many lookups or functions wait already.
	ErrBusy = errors.New("discovery: too many at once")

	// ErrClosed says that the network has stopped, or has not started.
	ErrClosed = errors.New("discovery: not running")
)

// A Config says how the node takes part. The zero value is a node of the public Internet that waits to be found.
type Config struct {
	// Bootstrap are nodes to join through: "tcp://<id>@198.51.100.7:4001", or a name instead of the address, or without
	// "<id>@" whoever answers there. They are dialled while the table is empty, again and again.
	Bootstrap []string

	// Overlay has the parameters of the core: bucket size, siblings, spans, and the Scope of addresses. Its Verifier is
	// set by the component.
	Overlay skad.Config

	// StoreFile keeps the table on disk, in a file (bbolt), so that the node comes back without a bootstrap. A
	// file that is damaged is set aside; one that cannot be used is reported to Logger, and the node does without. Store is
	// for programs that keep contacts elsewhere, and is closed by the component.
	StoreFile string
	Store     Store
	SaveEvery time.Duration // how often the table is written; SaveEveryDefault

	// Client says that the node only asks: it is never handed out, nor in anybody's table. For nodes that cannot be dialled
	// or do not stay.
	Client bool

	Dials       int           // dials for the overlay under way; DialsDefault
	Connections int           // connections dialled for the overlay, a quarter of the node's Peers.All at most; ConnectionsDefault
	Idle        time.Duration // how long a connection dialled for a lookup stays idle; IdleDefault

	Logger *slog.Logger // nil: silent
}

// withDefaults fills in every default and reports every problem at once.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	for _, s := range c.Bootstrap {
		if err := checkTarget(s); err != nil {
			bad("Bootstrap: %w", err)
		}
	}
	for _, f := range []struct {
		name string
		v    *int
		def  int
	}{{"Dials", &c.Dials, DialsDefault}, {"Connections", &c.Connections, ConnectionsDefault}} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 {
			bad("%s is negative", f.name)
		}
	}
	if c.Store != nil && c.StoreFile != "" {
		bad("both Store and StoreFile")
	}
	for _, f := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{{"Idle", &c.Idle, IdleDefault}, {"SaveEvery", &c.SaveEvery, SaveEveryDefault}} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 {
			bad("%s is negative", f.name)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(problems...)
}

// checkTarget looks at the form of a bootstrap address without asking a name server.
func checkTarget(s string) error {
	if _, err := engine.ParseTarget(s); err == nil {
		return nil
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if _, host, named := strings.Cut(rest, "@"); named {
		rest = host
	}
	host, port, err := net.SplitHostPort(rest)
	if !ok || err != nil || host == "" || port == "" || scheme == "" {
		return fmt.Errorf("%q is no address such as tcp://host:port", s)
	}
	return nil
}
