package skad

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// fakes verifies the records of fakeContact: the signature is a hash anybody could compute, but nobody here does by
// mistake. A first byte of the solution that is not zero stands for a missing proof of work.
type fakes struct{ puzzles, signatures int }

var errFake = errors.New("not genuine")

func (v *fakes) Puzzle(c *Contact) error {
	v.puzzles++
	if c.Record.Solution[31] != 0 {
		return errFake
	}
	return nil
}

func (v *fakes) Signature(c *Contact) error {
	v.signatures++
	if c.Record.Signature != fakeSignature(&c.Record) {
		return errFake
	}
	return nil
}

func fakeSignature(r *identity.Record) (sig [64]byte) {
	h := fnv.New64a()
	unsigned := *r
	unsigned.Signature = sig
	h.Write(unsigned.Append(nil))
	binary.LittleEndian.PutUint64(sig[:], h.Sum64())
	return sig
}

// fakeContact returns a contact with that ID, whatever its key, at an address of a /24 of its own for every host below
// 1<<22.
func fakeContact(id ID, host int) *Contact {
	return fakeAt(id, netip.AddrFrom4([4]byte{byte(11 + host>>16), byte(host >> 8), byte(host), 7}), 1, 0)
}

func fakeAt(id ID, ip netip.Addr, seq uint64, flags identity.Flags) *Contact {
	rec := identity.Record{
		PublicKey: identity.PublicKey(id.Identity()),
		Addrs:     []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ip, 4001)}},
		Seq:       seq, Flags: flags,
	}
	rec.Signature = fakeSignature(&rec)
	c := NewContact(rec, Public)
	c.ID = id // NewContact has hashed a key that is none
	return c
}

// resigned returns a copy of d with changes to its record, signed again.
func resigned(d *Contact, change func(r *identity.Record)) *Contact {
	rec := d.Record
	rec.Addrs = slices.Clone(rec.Addrs)
	change(&rec)
	rec.Signature = fakeSignature(&rec)
	c := NewContact(rec, Public)
	c.ID = d.ID
	return c
}

