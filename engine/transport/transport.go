// Package transport is the contract between the engine and whatever carries its bytes.
//
// A Transport listens and dials. It owns a few event loops; every connection, here called a Link, belongs to
// exactly one of them for its whole life, and everything the transport has to tell about a Link it tells the Sink
// (the engine) on that loop, one call at a time:
//
//	           Dial ┌───────────┐ Opened, Bytes, Writable, Closed, Turn
//	engine ───────▶ │ Transport │ ────────────────────────────────────▶ engine (Sink)
//	  │             └───────────┘          on the link's loop
//	  └── Link.Write, Link.Close, Loop.Wake: any goroutine
//
// The package holds no code that moves bytes. Its twins do: gnetio (TCP on epoll), udpio (UDP, batched), simnet (virtual
// time and weather).
// It knows nothing of records, peers or keys, and stands below everything that does.
//
// Time here is engine time: the span since the transport started, from a monotonic (or virtual) clock.
package transport

import (
	"context"
	"crypto"
	"time"
)

// Never is the alarm time that means "no alarm"; see Loop.WakeAt.
const Never = time.Duration(1<<63 - 1)

// A Transport carries bytes between this node and others.
//
// All methods may be called from any goroutine. A Transport serves one Sink once: it is started once and, after Stop,
// not started again.
type Transport interface {
	// Start binds every address of listen and starts the loops. bound holds, in the same order, the addresses really
	// bound (a port 0 is filled in). If one address cannot be bound nothing stays bound and the error names it.
	// An empty listen is allowed: a node that only dials.
	// The Sink may be called before Start returns.
	Start(sink Sink, listen []Addr) (bound []Addr, err error)

	// Protos returns the protocols of the addresses that this transport listens on and dials: at least one, always the
	// same. It may be called before Start.
	Protos() []Proto

	// Loops returns the event loops; fixed after Start, and at least one, unless the links ride on the loops of another
	// transport of the same node: see engine.Loop.Port.
	Loops() []Loop

	// Dial connects to an address in the background. The outcome is exactly one call of Sink.Opened with this tag, or
	// of Sink.DialFailed with it. Dial itself never blocks and never calls the Sink before it has returned.
	// The transport gives up when ctx ends; it does not watch ctx once the link is open.
	Dial(ctx context.Context, to Addr, tag any)

	// Stop closes every link (each gets its Sink.Closed), ends the loops and returns when nothing of the transport
	// runs any more. It is idempotent. It must not be called on a loop.
	Stop() error
}

// A PeerDialer is a Transport to whose addresses belongs who is to answer there: one that goes through other nodes. The
// engine calls DialPeer where it would call Dial.
type PeerDialer interface {
	// DialPeer is Dial to the node with this ID, which is not zero.
	DialPeer(ctx context.Context, to Addr, id [32]byte, tag any)
}

// An Offloader is a Transport with its own idea of when things happen: a simulated one. The engine gives it the work
// that it would otherwise hand to worker goroutines, so that virtual time and the order of events stay in one hand.
type Offloader interface {
	// Offload arranges for task to run later, off any loop. It reports false if it is stopped.
	Offload(task func()) bool
}

// A Returner is an Offloader that also brings results back to the loops, several at a time, since each waking of a loop costs two
// thread switches. It is for one that serves very many nodes.
type Returner interface {
	Offloader

	// OffloadTo arranges for task to run later, off any loop, and soon after it, on any goroutine, the
	// function that task returns: it posts a result to the engine's loop whose port is lp. OffloadTo reports
	// false if too much is waiting, or it is stopped.
	OffloadTo(lp Loop, task func() (then func())) bool
}

// A Prover is a Transport that seals what its links carry and proves who is at their ends. Each of its links is a ProvenLink;
// one that is not is refused.
type Prover interface {
	Transport

	// Prove hands over the node's own Ed25519 key, which is what its links prove to the other end. It is called once,
	// before Start.
	Prove(key crypto.Signer)
}

