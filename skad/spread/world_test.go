package spread

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// cheap signs and verifies for a thousand nodes: the signature is the hash itself, which anybody could write down, but
// nobody here does by mistake. A first byte of the solution's travelling part that is not zero stands for a missing
// proof of work.
type cheap struct{ verified int }

func (v *cheap) Sign(domain string, msg []byte) (sig [64]byte) {
	copy(sig[:], msg)
	copy(sig[32:], domain)
	return sig
}

func (v *cheap) Verify(domain string, m *Message) error {
	v.verified++
	sum := hashOf(m)
	switch {
	case m.ID != MessageID(sum[:16]):
		return ErrID
	case m.Solution[24] != 0:
		return identity.ErrPuzzle
	case m.Signature != v.Sign(domain, sum[:]):
		return ErrSignature
	}
	return nil
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// newContact returns a node with a random key, in the /24 of its host number.
func newContact(rnd *rand.Rand, host int) *skad.Contact {
	var key identity.PublicKey
	for i := range key {
		key[i] = byte(rnd.Uint32())
	}
	ip := netip.AddrFrom4([4]byte{byte(11 + host>>16), byte(host >> 8), byte(host), byte(1 + rnd.IntN(250))})
	addr := transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ip, 4001)}
	return skad.NewContact(identity.Record{PublicKey: key, Addrs: []transport.Addr{addr}}, skad.Public)
}

// static is the table of a network that has been still for long.
type static struct {
	self    skad.ID
	buckets [][]*skad.Contact
}

func (s *static) Sharing(prefix int, dst []*skad.Contact) []*skad.Contact {
	if prefix >= len(s.buckets) {
		return dst
	}
	return append(dst, s.buckets[prefix]...)
}

// Closest is asked for the closest contact only.
func (s *static) Closest(key skad.ID, n int, dst []*skad.Contact) []*skad.Contact {
	for i := len(s.buckets) - 1; i >= 0; i-- {
		if len(s.buckets[i]) > 0 {
			return append(dst, s.buckets[i][0])
		}
	}
	return dst
}

func (s *static) add(d *skad.Contact) {
	prefix := skad.CommonPrefix(s.self, d.ID)
	for len(s.buckets) <= prefix {
		s.buckets = append(s.buckets, nil)
	}
	s.buckets[prefix] = append(s.buckets[prefix], d)
}

// A conduct is how a node behaves.
type conduct uint8

const (
	good     conduct = iota
	hole             // takes everything, passes nothing on
	dead             // cannot be reached
	inflator         // claims a smaller height for its delegates, which would give them more to do
	flooder          // sends to more than its duty, as if everybody were a delegate of its own high up in the tree
)

type node struct {
	core    *Core
	contact *skad.Contact
	table   *static
	conduct conduct

	armedAt  time.Duration
	got      []Action // deliveries
	gotAt    time.Duration
	blames   []Action
	payloads int // Broadcast messages sent
	control  int // others
	hop      int // of the first copy
}

// An event is a message on its way, a failed sending on its way back (failed), or a timer (from is nil).
type event struct {
	at       time.Duration
	order    int
	from, to *node
	message  Message
	failed   bool
}

type events []*event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *events) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = nil
	*q = (*q)[:len(*q)-1]
	return last
}

// A world runs cores against each other in virtual time, over static tables.
type world struct {
	t      testing.TB
	delay  func() time.Duration // of a message; nil: see latency
	rnd    *rand.Rand
	now    time.Duration
	nodes  []*node
	byID   map[skad.ID]*node
	queue  events
	order  int
	loss   float64
	onSend func(from, to *node, m *Message)
}

// newWorld makes n nodes, each with up to 16 random contacts of every bucket and its 48 closest neighbours.
func newWorld(t testing.TB, n int, seed uint64, change func(*Config)) *world {
	w := &world{t: t, rnd: newRand(seed), byID: map[skad.ID]*node{}}
	for i := range n {
		d := newContact(w.rnd, i)
		x := &node{contact: d, table: &static{self: d.ID}, armedAt: Never}
		w.nodes = append(w.nodes, x)
		w.byID[d.ID] = x
	}
	sorted := slices.Clone(w.nodes)
	slices.SortFunc(sorted, func(a, b *node) int { return a.contact.ID.Compare(b.contact.ID) })
	for i, x := range w.nodes {
		x.table.fill(sorted, w.rnd)
		cfg := Config{Signer: &cheap{}, Verifier: &cheap{}}
		if change != nil {
			change(&cfg)
		}
		c, err := New(cfg, x.contact, x.table, newRand(seed<<20+uint64(i)), 0)
		if err != nil {
			t.Fatal(err)
		}
		x.core = c
	}
	return w
}

func (s *static) fill(sorted []*node, rnd *rand.Rand) {
	const k, siblings = 16, 48
	lo, hi := 0, len(sorted)
	for prefix := 0; hi-lo > 1; prefix++ {
		bit := uint64(1) << (63 - prefix)
		mid := lo + sort.Search(hi-lo, func(i int) bool { return sorted[lo+i].contact.ID[0]&bit != 0 })
		others := sorted[mid:hi]
		if s.self[0]&bit != 0 {
			others = sorted[lo:mid]
			lo = mid
		} else {
			hi = mid
		}
		if len(others)+hi-lo > siblings && len(others) > k {
			for picked := 0; picked < k; {
				d := others[rnd.IntN(len(others))].contact
				if prefix >= len(s.buckets) || !slices.Contains(s.buckets[prefix], d) {
					s.add(d)
					picked++
				}
			}
			continue
		}
		for _, o := range others {
			s.add(o.contact)
		}
	}
}

