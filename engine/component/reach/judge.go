package reach

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A Verdict says whether others can dial this node.
type Verdict uint8

const (
	Unknown Verdict = iota // not enough networks have said the same
	Reachable
	Unreachable
)

func (v Verdict) String() string { return word(int(v), "unknown", "reachable", "unreachable") }

// A Vote is what one peer has said about one address.
type Vote struct {
	Peer    identity.ID
	Network netip.Prefix // that the peer is in
	Addr    transport.Addr
	Answer  Answer
}

// A judge decides. It makes no call and reads no clock; the home loop owns it.
//
//	waiting ──nextAt──▶ a round: for each address ask, count ──▶ finish: the verdict, when to look again ──▶ waiting
//
// Invariant: at most one vote for each network and address; verdicts change in finish alone.
type judge struct {
	rnd    *rand.Rand
	voters int

	verdict Verdict
	addr    transport.Addr // that is reachable
	decided time.Duration  // when the verdict became this one
	leaning Verdict        // what the last round said, if that is not the verdict
	fresh   bool           // the addresses have changed since the last verdict
	nextAt  time.Duration  // of the next round
	agreed  int            // rounds with the same verdict, one after the other
	failed  int            // rounds without one
	starved bool           // the last of these had too few networks to ask

	// The round.
	running bool
	left    []transport.Addr // to be asked about; the first one is being
	open    []ballot         // about that one
	unsure  bool             // about an address before
	votes   []Vote           // of this round, or of the last one
	asked   map[netip.Prefix]bool
	before  map[netip.Prefix]bool // asked in the last round
	rounds  int64
}

// A ballot is a question, and what has become of it.
type ballot struct {
	vote  int // index in judge.votes
	nonce uint64
	until time.Duration
}

func newJudge(voters int, rnd *rand.Rand, now time.Duration) *judge {
	j := &judge{rnd: rnd, voters: voters, fresh: true, asked: map[netip.Prefix]bool{}, before: map[netip.Prefix]bool{}}
	j.nextAt = now + j.jittered(firstAfter)
	return j
}

// changed: the node has other addresses now. What was being asked is void.
func (j *judge) changed(now time.Duration) {
	j.fresh, j.agreed, j.failed = true, 0, 0
	j.running, j.open, j.left = false, nil, nil
	j.nextAt = now + j.jittered(firstAfter)
}

// doubt: something has happened that may have another verdict.
func (j *judge) doubt(now time.Duration) {
	j.agreed, j.failed = 0, 0
	j.nextAt = min(j.nextAt, now+j.jittered(firstAfter))
}

// fed: there are networks enough to ask. A round that had too few is made up for.
func (j *judge) fed(now time.Duration) {
	if j.starved {
		j.starved = false
		j.nextAt = min(j.nextAt, now+j.jittered(firstAfter))
	}
}

// begin begins a round about these addresses.
func (j *judge) begin(addrs []transport.Addr) {
	j.running, j.left, j.unsure, j.starved, j.votes = true, slices.Clone(addrs), false, false, nil
	j.before, j.asked = j.asked, map[netip.Prefix]bool{}
	j.rounds++
}

// alone is a round without enough networks to ask.
func (j *judge) alone(now time.Duration) {
	j.begin(nil)
	j.starved = true
	j.finish(now, Unknown, transport.Addr{})
}

// nothing is a round about no address at all: others are there, and none of them could dial this node.
func (j *judge) nothing(now time.Duration) {
	j.begin(nil)
	j.finish(now, Unreachable, transport.Addr{})
}

// wanted is the address that somebody more is to be asked about; none: enough have been.
func (j *judge) wanted() (transport.Addr, bool) {
	if !j.running || len(j.left) == 0 {
		return transport.Addr{}, false
	}
	yes, no, pending := j.tally()
	if _, done := j.outcome(); done || yes+no+pending >= j.voters || len(j.open) >= j.voters+spareAsks {
		return transport.Addr{}, false
	}
	return j.left[0], true
}

// ask notes that a peer has been asked about the address that is wanted.
func (j *judge) ask(now time.Duration, id identity.ID, network netip.Prefix, nonce uint64) {
	j.votes = append(j.votes, Vote{id, network, j.left[0], Pending})
	j.open = append(j.open, ballot{len(j.votes) - 1, nonce, now + answerTimeout})
	j.asked[network] = true
}

