package handshake

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// An adversary who owns the network carries messages between several machines of three nodes as it likes: to anyone,
// twice, late, changed. Law (injective agreement): a responder that is done has exactly one initiator that is done with
// the same binding, and each has proven the other's node; no binding belongs to two initiators or to two responders.
// One number, the seed, replays a failure.
func TestAgreementUnderAdversary(t *testing.T) {
	configs := []*Config{node(t, 1), node(t, 2), node(t, 3)}
	for _, c := range configs {
		c.Cache = identity.NewCache(8)
	}
	completed, refused := 0, 0
	for seed := range uint64(400) {
		w := &weather{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), configs: configs}
		w.run()
		c, r := w.check()
		completed, refused = completed+c, refused+r
	}
	if completed < 50 || refused < 50 {
		t.Errorf("%d handshakes completed and %d messages were refused: too few to show anything", completed, refused)
	}
}

type weather struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	configs []*Config
	ends    []*Machine // the first dial, the others are dialled
	dials   int
	pool    []envelope
	refused int
}

// An envelope is a message that was sent once; the adversary never forgets it.
type envelope struct {
	msg      []byte
	from, to int // ends; to is whom an honest network would bring it to
}

func (w *weather) collect(from, to int) {
	if out, ok := w.ends[from].Next(); ok {
		w.pool = append(w.pool, envelope{out[lengthSize:], from, to})
	}
}

func (w *weather) run() {
	pick := func() *Config {
		c := *w.configs[w.rng.IntN(len(w.configs))]
		c.Rand = rand.NewChaCha8([32]byte{byte(w.seed), byte(w.seed >> 8), byte(len(w.ends)), 1})
		return &c
	}
	w.dials = 1 + w.rng.IntN(3)
	for range w.dials {
		expect := identity.ID{}
		if w.rng.IntN(3) == 0 {
			expect = pick().Identity.ID()
		}
		m, err := NewInitiator(pick(), 0, expect)
		if err != nil {
			w.t.Fatal(err)
		}
		w.ends = append(w.ends, m)
	}
	for range 1 + w.rng.IntN(3) {
		m, err := NewResponder(pick(), 0)
		if err != nil {
			w.t.Fatal(err)
		}
		w.ends = append(w.ends, m)
	}
	for i := range w.dials {
		w.collect(i, w.dials+w.rng.IntN(len(w.ends)-w.dials))
	}
	for range 20 {
		e := w.pool[len(w.pool)-1]
		msg, to := bytes.Clone(e.msg), e.to
		switch w.rng.IntN(6) {
		case 0:
			e = w.pool[w.rng.IntN(len(w.pool))]
			msg, to = bytes.Clone(e.msg), w.rng.IntN(len(w.ends))
		case 1:
			e = w.pool[w.rng.IntN(len(w.pool))]
			msg, to = bytes.Clone(e.msg), e.to
		case 2:
			if w.rng.IntN(4) == 0 {
				msg[w.rng.IntN(len(msg))] ^= 1 << w.rng.IntN(8)
			}
		}
		if err := w.ends[to].Receive(0, msg); err == nil {
			w.collect(to, e.from)
		} else {
			w.refused++
		}
	}
}

func (w *weather) check() (completed, refused int) {
	initiators, responders := map[[32]byte]*Machine{}, map[[32]byte]*Machine{}
	for i, m := range w.ends {
		if !m.Done() {
			continue
		}
		side := responders
		if i < w.dials {
			side = initiators
		}
		r := m.Result()
		if side[r.Binding] != nil {
			w.t.Errorf("seed %d: two machines of one role with one binding", w.seed)
		}
		side[r.Binding] = m
		if self := m.c.Identity.ID(); r.ID == self || !m.expect.IsZero() && r.ID != m.expect {
			w.t.Errorf("seed %d: proven %s, own %s, expected %s", w.seed, r.ID.Short(), self.Short(), m.expect.Short())
		}
	}
	for binding, b := range responders {
		a := initiators[binding]
		if a == nil {
			w.t.Errorf("seed %d: a responder is done, and nobody has done this handshake with it", w.seed)
			continue
		}
		ra, rb := a.Result(), b.Result()
		if ra.ID != b.c.Identity.ID() || rb.ID != a.c.Identity.ID() || ra.Send.key != rb.Recv.key || ra.Recv.key != rb.Send.key {
			w.t.Errorf("seed %d: the two ends of one binding do not agree", w.seed)
		}
		completed++
	}
	return completed, w.refused
}
