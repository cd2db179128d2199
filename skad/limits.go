package skad

import "time"

// Limits of the protocol: every node must agree on them.
const (
	// ReplyLimit is the most contacts a LookupNodeResponse may hold. 96: a sibling list in the paper's size (s=16,
	// eta=5) is 80, and a joining node asks its neighbours for theirs in one question.
	ReplyLimit = 96

	// FingerprintLimit is how many records a LookupNodeRequest may name as known. 96, as ReplyLimit: what one answer may hold.
	// They take 192 bytes; one record takes 155.
	FingerprintLimit = 96

	// replySizeLimit bounds the records of a LookupNodeResponse in bytes, so that the message stays within what opcode
	// grants (32 KiB). 96 records with two IPv4 addresses and the length in front take 16 KiB; whoever answers stops in
	// time.
	replySizeLimit = 32<<10 - 9

	// recordSizeLeast is the smallest record (no address) with its length in front: 83 bytes head, 64 signature, 2
	// length.
	recordSizeLeast = 149

	// RouteTTL is how many hops a routed message may take. 16: a million nodes are 4 to 5 hops apart (log2 N / 5.4),
	// reroutes make it a few more; whatever is still under way after 16 is lost or led astray.
	RouteTTL = 16

	// RouteCopyLimit bounds the copies of a routed message. 8: delivers 98 % with 30 % of the nodes dropping what they
	// promised to forward, and every further copy buys less than it costs.
	RouteCopyLimit = 8

	// RoutePayloadLimit bounds what a routed message carries. 16 KiB: every hop keeps it until the next has taken it
	// over. Larger things go over a connection to the node that a lookup finds.
	RoutePayloadLimit = 16 << 10
)

// Limits of a node.
const (
	// usableAddrLimit is how many addresses of a record count. 4: one each for TCP and QUIC over IPv4 and IPv6. A
	// record may hold 16, and every one that is dialled is a place that a stranger can send us to.
	usableAddrLimit = 4

	// CountLimit bounds Config.K and what a lookup may be asked to find. 96, as ReplyLimit: more never comes in one
	// answer.
	CountLimit = ReplyLimit

	// spareLimit is the replacement cache of a bucket. 10, as go-ethereum has it: enough to refill a bucket that loses
	// half of its entries at once.
	spareLimit = 10

	// lostKept is how many of the spares may be contacts that stopped answering. 3: after a partition heals the halves
	// find each other through them; everything else in the cache is of more use.
	lostKept = 3

	// lostMisses is how often a lost contact is asked in vain before it is forgotten. 16 at one retry per refresh and
	// bucket are some hours.
	lostMisses = 16

	// contactLimit bounds the contacts a core keeps anything about. 8192: all 256 buckets full with their spares are
	// 6656, which only somebody who can choose every bit of an ID could bring about; the rest is for contacts with a
	// question open.
	contactLimit = 8192

	// callLimit bounds open questions. 1024: 32 lookups with 16 each and as much again for pings and routes.
	callLimit = 1024

	// lookupLimit bounds lookups at a time, 32. Each may hold some 30 kB of candidates.
	lookupLimit = 32

	// inFlightLimit bounds the open questions of one lookup, 16: 8 paths with 2 each.
	inFlightLimit = 16

	// fingerprintsOwn is how many of the fingerprints in a question are of our own table at most, 64: the sibling list and a
	// bucket.
	// The rest are of what the lookup has found.
	fingerprintsOwn = 64

	// shortlistLimit bounds the candidates of a path: 64 are the answers of four contacts that know nothing in common.
	shortlistLimit = 64

	// askedLimit bounds the questions of one lookup. 512: eight paths with 16 answers each need 141 without faults, and
	// four times that is a lookup that somebody is leading around.
	askedLimit = 512

	// PathLimit bounds the disjoint paths of a lookup, 16: the candidates to start them come from one table, which has
	// 16 to a bucket.
	PathLimit = 16

	// seedLimit bounds the contacts that Bootstrap remembers for another try, 32.
	seedLimit = 32

	// probeLimit bounds pings to contacts that might come into the table, at a time: 8. Together with the queue it
	// bounds what a flood of strangers can make us send: one ping each for 8 of them at a time.
	probeLimit = 8

	// probeQueueLimit bounds contacts waiting for such a ping, 64: one reply full of news. Strangers who only called
	// may fill half of it.
	probeQueueLimit = 64

	// relayLimit and relayBytesLimit bound what is kept for messages under way through this node: 256 messages and 1
	// MiB. A hop is over after a round trip, so at 100 ms this is 2,500 messages a second.
	relayLimit      = 256
	relayBytesLimit = 1 << 20

	// relayOwn and relayOwnBytes are the part of these, a quarter, that others' messages do not take: whoever fills the rest, a
	// few peers with large messages, does not keep this node from sending its own.
	relayOwn      = relayLimit / 4
	relayOwnBytes = relayBytesLimit / 4

	// relayPeerLimit bounds how many of them one peer has given us: 32, so that it takes six to shut out the others, and two
	// with the largest messages.
	relayPeerLimit = 32

	// seenLimit bounds remembered routed messages, 512: copies of one message arrive within a few seconds of each
	// other.
	seenLimit = 512

	// lateLimit bounds remembered questions whose answer did not come in time, so that a late answer is not taken for an
	// unasked one, which is held against its sender. 256: a host that stood still for a second, under lookups, has so many.
	lateLimit = 256

	// banLimit bounds remembered offenders, 64, and banAfter is the score that makes one.
	banLimit = 64
	banAfter = 32

	// answerWorth is what an answer takes off a score. 2: an honest node may have a stale record or two in each of its
	// answers for ever.
	answerWorth = 2

	// snapshotLimit bounds the contacts in a snapshot, 1024; each is checked at start, which is 60 ms for all of them.
	snapshotLimit = 1024
)

// Spans that nobody needs to set.
const (
	// callTimeoutLeast and callTimeoutMost clamp srtt + 4 rttvar. 150 ms: a busy honest node in a near data centre must
	// not be called dead. 1 s: a round trip that takes longer is of no use in a lookup.
	callTimeoutLeast = 150 * time.Millisecond
	callTimeoutMost  = time.Second

	// dialTimeout is added for as long as a contact is being dialled: three round trips and a proof of identity. 3 s is
	// one lost SYN.
	dialTimeout = 3 * time.Second

	// banFor is how long an offender stays out: an hour, so that a mistake heals by itself.
	banFor = time.Hour

	// restoredAgeLimit: contacts that were not verified for so long are not restored. Five days, as go-ethereum: longer
	// than any weekend.
	restoredAgeLimit = 5 * 24 * time.Hour

	// restoredPingWithin spreads the first pings to restored contacts, so that a restart is no burst of dials.
	restoredPingWithin = 10 * time.Second

	// lostPingWithin spreads the pings to members whose sessions broke, half a second: where a link breaks that carried a
	// hundred sessions they are not all dialled in one moment.
	lostPingWithin = 500 * time.Millisecond

	// missedPingLeast is the pause before a member is pinged again whose refusal came before anybody else was heard: half a
	// second, time for the witness to answer. It doubles while nobody answers at all.
	missedPingLeast = 500 * time.Millisecond

	// retryLeast and retryMost bound the pause before another try to join.
	retryLeast = time.Second
	retryMost  = time.Minute
)
