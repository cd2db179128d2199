package reach

import "time"

// How many decide.
const (
	// VotersDefault is how many networks are asked about an address: with four, three have to agree.
	VotersDefault = 4

	// votersMost is the most that may be configured. Every one of them dials this node.
	votersMost = 16

	// quorum is how many networks have to answer. Two cannot outvote a liar among them.
	quorum = 3

	// candidateLimit bounds the addresses that are asked about in a round: one for each way in that a usual host has, by IPv4, by
	// IPv6 and through its router.
	candidateLimit = 3

	// spareAsks is how many more than the wanted voters are asked about an address, in place of those that abstain.
	spareAsks = 4

	// groupLimit and perGroup bound the peers that are known as voters. Of 64 networks a round needs four.
	groupLimit = 64
	perGroup   = 4

	// groupBits4 and groupBits6 are how much of an address is one network: what one party is likely to have more of is the rest.
	groupBits4 = 16
	groupBits6 = 32
)

// Spans of the asker.
const (
	// firstAfter is how long a node waits after its start, or after a change: others change with it, a router's mappings for
	// instance.
	firstAfter = 5 * time.Second

	// answerTimeout is how long an answer may take: slowAnswer and a slow way there and back.
	answerTimeout = 12 * time.Second

	// confirmAfter is when a verdict that would turn the node is asked for again: by then a short trouble is over.
	confirmAfter = 30 * time.Second

	// againFirst and againLast bound the pause after a round without a verdict; it doubles.
	againFirst = 15 * time.Second
	againLast  = 10 * time.Minute

	// checkFirst and checkLast bound the pause after a verdict; it doubles while they are the same. Each check is some eight
	// dials, in all.
	checkFirst = 10 * time.Minute
	checkLast  = 2 * time.Hour

	// watchEvery is how often the own record and the number of peers are looked at.
	watchEvery = 5 * time.Second

	// lossWindow and lossLeast say what many lost connections are: half of at least so many, within two windows.
	lossWindow = 30 * time.Second
	lossLeast  = 8
)

// Limits of the asked.
const (
	// probeTimeout bounds a dial back, handshake included: three packets each way over a bad line.
	probeTimeout = 5 * time.Second

	// slowAnswer is when an answer is given that is not yes, counted from the question, so that its time does not tell a closed
	// port from a silent one.
	slowAnswer = 6 * time.Second

	// probesLimit bounds the questions being answered.
	probesLimit = 16

	// What may be asked, as bursts and the time in which one more is due: of one address, of one network, of
	// all together. A round asks a peer once for each of its addresses; all together may cost one dial in 250
	// ms.
	addressBurst = 4
	addressEvery = 15 * time.Second
	networkBurst = 16
	networkEvery = 2 * time.Second
	totalBurst   = 32
	totalEvery   = 250 * time.Millisecond

	// meterLimit bounds the addresses and networks that are remembered for that. Above it those come first that are known.
	meterLimit = 1024

	// addressBits6 is how much of an IPv6 address is one host's, RFC 4291.
	addressBits6 = 64
)