// A Borrower is a Transport that keeps bytes of its links in memory of the process, where another leaves them to the kernel. It
// takes that memory from the node's.
type Borrower interface {
	Transport

	// Borrow hands over what to take it from. It is called once, before Start.
	Borrow(m Memory)
}

// A Memory lends buffers and bounds what is out, for all who borrow from it. Any goroutine.
type Memory interface {
	// Grow returns b with room for at least n bytes more: b itself, or a larger buffer with the same content, and then b is
	// given back. Of nil it makes a new one. An error says that there is no memory for it; then it returns b as it was.
	Grow(b []byte, n int) ([]byte, error)

	// GrowToSend is Grow for what waits to be sent. It fails first, so that some is left for what arrives.
	GrowToSend(b []byte, n int) ([]byte, error)

	// Put takes back what Grow has lent, by its present capacity. Nobody may use it any more. It takes nil, too.
	Put(b []byte)
}

// A Keeper is a Link of a Borrower. When memory is short its Sink closes those first that keep much of it and send little.
type Keeper interface {
	Link

	// Kept is how many bytes of the Memory are lent to it for what was written and has not been sent. Any goroutine.
	Kept() int
}

// A ProvenLink is a Link that nobody but its two ends can read or write, and of which each end has shown to have an Ed25519
// key. The engine does not seal over it, and takes no peer over it whose record is not of that key: whatever says that it
// is a ProvenLink is believed.
type ProvenLink interface {
	Link

	// PeerKey is the Ed25519 public key that the other end has shown to have. Fixed.
	PeerKey() [32]byte
}

// A LastWriter is a Link that can say in one packet what is the last and that it is the last.
type LastWriter interface {
	Link

	// WriteLast is Write, and CloseWrite if it has taken all of b. After a short one it is called again with the rest.
	// Any goroutine, not together with Write.
	WriteLast(b []byte) (n int, err error)
}

// An UnreliableLink is a Link that can carry datagrams beside its bytes: each arrives whole or not at all, in no order.
type UnreliableLink interface {
	Link

	// WriteUnreliable hands over one datagram and keeps nothing of b. It never blocks: when there is no room the datagram is
	// lost. ErrTooLong says that b is longer than UnreliableLimit. Any goroutine.
	WriteUnreliable(b []byte) error

	// UnreliableLimit is how long a datagram may be at present; 0: the other side takes none. It may change with the path.
	UnreliableLimit() int
}

// An UnreliableSink is a Sink that takes datagrams. To one that does not, none are handed over.
type UnreliableSink interface {
	Sink

	// Unreliable hands over one datagram of an UnreliableLink, on the link's loop, between Opened and Closed. b belongs to
	// the sink until the call returns.
	Unreliable(l Link, b []byte)
}

// A Loop is one event loop. Every Sink call about its links is made on it, never two at once.
type Loop interface {
	// Index is the loop's position in Transport.Loops: 0, 1, … below their number.
	Index() int

	// Now is the engine time. Any goroutine.
	Now() time.Duration

	// Wake asks for one Sink.Turn at the loop's next turn, after the events that are ready now: never within the
	// current one, so that a caller that wakes itself for ever cannot starve the sockets. Wakes before that turn
	// count once. Any goroutine; does not allocate or block.
	Wake()

	// WakeAt sets the loop's only alarm: one Sink.Turn at, or soon after, engine time at. A later call replaces an
	// earlier one; Never clears it. On the loop only.
	WakeAt(at time.Duration)
}

// A Guest is a Loop that shares the clock of another, its host. The engine asks the host for the time: that
// saves a call, and where very many guests share a loop the guest itself need not be fetched into the cache.
type Guest interface {
	Loop

	// Host is the loop whose Now is this one's. It stays the same.
	Host() Loop
}

