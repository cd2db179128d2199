package udpio

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

// A port is the sockets of one loop. wait, take and bind are for the loop's goroutine, the rest for any.
type port interface {
	// bind opens a socket on an address, one of a group of that many, and returns its number: the same on every loop if all
	// bind the same addresses in the same order. group 0: a socket of this loop's own.
	bind(at netip.AddrPort, group int) (socket int, err error)

	// local is what a socket is bound to, and how many there are.
	local(socket int) netip.AddrPort
	sockets() int

	// wait returns when something has arrived, there is room to send again, wake was called, or timeout is
	// over (below 0: never). It hands over what has arrived. room is true if send has reported false and
	// would not now; more is true if not all has been handed over.
	wait(timeout time.Duration, take func(socket int, from netip.AddrPort, b []byte)) (room, more bool, err error)

	// begin and end enclose a turn: what is sent between them may be kept until end.
	begin()
	end()

	// send sends one datagram: header and body. false: no room.
	send(socket int, to netip.AddrPort, k datagram.Kind, id datagram.ID, body []byte) bool

	wake()
	close()
}

// A loop is one event loop: its goroutine calls the Sink.
type loop struct {
	t     *Transport
	index int
	port  port
	mux   *datagram.Mux

	alarm time.Duration // the Sink's; owned by the loop
	now   time.Duration // of this turn; owned by the loop
	read  time.Duration // what had come until then has been read, to within a batch; owned by the loop
	more  bool          // the last batch was not all there was; owned by the loop

	woken atomic.Bool // Wake since the last turn

	mu      sync.Mutex // guards the next two
	strays  []stray
	astray  int     // bytes of strays
	strayed []stray // owned by the loop
}

// A stray is a datagram that came to another loop.
type stray struct {
	socket int
	from   netip.AddrPort
	b      []byte
}

var _ transport.Loop = (*loop)(nil)

func newLoop(t *Transport, index int, p port) *loop {
	lp := &loop{t: t, index: index, port: p, alarm: transport.Never}
	lp.mux = datagram.New(lp, t.sink, carrier{lp}, t.cfg.Path, &t.secret, &t.counts, t.cfg.Rand)
	return lp
}

// Index implements transport.Loop.
func (lp *loop) Index() int { return lp.index }

// Now implements transport.Loop.
func (lp *loop) Now() time.Duration { return time.Since(lp.t.start) }

// Wake implements transport.Loop.
func (lp *loop) Wake() {
	if !lp.woken.Swap(true) {
		lp.port.wake()
	}
}

// Behind is how long ago the loop had read everything that had come: what engines ask before they count somebody's silence. On
// the loop.
func (lp *loop) Behind() time.Duration { return lp.Now() - lp.read }

// WakeAt implements transport.Loop.
func (lp *loop) WakeAt(at time.Duration) { lp.alarm = at }

// run is the loop's goroutine.
func (lp *loop) run() {
	defer lp.t.running.Done()
	take := lp.receive // once: a method value is allocated
	for !lp.t.stopped.Load() {
		if err := lp.round(take); err != nil {
			lp.t.failed.Do(func() { lp.t.sink.Failed(fmt.Errorf("udpio: loop %d: %w", lp.index, err)) })
			break
		}
	}
	lp.port.begin()
	lp.mux.Stop()
	lp.port.end()
}

// round waits for something to do, and does it.
func (lp *loop) round(take func(int, netip.AddrPort, []byte)) error {
	room, more, err := lp.port.wait(lp.timeout(), take)
	if err != nil {
		return err
	}
	if lp.more = more; !more {
		lp.read = lp.Now()
	}
	lp.mux.Overrun(lp.Behind() > overrunAfter)
	lp.turn(room)
	return nil
}

// timeout is how long the loop may sleep.
func (lp *loop) timeout() time.Duration {
	next := min(lp.alarm, lp.mux.Next())
	if next == transport.Never {
		return -1
	}
	return max(next-lp.Now(), 0)
}

// turn is what the loop does when it has looked at its sockets.
func (lp *loop) turn(room bool) {
	lp.port.begin()
	lp.now = lp.Now()
	if room {
		lp.mux.Room()
	}
	lp.takeStrays()
	due := lp.alarm <= lp.now
	if due {
		lp.alarm = transport.Never
	}
	if lp.woken.Swap(false) || due {
		lp.t.sink.Turn(lp)
	}
	lp.mux.Advance(lp.now)
	lp.port.end()
}

// receive takes a datagram from the port, within the turn that wait has begun.
func (lp *loop) receive(socket int, from netip.AddrPort, b []byte) {
	now := lp.Now()
	if !lp.more { // else what this one belongs to has been waiting
		lp.read = now
	}
	at := lp.mux.Receive(now, socket, from, b)
	if at >= 0 && at < len(lp.t.loops) {
		lp.t.loops[at].stray(socket, from, b)
	}
}

// stray takes a datagram that another loop has received. Past the limits it is lost.
func (lp *loop) stray(socket int, from netip.AddrPort, b []byte) {
	lp.mu.Lock()
	fits := len(lp.strays) < forwardLimit && lp.astray+len(b) <= forwardBytes
	if fits {
		lp.strays = append(lp.strays, stray{socket, from, bytes.Clone(b)})
		lp.astray += len(b)
	}
	lp.mu.Unlock()
	if fits {
		lp.port.wake()
	}
}

func (lp *loop) takeStrays() {
	lp.mu.Lock()
	lp.strays, lp.strayed, lp.astray = lp.strayed[:0], lp.strays, 0
	lp.mu.Unlock()
	for i, s := range lp.strayed {
		lp.mux.Receive(lp.now, s.socket, s.from, s.b)
		lp.strayed[i] = stray{}
	}
}

// carrier is the face a loop shows its Mux.
type carrier struct{ lp *loop }

func (c carrier) Send(socket int, to netip.AddrPort, k datagram.Kind, id datagram.ID, body []byte) bool {
	return c.lp.port.send(socket, to, k, id, body)
}

// Socket returns the first socket of the address's family, a new one if there is none.
func (c carrier) Socket(to netip.AddrPort) (int, error) {
	p := c.lp.port
	for s := range p.sockets() {
		if p.local(s).Addr().Is4() == to.Addr().Is4() {
			return s, nil
		}
	}
	any := netip.IPv4Unspecified()
	if to.Addr().Is6() {
		any = netip.IPv6Unspecified()
	}
	return p.bind(netip.AddrPortFrom(any, 0), 0)
}

func (c carrier) Local(socket int) netip.AddrPort { return c.lp.port.local(socket) }
func (c carrier) Wake()                           { c.lp.port.wake() }
