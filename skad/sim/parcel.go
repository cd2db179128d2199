package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// A parcel is a broadcast message under way, or one that could not be delivered on its way back.
type parcel struct {
	from, to *Node
	contact  *skad.Contact // whom from sent it to
	message  spread.Message
	ids      []spread.MessageID // backs message.IDs
	failed   bool
}

// A pen signs the broadcasts of one node.
type pen struct {
	notary *notary
	key    identity.PublicKey
}

// Sign returns the signature under the first 16 bytes of msg, which name the message.
func (p pen) Sign(_ string, msg []byte) [64]byte {
	return p.notary.stamp(&p.key, msg[:len(spread.MessageID{})])
}

// Verify checks a broadcast, as the Verifier of spread.
func (v *notary) Verify(_ string, m *spread.Message) error {
	if v.stamp(&m.Origin, m.ID[:]) != m.Signature {
		return spread.ErrSignature
	}
	return nil
}

// stamp is the signature of a broadcast: over its origin and its ID, which is the hash of the rest.
func (v *notary) stamp(key *identity.PublicKey, id []byte) (sig [64]byte) {
	h := v.key[1]
	for _, b := range [2][]byte{key[:], id} {
		for i := 0; i < len(b); i += 8 {
			h = mix(h ^ binary.LittleEndian.Uint64(b[i:]))
		}
	}
	binary.LittleEndian.PutUint64(sig[:], mix(h^v.key[0]))
	return sig
}

// Spread gives every node that there is a broadcast core beside its core; those that come later have none,
// and hear nothing. Signer and Verifier of cfg are the network's own. Errors wrap spread.ErrConfig.
func (w *Network) Spread(cfg spread.Config) error {
	w.casting = true
	for _, n := range w.nodes {
		cfg.Verifier, cfg.Signer = w.notary, pen{w.notary, n.contact.Record.PublicKey}
		c, err := spread.New(cfg, n.contact, n.core, rand.New(rand.NewPCG(w.cfg.Seed, ^uint64(n.index))), w.now)
		if err != nil {
			return err
		}
		n.cast, n.beatAt = c, spread.Never
	}
	return nil
}

// carry carries out what the broadcast core of n wants done, as settle does for its core.
func (w *Network) carry(n *Node) {
	for {
		a, ok := n.cast.Next()
		if !ok {
			break
		}
		switch a.Kind {
		case spread.ActionSend:
			w.post(n, a.To, &a.Message)
		case spread.ActionDeliver:
			if w.told != nil {
				w.told(n, a)
			}
		}
	}
	if at := n.cast.Deadline(); at < n.beatAt {
		n.beatAt = max(at, w.now)
		n.shard.queue.push(n.beatAt, n.tie(), beat, n.seat)
	}
}

// post puts a broadcast message on its way. Whoever cannot be reached is known to be so after a round trip;
// what gets lost is not known to anybody.
func (w *Network) post(from *Node, to *skad.Contact, m *spread.Message) {
	if w.posted != nil {
		w.posted(from, m)
	}
	dest := w.hosts.at(to.Addrs[0].Addr())
	tie := from.tie()
	luck := w.luck(tie)
	if dest == nil || dest.cast == nil || w.lost(luck) {
		return
	}
	var i uint32
	if n := len(w.empty); n > 0 {
		i, w.empty = w.empty[n-1], w.empty[:n-1]
	} else {
		i = uint32(len(w.parcels))
		w.parcels = append(w.parcels, parcel{})
	}
	p := &w.parcels[i]
	p.from, p.to, p.contact, p.message, p.failed = from, dest, to, *m, dest.down || dest.side != from.side
	p.ids = append(p.ids[:0], m.IDs...)
	p.message.IDs = p.ids
	if from.warp != nil {
		from.warp(&p.message)
	}
	span := w.delays.oneWay(from.site, dest.site, fraction(luck))
	if p.failed {
		span *= 2
	}
	dest.shard.queue.push(w.now+from.delay+span, tie, delivery, i)
}

// deliver ends the way of a parcel.
func (w *Network) deliver(i uint32) {
	p := w.parcels[i] // a copy: what the receiver does may move the parcels
	defer func() {
		q := &w.parcels[i]
		q.from, q.to, q.contact, q.message = nil, nil, nil, spread.Message{}
		w.empty = append(w.empty, i)
	}()
	switch {
	case p.failed && !p.from.down:
		p.from.note(w.now, p.to, p.message.Op, 1)
		p.from.cast.SendFailed(w.now, p.contact, p.message.ID)
		w.carry(p.from)
	case p.failed || p.to.down || p.to.side != p.from.side:
	default:
		p.to.note(w.now, p.from, p.message.Op, binary.LittleEndian.Uint64(p.message.ID[:]))
		if w.reaching != nil {
			w.reaching(p.to, &p.message)
		}
		if p.to.evil == nil || !p.to.evil.news(w, p.to, p.from, &p.message) {
			p.to.cast.Receive(w.now, p.from.contact, &p.message)
			w.carry(p.to)
		}
	}
}

// beat tells the broadcast core of n the time.
func (w *Network) beat(n *Node, at time.Duration) {
	if n.beatAt != at {
		return
	}
	n.beatAt = spread.Never
	if n.down {
		return
	}
	if n.cast.Deadline() <= w.now {
		n.note(w.now, n, 1, 0)
		n.cast.Expire(w.now)
	}
	w.carry(n)
}
