package reach

import (
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/skad"
)

// ErrConfig is wrapped by everything that New says about a Config.
var ErrConfig = errors.New("reach: bad config")

// A Mode says who decides what the node is.
type Mode uint8

const (
	// Auto: what peers of several networks say. Until they have said something the node is a server, as it is where there are
	// not several networks.
	Auto Mode = iota

	// Server: the operator, who knows better.
	Server

	// Client: the operator; the node is in nobody's table, however well it can be reached.
	Client
)

func (m Mode) String() string { return word(int(m), "auto", "server", "client") }

// A Config says how the node finds out. The zero value is a node of the public Internet that believes its peers.
type Config struct {
	// Mode can settle what the node is. Peers are asked all the same, for Reachability to say.
	Mode Mode

	// Scope says which addresses are asked about, and dialled for others: those of the Internet, or with skad.Private those of
	// a LAN or a data centre too. The same as the overlay's.
	Scope skad.Scope

	// Voters is how many networks are asked; VotersDefault, at least 3.
	Voters int
}

// withDefaults fills in every default and reports every problem at once.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if c.Voters == 0 {
		c.Voters = VotersDefault
	}
	if c.Voters < quorum || c.Voters > votersMost {
		bad("Voters is %d, not between %d and %d", c.Voters, quorum, votersMost)
	}
	if c.Mode > Client {
		bad("unknown Mode %d", c.Mode)
	}
	if c.Scope > skad.Private {
		bad("unknown Scope %d", c.Scope)
	}
	return c, errors.Join(problems...)
}

// word is the name of a small number.
func word(n int, names ...string) string {
	if n < len(names) {
		return names[n]
	}
	return fmt.Sprint(n)
}