// polled are the networks that have been asked about the address that is wanted.
func (j *judge) polled() map[netip.Prefix]bool {
	out := make(map[netip.Prefix]bool, len(j.open))
	for _, b := range j.open {
		out[j.votes[b.vote].Network] = true
	}
	return out
}

// answered takes an answer. Whose it is the caller has checked.
func (j *judge) answered(nonce uint64, a Answer) {
	for _, b := range j.open {
		if v := &j.votes[b.vote]; b.nonce == nonce && v.Answer == Pending {
			v.Answer = a
		}
	}
}

// tally counts the votes about the address that is being asked about.
func (j *judge) tally() (yes, no, pending int) {
	for _, b := range j.open {
		switch j.votes[b.vote].Answer {
		case Reached:
			yes++
		case NotReached:
			no++
		case Pending:
			pending++
		}
	}
	return yes, no, pending
}

// outcome is what the votes about the address say, if that cannot change any more: more than half of all that were wanted agree,
// or nobody's answer is outstanding.
func (j *judge) outcome() (v Verdict, done bool) {
	yes, no, pending := j.tally()
	switch {
	case 2*yes > j.voters:
		return Reachable, true
	case 2*no > j.voters:
		return Unreachable, true
	case pending > 0 || yes+no < j.voters && len(j.open) < j.voters+spareAsks:
		return Unknown, false
	}
	return j.majority(yes, no), true
}

// majority is the verdict of those who have answered.
func (j *judge) majority(yes, no int) Verdict {
	switch {
	case yes+no < quorum:
		return Unknown
	case yes > no:
		return Reachable
	case no > yes:
		return Unreachable
	}
	return Unknown
}

// expire gives up on answers that have not come.
func (j *judge) expire(now time.Duration) {
	for _, b := range j.open {
		if v := &j.votes[b.vote]; v.Answer == Pending && b.until <= now {
			v.Answer = Abstained
		}
	}
}

// settle goes on where an address is decided, to the next one or to the end of the round, and reports whether it did.
// exhausted: there is nobody left to ask about it.
func (j *judge) settle(now time.Duration, exhausted bool) bool {
	v, done := j.outcome()
	yes, no, pending := j.tally()
	if !done && exhausted && pending == 0 {
		v, done = j.majority(yes, no), true
	}
	switch {
	case !done:
		return false
	case v == Reachable:
		j.finish(now, Reachable, j.left[0])
		return true
	}
	j.starved = j.starved || yes+no < quorum
	j.unsure = j.unsure || v == Unknown
	if j.left, j.open = j.left[1:], nil; len(j.left) > 0 {
		return true
	}
	if j.unsure {
		v = Unknown
	}
	j.finish(now, v, transport.Addr{})
	return true
}

// finish ends a round.
//
//	no verdict       again, later and later
//	the same         again, later and later, but these are other spans
//	another          asked for once more; only then it turns the node, unless nothing was known of these addresses
func (j *judge) finish(now time.Duration, said Verdict, at transport.Addr) {
	j.running, j.open, j.left = false, nil, nil
	if said == Unknown {
		j.nextAt = now + j.jittered(min(againFirst<<min(j.failed, 10), againLast))
		j.failed++
		return
	}
	j.failed, j.starved = 0, false
	if said != j.verdict && !j.fresh && j.leaning != said {
		j.leaning, j.agreed = said, 0
		j.nextAt = now + j.jittered(confirmAfter)
		return
	}
	if said != j.verdict {
		j.verdict, j.decided, j.agreed = said, now, 0
	}
	j.addr, j.leaning, j.fresh = at, Unknown, false
	j.nextAt = now + j.jittered(min(checkFirst<<min(j.agreed, 10), checkLast))
	j.agreed++
}

// jittered is d, give or take a quarter: nodes that began together do not ask together.
func (j *judge) jittered(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(j.rnd.Int64N(int64(d/2)))
}

// deadline is when the judge wants to be looked at again.
func (j *judge) deadline() time.Duration {
	if !j.running {
		return j.nextAt
	}
	at := time.Duration(1<<63 - 1)
	for _, b := range j.open {
		if j.votes[b.vote].Answer == Pending {
			at = min(at, b.until)
		}
	}
	return at
}
