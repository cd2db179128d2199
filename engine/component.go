package engine

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
)

// ComponentInterface is what an application implements to take part in a Network. Embed Component and write only the
// callbacks that matter.
//
// Startup and Cleanup are called once each, on the goroutine that starts the network, adds the component or shuts down.
// The other three are called on the event loop of the peer they are about, so that for one peer they never run at the
// same time, and in order: PeerConnect, then Receive any number of times, then PeerDisconnect. For different peers they
// may run at the same time on different loops. They must not block: see Offload.
type ComponentInterface interface {
	// Callback for when the network starts listening for peers: the place to register messages and to look for other
	// components. The component hears of no peer before it has returned.
	Startup(net *Network)

	// Callback for when an incoming message is received. Return nil to let the next component that subscribes to the
	// opcode see it too, ErrIntercepted to stop here. Any other error stops here as well, is counted, and logged at
	// debug, and who has sent the message as a request gets ErrNoReply; a *Fault with Fate Close disconnects the peer.
	//
	// ctx and everything reached through it are good until Receive returns; ctx.Retain makes a copy that stays.
	Receive(ctx *ComponentContext) error

	// Callback for when the network stops listening for peers.
	Cleanup(net *Network)

	// Callback for when a peer connects to the network.
	PeerConnect(client *PeerClient)

	// Callback for when a peer disconnects from the network; client.CloseReason tells why. The peer is already
	// forgotten: a new connection to it may be made from here (DialAsync).
	PeerDisconnect(client *PeerClient)
}

// Component implements ComponentInterface with callbacks that do nothing, for embedding.
type Component struct{}

func (Component) Startup(*Network)                {}
func (Component) Receive(*ComponentContext) error { return nil }
func (Component) Cleanup(*Network)                {}
func (Component) PeerConnect(*PeerClient)         {}
func (Component) PeerDisconnect(*PeerClient)      {}

// A Subscriber is a component that names the opcodes it wants to see. A component that is no Subscriber sees every
// message that is not answered by the engine itself. Of those that are, only PongCode may be named: see TryPing.
type Subscriber interface {
	Opcodes() []opcode.Opcode
}

// A SilenceWatcher is a component that wants to know about peers that say nothing: PeerSilent is called, on the peer's
// loop and every few seconds, while nothing has come of a peer for at least SilentAfter. silent is how much of that time the
// loop has listened: when it did not run, or was behind with reading, what the peer has said may wait in a socket. So silent
// may be less than SilentAfter; PeerClient.SilentFor is the whole.
type SilenceWatcher interface {
	SilentAfter() time.Duration
	PeerSilent(client *PeerClient, silent time.Duration)
}

// An Acknowledger is the component that answers for messages whose sender wants to know that they have arrived: those with the
// wants-ack flag, sent with TrySendAckable. The first one by priority is asked; where there is none such messages are
// dropped and counted as unhandled, since their sender would repeat them. Both methods are called on the peer's loop.
type Acknowledger interface {
	// Arrived is called before the message is handed to anybody, with the number its sender gave it. It reports whether it is
	// to be handed over: false for one that has been before. A *Fault with Fate Close disconnects the peer.
	Arrived(client *PeerClient, id uint32) (fresh bool, err error)

	// Taken is called after the message was handed over, with nil if somebody has taken it, else with why it was refused. It
	// is not called if the connection ends meanwhile, or a component panics.
	Taken(client *PeerClient, id uint32, refused error)
}

// A ComponentOption changes how AddComponent registers a component.
type ComponentOption func(*slot)

// Priority orders the components that see the same opcode: the lower number first, components of equal priority in the
// order they were added. The default is 0.
func Priority(n int) ComponentOption { return func(s *slot) { s.priority = n } }

// Opcodes restricts the component to these opcodes, whatever it says itself.
func Opcodes(codes ...opcode.Opcode) ComponentOption { return func(s *slot) { s.codes = codes } }

// A slot is a component's place in a Network. It is fixed once made; counters aside.
type slot struct {
	component ComponentInterface
	name      string
	priority  int
	order     int
	codes     []opcode.Opcode // nil: all
	everyOp   bool
	started   bool // Startup has been called, or is about to be; under compose
	counts    slotCounts
	cleaned   sync.Once
}

