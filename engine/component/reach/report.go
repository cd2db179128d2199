package reach

import (
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A Report says how things stand. It is a copy that nobody changes any more.
type Report struct {
	Mode    Mode
	Verdict Verdict
	Client  bool           // what the node record says, whoever has decided it
	Addr    transport.Addr // that was reached; zero unless Reachable
	Votes   []Vote         // of the last round, or of the one that is going on

	Networks int           // that could be asked
	Rounds   int64         // since Startup
	Since    time.Duration // engine time of the verdict
	Asking   bool          // a round is going on
	Next     time.Duration // engine time of the next one, if none is
}

// Reachability returns how things stand. Any goroutine, without a lock.
func (c *Component) Reachability() Report { return *c.shown.Load() }

// Count returns how many voters have reached the node and how many have not, at the address that was asked about last.
func (r Report) Count() (reached, not int) {
	for _, v := range r.Votes {
		if v.Addr != r.Votes[len(r.Votes)-1].Addr {
			continue
		}
		switch v.Answer {
		case Reached:
			reached++
		case NotReached:
			not++
		}
	}
	return reached, not
}

// String is the report in one line.
func (r Report) String() string {
	s := r.Verdict.String()
	if r.Verdict == Reachable {
		s += " at " + r.Addr.String()
	}
	if len(r.Votes) == 0 {
		return s + ", nobody was asked"
	}
	yes, no := r.Count()
	return fmt.Sprintf("%s, %d of %d networks came in", s, yes, yes+no)
}

// Stats are counters since Startup.
type Stats struct {
	Rounds int64 // of questions
	Asked  int64 // questions to peers

	Requests   int64 // dials back that others have asked for
	Probes     int64 // of these, made
	Reached    int64 // of these, with success
	NotReached int64 // and without; the rest has failed on this side, or is under way
	Foreign    int64 // not made: not the asker's own address, or not one of the scope, or not TCP
	Hasty      int64 // not made: the asker, its network or all together have asked too often
	Busy       int64 // not made: too many at once

	Unasked   int64 // answers that nobody waited for
	Malformed int64 // messages that are none; each ended its connection
}

// Stats returns the counters. Any goroutine.
func (c *Component) Stats() Stats {
	s := &c.served
	return Stats{
		Rounds: c.shown.Load().Rounds, Asked: c.asked.Load(),
		Requests: s.asked.Load(), Probes: s.probes.Load(), Reached: s.reached.Load(),
		NotReached: s.missed.Load(), Foreign: s.foreign.Load(), Hasty: s.hasty.Load(), Busy: s.busy.Load(),
		Unasked: c.drops.unasked.Load(), Malformed: c.drops.malformed.Load(),
	}
}