// spoil gives a share of the nodes, never node 0, another conduct.
func (w *world) spoil(share float64, to conduct) {
	for _, i := range w.rnd.Perm(len(w.nodes) - 1)[:int(share*float64(len(w.nodes)))] {
		w.nodes[i+1].conduct = to
	}
}

func (w *world) latency() time.Duration {
	if w.delay != nil {
		return w.delay()
	}
	return time.Duration(40+w.rnd.IntN(120)) * time.Millisecond
}

func (w *world) post(e event) {
	w.order++
	e.order = w.order
	heap.Push(&w.queue, &e)
}

// take carries out the actions of x.
func (w *world) take(x *node) {
	for a, ok := x.core.Next(); ok; a, ok = x.core.Next() {
		switch a.Kind {
		case ActionDeliver:
			if len(x.got) == 0 {
				x.gotAt, x.hop = w.now, int(a.Message.Hop)
			}
			x.got = append(x.got, a)
		case ActionBlame:
			x.blames = append(x.blames, a)
		case ActionSend:
			w.send(x, a.To, a.Message)
		}
	}
	if at := x.core.Deadline(); at < x.armedAt {
		x.armedAt = at
		w.post(event{at: at, to: x})
	}
}

func (w *world) send(x *node, contact *skad.Contact, m Message) {
	to := w.byID[contact.ID]
	if x.conduct == hole {
		return
	}
	if m.Op == opcode.BroadcastCode {
		x.payloads++
	} else {
		x.control++
	}
	m.IDs = slices.Clone(m.IDs)
	if x.conduct == inflator && m.Op == opcode.BroadcastCode && m.Height > 0 {
		m.Height = 0
	}
	if x.conduct == flooder && m.Op == opcode.BroadcastCode {
		w.flood(x, m)
	}
	if w.onSend != nil {
		w.onSend(x, to, &m)
	}
	w.fly(x, to, m)
}

func (w *world) fly(x, to *node, m Message) {
	if to.conduct == dead {
		w.post(event{at: w.now + w.latency(), from: x, to: to, message: m, failed: true})
	} else if w.loss == 0 || w.rnd.Float64() >= w.loss {
		w.post(event{at: w.now + w.latency(), from: x, to: to, message: m})
	}
}

// flood gives a message to two random contacts of every bucket, with the smallest numbers that can pass: the largest
// duties that a node may claim to hand out.
func (w *world) flood(x *node, m Message) {
	for prefix, list := range x.table.buckets {
		for range 2 {
			if len(list) > 0 && prefix > 0 {
				m.Hop, m.Height = 2, uint8(prefix)
				x.payloads++
				w.fly(x, w.byID[list[w.rnd.IntN(len(list))].ID], m)
			}
		}
	}
}

// run lets the world go on for a span.
func (w *world) run(span time.Duration) {
	end := w.now + span
	for len(w.queue) > 0 && w.queue[0].at <= end {
		e := heap.Pop(&w.queue).(*event)
		w.now = e.at
		switch {
		case e.from == nil:
			e.to.armedAt = Never
			if e.to.core.Deadline() <= w.now {
				e.to.core.Expire(w.now)
			}
			w.take(e.to)
		case e.failed:
			e.from.core.SendFailed(w.now, e.to.contact, e.message.ID)
			w.take(e.from)
		case e.to.conduct != dead:
			e.to.core.Receive(w.now, e.from.contact, &e.message)
			w.take(e.to)
		}
	}
	w.now = end
}

// broadcast sends one message from node x and lets everything come to rest.
func (w *world) broadcast(x *node, payload []byte) MessageID {
	w.t.Helper()
	id, err := x.core.Broadcast(w.now, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	w.take(x)
	w.run(20 * time.Second)
	return id
}

// An outcome is what came of one broadcast by node 0. Good nodes are counted without the source.
type outcome struct {
	coverage   float64 // share of the good nodes that have it
	duplicates float64 // per good node
	payloads   float64 // sent, per good node
	control    float64
	hops       float64
	most       int // payloads sent by one node other than the source
	times      []time.Duration
}

func (w *world) outcome() (o outcome) {
	nodes, got, hops := 0.0, 0.0, 0
	for i, x := range w.nodes {
		if x.conduct != good {
			continue
		}
		o.payloads += float64(x.payloads)
		o.control += float64(x.control)
		o.duplicates += float64(x.core.Stats().Dropped[skad.SpreadKnown])
		if i == 0 {
			continue
		}
		nodes++
		o.most = max(o.most, x.payloads)
		if len(x.got) > 1 {
			w.t.Fatalf("delivered %d times", len(x.got))
		}
		if len(x.got) == 1 {
			got++
			hops += x.hop
			o.times = append(o.times, x.gotAt)
		}
	}
	slices.Sort(o.times)
	o.coverage, o.hops = got/nodes, float64(hops)/got
	o.payloads, o.control, o.duplicates = o.payloads/nodes, o.control/nodes, o.duplicates/nodes
	return o
}

// statistical marks a test of figures, in one goroutine: the race detector would find nothing in it, slowly; checks
// after every call likewise.
func statistical(t *testing.T) {
	if raceEnabled || invariant.Enabled {
		t.Skip("nothing to find in this build")
	}
}

// verify fails the test if an invariant of c does not hold.
func verify(t testing.TB, c *Core) {
	t.Helper()
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
}
