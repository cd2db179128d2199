package host

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// A bend makes a hostile node out of an honest one: it puts something in front of a component, or beside it.
type bend func(h *Host, n *node, list []engine.ComponentInterface) []engine.ComponentInterface

// adversaries are those of the simulator (sim.AdversaryNamed) that make sense on one machine, under the same names:
//
//	dropper    answers no lookup; pings it answers
//	poisoner   answers with the closest of the hostile nodes that it happens to know
//	forger     answers with the true closest nodes, at addresses where nobody is, under their old signatures
//	slow       answers lookups 700 ms late, below the second that a question lasts at most
//	flooder    sends one peer after the other a thousand questions, answers to nothing and announcements a second
//	blackhole  takes what is broadcast, and neither passes it on nor answers those who miss it
//
// The simulator's flooder wants into tables from one subnet, which one machine cannot show; this one wants others to be busy.
var adversaries = map[string]bend{
	"dropper":  answering(func(*mask, *engine.ComponentContext, *skad.Message) {}),
	"poisoner": answering((*mask).poison),
	"forger":   answering((*mask).forge),
	"slow":     answering((*mask).delay),
	"flooder": func(h *Host, n *node, list []engine.ComponentInterface) []engine.ComponentInterface {
		return append(list, &flood{host: h})
	},
	"blackhole": func(_ *Host, n *node, list []engine.ComponentInterface) []engine.ComponentInterface {
		return replaced(list, n.cast, &hole{n.cast})
	},
}

// Adversaries returns the names that Setup.Adversary may have.
func Adversaries() []string { return slices.Sorted(maps.Keys(adversaries)) }

// replaced puts a component in the place of another one.
func replaced(list []engine.ComponentInterface, old, by engine.ComponentInterface) []engine.ComponentInterface {
	list[slices.Index(list, old)] = by
	return list
}

// A mask stands in front of a discovery component: it sees the questions of lookups first, and lets everything else pass.
type mask struct {
	*discovery.Component
	host   *Host
	node   *node
	answer func(*mask, *engine.ComponentContext, *skad.Message)
}

func answering(answer func(*mask, *engine.ComponentContext, *skad.Message)) bend {
	return func(h *Host, n *node, list []engine.ComponentInterface) []engine.ComponentInterface {
		return replaced(list, n.disc, &mask{n.disc, h, n, answer})
	}
}

// Receive answers in the adversary's way. On the peer's loop.
func (m *mask) Receive(ctx *engine.ComponentContext) error {
	if ctx.Opcode() == opcode.LookupNodeRequestCode {
		if q, err := skad.ParseMessage(ctx.Opcode(), ctx.Payload(), skad.Private); err == nil {
			m.answer(m, ctx, &q)
			return engine.ErrIntercepted
		}
	}
	return m.Component.Receive(ctx)
}

// reply sends an answer, of as many contacts as were asked for.
func (m *mask) reply(ctx *engine.ComponentContext, q *skad.Message, list []*skad.Contact) {
	a := skad.Message{Op: opcode.LookupNodeResponseCode, Nonce: q.Nonce, Contacts: list[:min(len(list), int(q.Count))]}
	_ = ctx.Client().TrySendRaw(a.Op, a.Append(nil)) // no room: then it drops
}

func (m *mask) poison(ctx *engine.ComponentContext, q *skad.Message) {
	c, asker := m.host.crowd.Load(), skad.IDOf(ctx.Client().ID())
	m.reply(ctx, q, slices.DeleteFunc(m.View().Closest(q.Key, skad.CountLimit, nil), func(d *skad.Contact) bool { return !c.hostile[d.ID] || d.ID == asker }))
}

// nowhere is an address of this machine that nobody listens at: port 1 is below those that are given out.
var nowhere = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:1")}}

func (m *mask) forge(ctx *engine.ComponentContext, q *skad.Message) {
	c := m.host.crowd.Load()
	list := c.nearest(q.Key, skad.IDOf(ctx.Client().ID()), int(q.Count))
	for i, d := range list {
		if !c.hostile[d.ID] {
			rec := d.Record
			rec.Addrs = nowhere
			list[i] = skad.NewContact(rec, skad.Private)
		}
	}
	m.reply(ctx, q, list)
}

const slowness = 700 * time.Millisecond

func (m *mask) delay(ctx *engine.ComponentContext, _ *skad.Message) {
	kept := ctx.Retain()
	ctx.Client().Loop().After(slowness, func() { _ = m.Component.Receive(kept) }) // an honest question: nothing is wrong with it
}

// A hole stands in front of a broadcast component and lets nothing in.
type hole struct{ *broadcast.Component }

// Receive takes a message and does nothing with it.
func (hole) Receive(*engine.ComponentContext) error { return engine.ErrIntercepted }

// A flood is a component beside the others, which has more to say than anybody wants to hear.
type flood struct {
	engine.Component
	host *Host
	net  *engine.Network // fixed by Startup
	task *engine.Task    // likewise
}

// Every floodEvery one peer gets floodSize of each kind.
const (
	floodEvery = 200 * time.Millisecond
	floodSize  = 200
)

// Startup begins to flood.
func (f *flood) Startup(n *engine.Network) {
	f.net = n
	f.task = n.HomeLoop().NewTask("flood", f.turn)
	f.task.Wake()
}

// Cleanup ends it.
func (f *flood) Cleanup(n *engine.Network) { n.HomeLoop().Post(f.task.Stop) }

func (f *flood) turn() {
	f.task.WakeAt(f.net.HomeLoop().Now() + floodEvery)
	var victims []*engine.PeerClient
	for p := range f.net.ConnMgr().Peers() {
		if !f.host.crowd.Load().hostile[skad.IDOf(p.ID())] {
			victims = append(victims, p)
		}
	}
	if len(victims) == 0 {
		return
	}
	var key skad.ID
	for i := range key {
		key[i] = rand.Uint64()
	}
	question := (&skad.Message{Op: opcode.LookupNodeRequestCode, Nonce: 1 + rand.Uint64()>>1, Key: key, Count: Nearest}).Append(nil)
	answer := (&skad.Message{Op: opcode.LookupNodeResponseCode, Nonce: 1 + rand.Uint64()>>1}).Append(nil)
	have := (&spread.Message{Op: opcode.BroadcastHaveCode, IDs: []spread.MessageID{{byte(key[0]), 1}}}).Append(nil)
	p := victims[rand.IntN(len(victims))]
	for range floodSize {
		_ = p.TrySendRaw(opcode.LookupNodeRequestCode, question) // what finds no room is not missed
		_ = p.TrySendRaw(opcode.LookupNodeResponseCode, answer)
		_ = p.TrySendRaw(opcode.BroadcastHaveCode, have)
	}
}
