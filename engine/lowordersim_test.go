package engine_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A drawer counts the keys that are drawn: each begins a handshake's arithmetic.
type drawer struct {
	from io.Reader
	keys int
}

func (d *drawer) Read(b []byte) (int, error) {
	if len(b) == 32 {
		d.keys++
	}
	return d.from.Read(b)
}

// A guest is somebody at an address of a simulated network who has received a cookie there, and writes handshake messages.
type guest struct {
	*world
	at, to netip.AddrPort
	cookie []byte
	last   []byte // the handshake message that came to it last
}

const guestID = 7 << 8

func newGuest(w *world, n *engine.Network, at string) *guest {
	g := &guest{world: w, at: netip.MustParseAddrPort(at), to: n.Addrs()[0].AddrPort}
	w.Net().InterceptDatagrams(func(_, to netip.AddrPort, b []byte) bool {
		if to != g.at {
			return true
		}
		switch k, _, _ := datagram.ParseHeader(b); k {
		case datagram.Cookie:
			g.cookie = bytes.Clone(b[datagram.HeaderSize:])
		case datagram.Answer:
			if msg, ok := session.Greeting(b[datagram.HeaderSize+8:]); ok {
				g.last = bytes.Clone(msg)
			}
		}
		return false
	})
	knock := g.datagram(datagram.Knock, []byte{1})
	w.Net().Inject(g.at, g.to, append(knock, make([]byte, datagram.BaseSize-len(knock))...))
	w.Pass(50 * time.Millisecond)
	if g.cookie == nil {
		w.Fatal("no cookie")
	}
	return g
}

func (g *guest) datagram(k datagram.Kind, body []byte) []byte {
	b := make([]byte, datagram.HeaderSize)
	datagram.PutHeader(b, k, guestID)
	return append(binary.LittleEndian.AppendUint64(b, guestID), body...)
}

// say sends a handshake message, which has its length in front.
func (g *guest) say(msg []byte) {
	g.Net().Inject(g.at, g.to, g.datagram(datagram.Open, append(bytes.Clone(g.cookie), session.AppendGreeting(nil, msg)...)))
}

// machine is one end of a handshake of somebody whom nobody knows.
func (g *guest) machine(number uint64) *handshake.Machine {
	g.Helper()
	key := g.key(90)
	rec, err := key.NewRecord(nil, 1, 0)
	if err != nil {
		g.Fatal(err)
	}
	m, err := handshake.NewInitiator(&handshake.Config{Identity: key, Record: rec.Append(nil), NetworkID: "carrier",
		Params: handshake.Params{Instance: number}, Timeout: time.Hour, Rand: newDice(number, 1)}, 0, identity.ID{})
	if err != nil {
		g.Fatal(err)
	}
	return m
}

// One cookie buys a bounded number of secrets, whatever its owner writes: first messages with keys of low
// order, before the one that is answered and behind it, and last messages that are nearly right. Who has
// written a few and then goes on as he should gets in.
func TestCookieBuysBoundedWork(t *testing.T) {
	const tries = 500
	for name, c := range map[string]struct {
		say func(g *guest, m *handshake.Machine, hello []byte)
		in  bool
	}{
		"low order": {say: func(g *guest, _ *handshake.Machine, hello []byte) { g.lowOrder(hello, tries) }},
		"low order, then right": {in: true, say: func(g *guest, m *handshake.Machine, hello []byte) {
			g.lowOrder(hello, 10)
			g.finish(m, hello)
		}},
		"right, then low order": {say: func(g *guest, m *handshake.Machine, hello []byte) {
			g.say(hello)
			g.Pass(20 * time.Millisecond)
			g.lowOrder(hello, tries)
			g.last = nil
			g.say(hello)
			g.Pass(20 * time.Millisecond)
			if g.last == nil {
				g.Error("what was answered before is answered no more")
			}
		}},
		"last messages": {say: func(g *guest, m *handshake.Machine, hello []byte) {
			g.say(hello)
			g.Pass(20 * time.Millisecond)
			if err := m.Receive(0, g.last); err != nil {
				g.Fatal(err)
			}
			proof, _ := m.Next()
			for i := range tries {
				bad := bytes.Clone(proof)
				bad[len(bad)-1-i%8] ^= byte(1 + i/8)
				g.say(bad)
				g.Pass(time.Millisecond)
			}
			g.say(proof)
			g.Pass(20 * time.Millisecond)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{})
			var drawn drawer
			var seen witness
			n := w.node(func(c *engine.Config) {
				overDatagrams(w, nil)(c)
				drawn.from, c.Rand = c.Rand, &drawn
			}, withWitness(&seen))
			g := newGuest(w, n, "203.0.113.9:700")
			m := g.machine(1)
			hello, _ := m.Next()
			drawn.keys = 0
			c.say(g, m, hello)
			if drawn.keys == 0 || drawn.keys > 36 {
				t.Errorf("%d handshakes were computed for one cookie", drawn.keys)
			}
			if ups, _, _ := seen.count(); ups > 0 != c.in {
				t.Errorf("%d got in", ups)
			}
			if dropped := n.Stats().Dropped; dropped < 10 {
				t.Errorf("%d messages dropped", dropped)
			}
		})
	}
}

// lowOrder sends first messages with a key that gives no secret; each is another one, as the rest is not looked at before.
func (g *guest) lowOrder(hello []byte, tries int) {
	for i := range tries {
		bad := bytes.Clone(hello)
		clear(bad[2:34])
		bad[2] = byte(i % 2) // 0 and 1 are of low order, and so is either with its last bit set
		bad[33] = byte(i / 2 % 2 << 7)
		g.say(bad)
		g.Pass(time.Millisecond)
	}
}

// finish goes on as it should.
func (g *guest) finish(m *handshake.Machine, hello []byte) {
	g.say(hello)
	g.Pass(20 * time.Millisecond)
	if err := m.Receive(0, g.last); err != nil {
		g.Fatal(err)
	}
	proof, _ := m.Next()
	g.say(proof)
	g.Pass(20 * time.Millisecond)
}