// AddComponent adds a component; any goroutine, before Start or while running, but not on a loop. A component
// with a method Validate() error is asked first, and not added if there is one. If the network runs, Startup
// is called, then PeerConnect for every peer that is open, then the component sees messages.
func (n *Network) AddComponent(c ComponentInterface, opts ...ComponentOption) error {
	if c == nil || !reflect.TypeOf(c).Comparable() {
		return fmt.Errorf("engine: a %T cannot be a component: it has to be a pointer, or comparable", c)
	}
	if checked, ok := c.(interface{ Validate() error }); ok {
		if err := checked.Validate(); err != nil {
			return fmt.Errorf("engine: add %s: %w", nameOf(c), err)
		}
	}
	s := &slot{component: c, name: nameOf(c), everyOp: true}
	if sub, ok := c.(Subscriber); ok {
		s.codes, s.everyOp = sub.Opcodes(), false
	}
	for _, o := range opts {
		o(s)
	}
	if s.codes != nil {
		s.everyOp = false
	}
	for _, code := range s.codes {
		if builtin(code) && code != opcode.PongCode {
			return fmt.Errorf("%w: %v is answered by the engine", ErrReserved, code)
		}
		if !builtin(code) && !speakable(code) {
			return fmt.Errorf("%w: %v has no meaning yet", ErrReserved, code)
		}
	}

	if n.onLoop() {
		return ErrOnLoop
	}
	n.compose.Lock()
	defer n.compose.Unlock()
	if n.phase.Load() > phaseRunning {
		return ErrClosed
	}
	for _, have := range slices.Concat(n.starting, n.slots) {
		if have.component == c {
			return errors.New("engine: this component has been added before")
		}
	}
	if n.running() {
		// Startup may itself add components, register messages or look for others: not under the lock.
		s.started = true
		n.starting = append(n.starting, s)
		n.compose.Unlock()
		n.guard(s, func() { c.Startup(n) })
		n.compose.Lock()
		n.starting = slices.DeleteFunc(n.starting, func(have *slot) bool { return have == s })
		if !n.running() { // Shutdown has not seen it
			n.guard(s, func() { c.Cleanup(n) })
			return ErrClosed
		}
	}
	n.slotOrder++
	s.order = n.slotOrder
	n.slots = append(slices.Clone(n.slots), s)
	slices.SortStableFunc(n.slots, func(a, b *slot) int {
		if a.priority != b.priority {
			return a.priority - b.priority
		}
		return a.order - b.order
	})
	n.recomposeSoon(func(l *loop) {
		for _, p := range slices.Clone(l.peers) {
			l.guard(s, func() { c.PeerConnect(p) })
		}
	})
	return nil
}

// nameOf is what a component is called in statistics, events and errors: its type, unless it names itself.
func nameOf(c ComponentInterface) string {
	if named, ok := c.(interface{ ComponentName() string }); ok {
		return named.ComponentName()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", c), "*")
}

// RemoveComponent takes a component out: after it has returned no callback of the component runs any more. Open peers
// are taken leave of with PeerDisconnect, then Cleanup is called. Any goroutine, but not on a loop.
func (n *Network) RemoveComponent(c ComponentInterface) error {
	if n.onLoop() {
		return ErrOnLoop
	}
	s, started, err := n.takeOut(c)
	if err == nil && started {
		n.retire(s)
	}
	return err
}

// takeOut removes the component of a slot; started tells whether Startup has been called.
func (n *Network) takeOut(c ComponentInterface) (s *slot, started bool, err error) {
	n.compose.Lock()
	defer n.compose.Unlock()
	at := slices.IndexFunc(n.slots, func(s *slot) bool { return s.component == c })
	if at < 0 {
		return nil, false, errors.New("engine: no such component")
	}
	s = n.slots[at]
	n.slots = slices.Delete(slices.Clone(n.slots), at, at+1)
	n.recompose(func(l *loop) {
		for _, p := range slices.Clone(l.peers) {
			l.guard(s, func() { c.PeerDisconnect(p) })
		}
	})
	return s, s.started, nil
}

// retire calls Cleanup, once. The caller holds no lock: Cleanup may wait for goroutines that want one.
func (n *Network) retire(s *slot) {
	s.cleaned.Do(func() { n.guard(s, func() { s.component.Cleanup(n) }) })
}

// ComponentOf returns the component of type T, for components that use each other. Any goroutine, loops included.
func ComponentOf[T ComponentInterface](n *Network) (T, bool) {
	for _, s := range n.table.Load().slots {
		if c, ok := s.component.(T); ok {
			return c, true
		}
	}
	var none T
	return none, false
}

// recompose makes a new dispatch table from the slots and gives it to every loop; on each, then runs once right after.
// It returns when all loops have it. The caller holds compose.
func (n *Network) recompose(then func(*loop)) { n.compound(n.onEachLoop, then) }

// recomposeSoon is recompose for what is added. While Start calls Startups it does not wait: nobody is
// connected yet, whoever comes is later in each loop's queue than the table, and a simulation's loops do not
// run before Start has returned.
func (n *Network) recomposeSoon(then func(*loop)) {
	if !n.door.isShut() {
		n.recompose(then)
		return
	}
	n.compound(func(give func(*loop)) {
		for _, l := range n.loops {
			l.post(func() { give(l) })
		}
	}, then)
}

// compound makes a new dispatch table and has each loop take it, by way of tell.
func (n *Network) compound(tell func(give func(*loop)), then func(*loop)) {
	t := newTable(n.registry, n.slots, &n.opcodes, n.compressed)
	n.table.Store(t)
	if phase := n.phase.Load(); phase == phaseNew || phase == phaseStopped { // no loop runs
		return
	}
	tell(func(l *loop) {
		l.table = t
		l.planLook(false) // a component may want to know of silence earlier
		if then != nil {
			then(l)
		}
	})
}

// guard runs a component's code off the loops.
func (n *Network) guard(s *slot, f func()) {
	n.visits.begin(s)
	defer n.visits.end(s)
	defer func() {
		if r := recover(); r != nil {
			n.panicked(s, r)
		}
	}()
	f()
}
