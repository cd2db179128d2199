package spread

import (
	"errors"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// ErrConfig is wrapped by what New says about a Config.
var ErrConfig = errors.New("spread: configuration")

// A Verdict is what the application says about a message.
type Verdict uint8

const (
	Accept Verdict = iota // deliver it and pass it on
	Ignore                // do neither; it is nobody's fault
	Reject                // do neither, and hold it against the sender: every node would have seen that it is wrong
)

// A Config holds what may differ between networks and nodes. Zero means the written default; docs/broadcast.md has the
// reason of each.
type Config struct {
	Signer   Signer   // signs own messages; needed
	Verifier Verifier // checks those of others; needed
	Network  string   // name of the network: a message signed in one is worth nothing in another

	// FirstSeq is the number of the first own message; 0 means 1. It must be above every number that this key has used
	// before, or messages are taken for replays: pass the Unix time at start in nanoseconds.
	FirstSeq uint64

	// Beta is how many delegates a node chooses in each bucket of its duty, by the hops that the message has taken; the
	// last number holds for all further hops. nil means 8, 4, 2.
	Beta []int

	// Linked says who can be sent to without dialling; nil: nobody knows. Every other delegate of a bucket is one of these
	// where there are any: a dial is a second of delay and a handshake on both sides. Every other one is not chosen for
	// that, so that who stays connected to everybody does not get every message first.
	Linked func(*skad.Contact) bool

	Rounds   int  // rounds of repair that each holder makes; 0 means 3
	Fanout   int  // contacts in each; 0 means 3
	PushOnly bool // no repair: to look at the tree alone

	// Validate is asked about every message whose signature is good, before it is delivered or passed on; nil accepts.
	// It must be a quick function of the message alone, and keep nothing of it. What it rejects it must reject on every
	// node.
	Validate func(from *skad.Contact, m *Message) Verdict

	// A message costs a token and one more for every full 4 KiB of payload. Rates are in tokens per second, bursts in
	// tokens.
	OriginRate  int // of one origin; 0 means 16, which is a small message every 60 ms or a full one a second
	OriginBurst int // 0 means 64
	TotalRate   int // of all; 0 means 1024: 5 % of one core for signatures
	TotalBurst  int // 0 means 4096
}

// Check returns everything that is wrong with the config, wrapping ErrConfig, except that Signer and Verifier may be
// missing still.
func (c Config) Check() error {
	if c.Signer == nil {
		c.Signer = (*identity.Identity)(nil)
	}
	if c.Verifier == nil {
		c.Verifier = Origins(identity.Puzzle{})
	}
	_, err := c.withDefaults()
	return err
}

// withDefaults returns the config in force, or everything that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...)))
	}
	number := func(name string, v *int, standard, least, most int) {
		if *v == 0 {
			*v = standard
		}
		if *v < least || *v > most {
			bad("%s is %d, must be %d to %d", name, *v, least, most)
		}
	}
	if c.Signer == nil {
		bad("no Signer")
	}
	if c.Verifier == nil {
		bad("no Verifier")
	}
	if len(c.Network) > networkLimit {
		bad("Network has %d bytes, limit %d", len(c.Network), networkLimit)
	}
	c.FirstSeq = max(c.FirstSeq, 1)
	if len(c.Beta) == 0 {
		c.Beta = []int{8, 4, 2}
	}
	c.Beta = append([]int(nil), c.Beta...)
	if len(c.Beta) > betaLimit {
		bad("Beta has %d numbers, limit %d", len(c.Beta), betaLimit)
	}
	for i, b := range c.Beta {
		if b < 1 || b > betaLimit {
			bad("Beta[%d] is %d, must be 1 to %d", i, b, betaLimit)
		}
	}
	number("Rounds", &c.Rounds, 3, 1, repairLimit)
	number("Fanout", &c.Fanout, 3, 1, repairLimit)
	number("OriginRate", &c.OriginRate, 16, 1, rateLimit)
	number("OriginBurst", &c.OriginBurst, 64, costOf(PayloadLimit), rateLimit)
	number("TotalRate", &c.TotalRate, 1024, 1, rateLimit)
	number("TotalBurst", &c.TotalBurst, 4096, costOf(PayloadLimit), rateLimit)
	return c, errors.Join(errs...)
}

// rateLimit bounds configured rates and bursts: a million messages a second is more than any core could verify.
const rateLimit = 1_000_000

// A rate is a token bucket whose whole state is one instant, the one when it will be full again: before that lies what
// was taken.
type rate struct {
	every time.Duration // between two tokens
	span  time.Duration // of a full bucket
}

func newRate(perSecond, burst int) rate {
	every := time.Second / time.Duration(perSecond)
	return rate{every, every * time.Duration(burst)}
}

// take returns the state after cost tokens were taken at now; false if there are not so many.
func (r rate) take(fullAt, now time.Duration, cost int) (time.Duration, bool) {
	next := max(fullAt, now) + r.every*time.Duration(cost)
	return next, next-now <= r.span
}

// ownBurst is what a node allows itself of the burst that it allows others: half, so that messages that wait on their
// way and arrive all at once are not too many for those who count them there.
func ownBurst(burst int) int { return max(burst/2, costOf(PayloadLimit)) }

// costOf returns the tokens that a payload of that size costs.
func costOf(size int) int { return 1 + size/(4<<10) }
