package datagram

import "time"

const (
	// HeaderSize is what the Mux puts in front of every datagram: kind and id.
	HeaderSize = 9

	// BaseSize is the UDP payload that every path is taken to carry: 1280, the least MTU of IPv6, less its headers (48) and
	// a tunnel's (32). It is what QUIC asks of a path, so paths that do not have it are rare.
	BaseSize = 1200

	// DefaultSize is what is tried beyond: 1500 of Ethernet, less 40 of IPv6 and 8 of UDP.
	DefaultSize = 1452

	// SizeLimit is the largest UDP payload over IPv4.
	SizeLimit = 65507

	// CookieLife is how long a cookie opens a link: two handshake time-outs, so that no honest dial outlives its own.
	CookieLife = 10 * time.Second

	// usedLimit bounds the cookies that a loop remembers as used, in each of two halves of CookieLife each: 65,536 at 60
	// bytes are 4 MB. It is 6,500 handshakes a second, more than a core computes; past it the oldest are forgotten.
	usedLimit = 1 << 16

	// cookieEvery and cookieBurst bound the cookies that a loop hands out: 10,000 a second, more than the
	// handshakes that a core computes, and at once what comes together until who was not answered knocks
	// again. To whoever knocks beyond that nothing is owed, as nothing is kept of it: it knocks again after
	// knockEvery. In a flood of 100,000 knocks a second an honest one is answered with one chance in ten each
	// time, half of them within 1.2 s (TestNewcomersInFlood); to answer all would take what the peers need.
	cookieEvery = 100 * time.Microsecond
	cookieBurst = int(knockEvery / cookieEvery)

	// LinkLimit is how many links a loop can number: 24 bits of the id.
	LinkLimit = 1 << 24

	// knockEvery is the wait before a Knock is sent again. It does not double: with 30 % loss each way a round trip fails every
	// other time, and the three of a handshake have to come about within 3 s in 99 of 100 cases: 14 tries.
	knockEvery = 200 * time.Millisecond

	// cookieAfter and cookieLimit: a link that has a Cookie and hears nothing authentic knocks again after 2 s, twice. At 30 % of
	// loss each way one handshake in a hundred takes that long, and then opens a second link that nobody uses.
	cookieAfter = 2 * time.Second
	cookieLimit = 3

	// knockTries ends a dial that nobody answers though its context goes on: 30 s.
	knockTries = 150

	// probeEvery and probeTries: whether a peer has moved is known after 800 ms. An old address that is still the peer's has
	// had four chances to say so; losing all of them at 30 % loss each way happens to one in 15, and costs a detour, no byte.
	probeEvery = 200 * time.Millisecond
	probeTries = 4

	// sizeEvery and sizeTries: a size that three probes a second apart did not get through is not carried.
	sizeEvery = time.Second
	sizeTries = 3

	// sizeStep ends the search for the size of the path: what is left is less than 3 % of a datagram.
	sizeStep = 32

	// sizeAfter is how many authentic datagrams a link hears before it looks for the size of its path: an idle peer's
	// keepalives are no reason to ask.
	sizeAfter = 32

	cookieSize = 4 + 16
	idSize     = 8
	tokenSize  = 8
	version    = 1

	offBody    = HeaderSize
	openHead   = HeaderSize + idSize + cookieSize
	answerHead = HeaderSize + idSize
	probeSize  = HeaderSize + tokenSize
)

// Answers are never larger than what they answer.
const (
	_ = uint(BaseSize - HeaderSize - cookieSize)
	_ = uint(DefaultSize - BaseSize)
)
