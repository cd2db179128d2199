package backoff

import "time"

// Defaults of Config.
const (
	// FirstDefault is the first wait: half a second to a second, which a restarting process takes.
	FirstDefault = time.Second

	// MaxDefault: a peer that is away for long is tried every few minutes.
	MaxDefault = 5 * time.Minute

	// AttemptsDefault gives a peer up after some two hours of waits that double to MaxDefault.
	AttemptsDefault = 32

	// StableDefault is how long a connection has to last for its peer's failures to be forgotten. A peer that accepts and
	// hangs up at once is not dialled again and again.
	StableDefault = 30 * time.Second

	// DialsDefault bounds the dials under way: a network that comes back is not greeted with a thousand handshakes at once.
	DialsDefault = 16

	// PeersDefault bounds the peers that are waited for; one costs some 300 bytes.
	PeersDefault = 4096

	// WatchDefault is how often the machine's own addresses are looked at, while anybody is waited for. Looking takes some
	// tens of microseconds, off the loops; a second is what a person calls at once.
	WatchDefault = time.Second
)

const (
	// JitterDefault: half of each wait is left to chance, so that the peers of a node that went down do not come back as one.
	JitterDefault = 0.5

	// addrLimit bounds the addresses tried for one peer.
	addrLimit = 8
)