// forged returns a copy of d that names another address, with the signature it had.
func forged(d *Contact, host int) *Contact {
	f := resigned(d, func(r *identity.Record) { r.Addrs = fakeContact(d.ID, host).Record.Addrs })
	f.Record.Signature = d.Record.Signature
	return f
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func randomID(rnd *rand.Rand) (id ID) {
	for i := range id {
		id[i] = rnd.Uint64()
	}
	return id
}

// newCore returns a core with a random ID drawn from seed.
func newCore(t testing.TB, seed uint64, change func(*Config)) *Core {
	t.Helper()
	rnd := newRand(seed)
	cfg := Config{Verifier: &fakes{}}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg, fakeContact(randomID(rnd), 1<<22-1), rnd, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// drain returns the actions that wait. Message.Contacts and Payload are copied.
func drain(c *Core) (list []Action) {
	for {
		a, ok := c.Next()
		if !ok {
			return list
		}
		a.Message.Contacts = slices.Clone(a.Message.Contacts)
		a.Message.Payload = slices.Clone(a.Message.Payload)
		list = append(list, a)
	}
}

// verify fails the test if an invariant of c does not hold.
func verify(t testing.TB, c *Core) {
	t.Helper()
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
}

// A world runs cores against each other on virtual time. Every message takes latency; what is sent to a node that is
// down gets lost.
type world struct {
	t       testing.TB
	now     time.Duration
	latency time.Duration
	nodes   map[ID]*node
	order   []*node // for determinism
	flights []flight
	checked bool // check every core after every event
}

type node struct {
	core    *Core
	down    bool
	side    int                                                  // nodes of different sides do not hear each other
	answer  func(w *world, n *node, from *node, m *Message) bool // takes a message instead of the core
	actions []Action                                             // everything but Send
	sent    int
}

type flight struct {
	at       time.Duration
	from, to *node
	message  Message
}

func newWorld(t testing.TB, n int, seed uint64, change func(*Config)) *world {
	w := &world{t: t, latency: 50 * time.Millisecond, nodes: map[ID]*node{}}
	rnd := newRand(seed)
	for i := range n {
		w.add(fakeContact(randomID(rnd), i), seed+uint64(i)+1000, change)
	}
	return w
}

func (w *world) add(self *Contact, seed uint64, change func(*Config)) *node {
	cfg := Config{Verifier: &fakes{}}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg, self, newRand(seed), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	n := &node{core: c}
	w.nodes[self.ID] = n
	w.order = append(w.order, n)
	return n
}

// fill gives every node the table it would have in a network that has been still for long: everybody is offered to
// everybody, in random order.
func (w *world) fill(seed uint64) {
	rnd := newRand(seed)
	for _, n := range w.order {
		for _, k := range rnd.Perm(len(w.order)) {
			n.core.Adopt(w.now, w.order[k].core.Self())
		}
	}
}

// take carries out the actions of n.
func (w *world) take(n *node) {
	for _, a := range drain(n.core) {
		if a.Kind != ActionSend {
			n.actions = append(n.actions, a)
			continue
		}
		n.sent++
		to := w.nodes[a.To.ID]
		if to == nil || to.down || to.side != n.side || a.To.Addrs[0] != to.core.Self().Addrs[0] {
			continue // nobody there: silence
		}
		w.flights = append(w.flights, flight{w.now + w.latency, n, to, a.Message})
	}
	if w.checked {
		verify(w.t, n.core)
	}
}

// run lets the world go on for a span.
func (w *world) run(span time.Duration) {
	end := w.now + span
	for {
		at := end
		for _, n := range w.order {
			if !n.down {
				at = min(at, n.core.Deadline())
			}
		}
		if len(w.flights) > 0 { // all take equally long, so the first is the next
			at = min(at, w.flights[0].at)
		}
		w.now = max(w.now, at)
		if at >= end {
			w.now = end
			return
		}
		for len(w.flights) > 0 && w.flights[0].at <= w.now {
			f := w.flights[0]
			w.flights = w.flights[1:]
			if f.to.down || f.to.side != f.from.side {
				continue
			}
			if f.to.answer == nil || !f.to.answer(w, f.to, f.from, &f.message) {
				f.to.core.Receive(w.now, Peer{f.from.core.Self(), true}, &f.message)
			}
			w.take(f.to)
		}
		for _, n := range w.order {
			if !n.down && n.core.Deadline() <= w.now {
				n.core.Expire(w.now)
				w.take(n)
			}
		}
	}
}

// lookup runs one lookup to its end.
func (w *world) lookup(n *node, key ID, opt LookupOptions) *Result {
	w.t.Helper()
	id, err := n.core.Lookup(w.now, key, opt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.take(n)
	for range 1000 {
		for i, a := range n.actions {
			if a.Kind == ActionLookup && a.Result.Lookup == id {
				n.actions = slices.Delete(n.actions, i, i+1)
				return a.Result
			}
		}
		w.run(20 * time.Millisecond)
	}
	w.t.Fatal("the lookup does not end")
	return nil
}

// nearest returns the n nodes of the world closest to key, without but.
func (w *world) nearest(key ID, n int, but *node) (list []*Contact) {
	for _, x := range w.order {
		if x != but && !x.down {
			list = append(list, x.core.Self())
		}
	}
	slices.SortFunc(list, func(a, b *Contact) int { return a.ID.Xor(key).Compare(b.ID.Xor(key)) })
	return list[:min(n, len(list))]
}

func sameIDs(a, b []*Contact) bool {
	return slices.EqualFunc(a, b, func(x, y *Contact) bool { return x.ID == y.ID })
}

// statistical marks a test of figures, in one goroutine: the race detector would find nothing in it, slowly.
func statistical(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing to find with -race")
	}
}