// A Link is one open connection.
type Link interface {
	Loop() Loop

	// Local and Remote are the ends as the socket knows them.
	Local() Addr
	Remote() Addr

	// Write hands as much of b to the kernel as it takes at once and returns how much that was. It never blocks and
	// keeps nothing of b. n < len(b) with a nil error means full: Sink.Writable will be called once when there is
	// room, and until then Write must not be called. Any goroutine, one at a time.
	// After Close, or once the link is gone, it returns ErrClosed.
	Write(b []byte) (n int, err error)

	// CloseWrite tells the other side that nothing more will come, after what was written; reading goes on.
	// Any goroutine, not together with Write.
	CloseWrite()

	// Close ends the link in both directions. What Write took is still delivered if the network allows it. Sink.Closed
	// follows on the loop, exactly once, whoever closed. Idempotent, any goroutine; inside a Sink call it takes effect
	// after that call returns.
	Close()

	// SetQueueLimit asks that the kernel keep no more than about n unsent bytes (TCP_NOTSENT_LOWAT), so that what is
	// written next leaves soon; 0 restores the default. A hint; any goroutine, not together with Write.
	SetQueueLimit(n int)

	// SetOwner attaches the engine's state to the link; Owner returns it. On the loop only.
	SetOwner(owner any)
	Owner() any
}

// A DatagramLink is a Link over datagrams. It keeps their borders and promises nothing else: a datagram may be lost, come
// twice or late, and whoever knows the address may have made it up.
//
//   - One Write is one datagram: it takes all of b, or nothing (n = 0) when there is no room.
//   - One Sink.Bytes is one datagram, and it need not be the peer's.
//   - Nothing tells the other side of Close or CloseWrite, so there is no io.EOF: saying goodbye is the Sink's business.
//   - Remote stays what it was when the link was opened; Path says where the peer is now.
type DatagramLink interface {
	Link

	// DatagramLimit is how many bytes a Write may have: what the path is known to carry, less what the transport adds. It
	// grows and shrinks with the path, and never below 1100. What is longer is lost. Any goroutine.
	DatagramLimit() int

	// Path is where datagrams are sent now. Any goroutine.
	Path() Addr

	// Authentic says of the datagram that is being handed over that the peer has made it, and whether it is newer than every
	// one before it. A link believes nothing of where its peer is, or how to write to it, before it has heard this. On the loop,
	// inside Sink.Bytes.
	Authentic(newest bool)

	// Stalled says that what was written of late has not arrived, so that the link doubts what it knows of the path. On the
	// loop.
	Stalled()
}

// A Sink is what a Transport reports to: the engine.
//
// Except for DialFailed, Refused and Failed, every method is called on the loop that owns the link. A Sink must not block.
type Sink interface {
	// Opened reports a new link: accepted (tag is nil) or dialled (the tag given to Dial). It is the first call about
	// a link. The sink may Close it at once.
	Opened(l Link, tag any)

	// DialFailed reports that a Dial came to nothing. err says why; where to, the caller of Dial knows and says. Any goroutine.
	DialFailed(tag any, err error)

	// Bytes hands over what arrived. b belongs to the sink, which may overwrite it, until the call returns; then the
	// transport uses the memory again. The sink takes all of it: what it wants to keep it copies.
	Bytes(l Link, b []byte)

	// Writable reports, once after each short Write, that there is room again.
	Writable(l Link)

	// Closed is the last call about a link. err is nil after a local Close, io.EOF after an orderly end by the other
	// side, else the reason. The socket is still open, and stays this link's, until the call returns.
	Closed(l Link, err error)

	// Turn is the answer to Wake and WakeAt.
	Turn(lp Loop)

	// Refused counts a connection that the transport turned away by itself, before it became a link: out of file
	// descriptors, for instance. Any goroutine.
	Refused(remote Addr, err error)

	// Failed reports that the transport as a whole has died although nobody stopped it. Any goroutine, at most once.
	Failed(err error)
}
