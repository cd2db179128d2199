package handshake

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	reference "github.com/flynn/noise"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Two honest nodes must end with the same view: keys that fit, one binding, each other's record and parameters.
func TestPair(t *testing.T) {
	for _, cached := range []bool{false, true} {
		ca, cb := node(t, 1), node(t, 2)
		if cached {
			ca.Cache, cb.Cache = identity.NewCache(4), identity.NewCache(4)
		}
		for range 2 { // the second time the caches know the records
			p := newPair(t, ca, cb, cb.Identity.ID())
			p.a.Observe(addr(t, "tcp://203.0.113.2:5002"))
			p.b.Observe(addr(t, "tcp://203.0.113.1:5001"))
			if errA, errB := p.run(time.Second); errA != nil || errB != nil {
				t.Fatalf("handshake failed: initiator %v, responder %v", errA, errB)
			}
			if !p.a.Done() || !p.b.Done() {
				t.Fatalf("done: initiator %v, responder %v", p.a.Done(), p.b.Done())
			}
			sameView(t, p.a.Result(), p.b.Result())
			ra, rb := p.a.Result(), p.b.Result()
			if ra.ID != cb.Identity.ID() || rb.ID != ca.Identity.ID() {
				t.Error("IDs are not each other's")
			}
			if !bytes.Equal(ra.RemoteRaw, cb.Record) || !bytes.Equal(rb.RemoteRaw, ca.Record) || ra.Remote.ID() != ra.ID {
				t.Error("records are not each other's")
			}
			want := Params{Instance: 1002, Agent: "carrier/test", Observed: addr(t, "tcp://203.0.113.1:5001")}
			if ra.Params != want {
				t.Errorf("initiator got parameters %+v, want %+v", ra.Params, want)
			}
			if rb.Params.Observed != addr(t, "tcp://203.0.113.2:5002") || rb.Params.Instance != 1001 {
				t.Errorf("responder got parameters %+v", rb.Params)
			}
			for _, m := range []*Machine{p.a, p.b} {
				if m.noise != nil || m.Deadline() != transport.Never || m.Expire(time.Hour) != nil {
					t.Error("a machine that is done keeps Noise state or a deadline")
				}
				if err := m.Receive(0, p.log[0]); !errors.Is(err, ErrState) || !m.Done() {
					t.Errorf("Receive when done: %v, done %v, want ErrState and still done", err, m.Done())
				}
			}
		}
	}
}

// sameView fails unless two results are the two ends of one session.
func sameView(t testing.TB, a, b Result) {
	t.Helper()
	if a.Binding != b.Binding || a.Binding == ([32]byte{}) {
		t.Errorf("bindings %x and %x", a.Binding, b.Binding)
	}
	if a.Send.key != b.Recv.key || a.Recv.key != b.Send.key || a.Send.key == a.Recv.key {
		t.Error("keys do not fit")
	}
	for _, d := range [][2]*RecordKey{{&a.Send, &b.Recv}, {&b.Send, &a.Recv}} {
		rec := record("hello", 0)
		if err := d[0].Seal(d[0].Expand(), rec); err != nil {
			t.Fatal(err)
		}
		if plain, err := d[1].Open(d[1].Expand(), rec[:headerSize], rec[headerSize:]); err != nil || string(plain) != "hello" {
			t.Errorf("a record of one end opens at the other as %q, %v", plain, err)
		}
	}
}

// Two handshakes of the same nodes share nothing.
func TestSessionsDiffer(t *testing.T) {
	ca, cb := node(t, 1), node(t, 2)
	var bindings [][32]byte
	for range 2 {
		p := newPair(t, ca, cb, identity.ID{})
		p.run(0)
		bindings = append(bindings, p.a.Result().Binding)
	}
	if bindings[0] == bindings[1] {
		t.Error("two sessions with one binding")
	}
}

// Each row is a pair that must not come about: what is wrong, and who notices with which error.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name         string
		setup        func(t *testing.T, a, b *Config) (expect identity.ID)
		wantA, wantB error
	}{
		{"other network", func(t *testing.T, a, b *Config) identity.ID { b.NetworkID = "tests"; return identity.ID{} }, nil, ErrNetwork},
		{"other static puzzle", func(t *testing.T, a, b *Config) identity.ID { b.Puzzle.StaticBits++; return identity.ID{} }, nil, ErrNetwork},
		{"other dynamic puzzle", func(t *testing.T, a, b *Config) identity.ID { b.Puzzle.DynamicBits--; return identity.ID{} }, nil, ErrNetwork},
		{"name and puzzle in other places", func(t *testing.T, a, b *Config) identity.ID {
			a.NetworkID, b.NetworkID = "x", "x\x04"
			return identity.ID{}
		}, nil, ErrNetwork},
		{"somebody else expected", func(t *testing.T, a, b *Config) identity.ID { return node(t, 3).Identity.ID() }, ErrPeerMismatch, nil},
		{"self", func(t *testing.T, a, b *Config) identity.ID {
			b.Identity, b.Record = a.Identity, a.Record
			return identity.ID{}
		}, ErrSelf, nil},
		{"self, although expected", func(t *testing.T, a, b *Config) identity.ID {
			b.Identity, b.Record = a.Identity, a.Record
			return a.Identity.ID()
		}, ErrSelf, nil},
		{"responder with a third node's record", func(t *testing.T, a, b *Config) identity.ID { b.Record = node(t, 3).Record; return identity.ID{} }, ErrAuthentication, nil},
		{"initiator with a third node's record", func(t *testing.T, a, b *Config) identity.ID { a.Record = node(t, 3).Record; return identity.ID{} }, nil, ErrAuthentication},
		{"responder with the initiator's record", func(t *testing.T, a, b *Config) identity.ID { b.Record = a.Record; return identity.ID{} }, ErrAuthentication, nil},
		{"responder without the work", func(t *testing.T, a, b *Config) identity.ID { lazy(t, b); return identity.ID{} }, ErrPuzzle, nil},
		{"initiator without the work", func(t *testing.T, a, b *Config) identity.ID { lazy(t, a); return identity.ID{} }, nil, ErrPuzzle},
		{"responder with a forged record", func(t *testing.T, a, b *Config) identity.ID {
			b.Record[2]++ // Seq: everything fits but the signature
			return identity.ID{}
		}, ErrAuthentication, nil},
		{"initiator with a forged record", func(t *testing.T, a, b *Config) identity.ID { a.Record[2]++; return identity.ID{} }, nil, ErrAuthentication},
		{"responder with a broken record", func(t *testing.T, a, b *Config) identity.ID { b.Record = b.Record[:50]; return identity.ID{} }, ErrMessage, nil},
		{"initiator with a record of a later version", func(t *testing.T, a, b *Config) identity.ID { a.Record[0]++; return identity.ID{} }, nil, ErrMessage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := node(t, 1), node(t, 2)
			p := newPair(t, a, b, tt.setup(t, a, b))
			errA, errB := p.run(0)
			if !errors.Is(errA, tt.wantA) || !errors.Is(errB, tt.wantB) {
				t.Errorf("initiator %v, want %v; responder %v, want %v", errA, tt.wantA, errB, tt.wantB)
			}
			if tt.wantA != nil {
				dead(t, p.a)
				if len(p.log) != 2 {
					t.Errorf("the initiator refused and yet sent: %d messages on the wire", len(p.log))
				}
			}
			if tt.wantB != nil {
				dead(t, p.b)
			}
			if p.a.Done() && p.b.Done() {
				t.Error("both are done")
			}
		})
	}
}

// lazy gives a node an identity that has not solved its dynamic puzzle.
func lazy(t *testing.T, c *Config) {
	id, err := identity.FromSeed(t.Context(), [32]byte{9}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := id.NewRecord(nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Identity, c.Record = id, r.Append(nil)
}

// Any bit of any message turned: at least one side refuses, and the two never hold different views of one session.
func TestBitFlips(t *testing.T) {
	ca, cb := node(t, 1), node(t, 2)
	plain := newPair(t, ca, cb, identity.ID{})
	plain.run(0)
	for number := 1; number <= 3; number++ {
		for i := range plain.log[number-1] {
			p := newPair(t, ca, cb, identity.ID{})
			p.onWire = func(n int, msg []byte) []byte {
				if n == number {
					msg[i] ^= 1 << (i % 8)
				}
				return msg
			}
			errA, errB := p.run(0)
			if errA == nil && errB == nil {
				t.Errorf("message %d, byte %d: nobody noticed", number, i)
			}
			if p.a.Done() && p.b.Done() {
				t.Errorf("message %d, byte %d: both done", number, i)
			}
		}
	}
}

// Every shorter form of every message, and one longer, is refused by its receiver.
func TestCutAndExtended(t *testing.T) {
	ca, cb := node(t, 1), node(t, 2)
	plain := newPair(t, ca, cb, identity.ID{})
	plain.run(0)
	for number := 1; number <= 3; number++ {
		size := len(plain.log[number-1])
		for _, n := range append(steps(size), size+1, MessageLimit, MessageLimit+1) {
			p := newPair(t, ca, cb, identity.ID{})
			p.onWire = func(at int, msg []byte) []byte {
				if at == number {
					msg = append(msg, make([]byte, MessageLimit+1)...)[:n]
				}
				return msg
			}
			errA, errB := p.run(0)
			err, m := errB, p.b
			if number == 2 {
				err, m = errA, p.a
			}
			if n > MessageLimit {
				if !errors.Is(err, ErrMessageTooLong) {
					t.Errorf("message %d of %d bytes: %v, want ErrMessageTooLong", number, n, err)
				}
			} else if !errors.Is(err, ErrMessage) && !errors.Is(err, ErrAuthentication) {
				t.Errorf("message %d with %d bytes of %d: %v, want ErrMessage or ErrAuthentication", number, n, size, err)
			}
			dead(t, m)
		}
	}
}

// steps returns lengths below size: all up to 120, where the fields are, and then some.
func steps(size int) (out []int) {
	for n := 0; n < size; n++ {
		if n < 120 || n%16 == 0 || n > size-20 {
			out = append(out, n)
		}
	}
	return out
}

func TestHelloRefused(t *testing.T) {
	good := newPair(t, node(t, 1), node(t, 2), identity.ID{})
	good.run(0)
	hello := good.log[0]
	spoil := func(f func(b []byte) []byte) []byte { return f(slices.Clone(hello)) }
	tests := []struct {
		name string
		msg  []byte
		want error
	}{
		{"empty", nil, ErrMessage},
		{"e alone", hello[:keySize], ErrMessage},
		{"version 0", spoil(func(b []byte) []byte { b[offHello] = 0; return b }), ErrVersion},
		{"version 2", spoil(func(b []byte) []byte { b[offHello] = 2; return b }), ErrVersion},
		{"version 2, longer", spoil(func(b []byte) []byte { b[offHello] = 2; return append(b, 1, 2, 3) }), ErrVersion},
		{"version 2, shorter", spoil(func(b []byte) []byte { b[offHello] = 2; return b[:offHello+1] }), ErrVersion},
		{"tag", spoil(func(b []byte) []byte { b[offHello+8] ^= 1; return b }), ErrNetwork},
		{"longer", spoil(func(b []byte) []byte { return append(b, 0) }), ErrMessage},
		{"e of order 1", spoil(func(b []byte) []byte { clear(b[:keySize]); return b }), ErrLowOrder},
		{"zeros", make([]byte, 41), ErrVersion},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), ErrVersion},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := NewResponder(node(t, 2), 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Receive(0, tt.msg); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			dead(t, m)
		})
	}
}

// Every encoding of a u coordinate of low order, with the top bit that X25519 ignores clear or set, is refused as an
// ephemeral key by both ends.
func TestLowOrderPoints(t *testing.T) {
	for _, point := range lowOrder {
		for _, top := range []byte{0, 0x80} {
			u := unhex(t, point)
			u[31] |= top
			if _, err := (curve25519{}).DH(bytes.Repeat([]byte{7}, 32), u); !errors.Is(err, ErrLowOrder) {
				t.Errorf("DH with %x: %v, want ErrLowOrder", u, err)
			}
			p := newPair(t, node(t, 1), node(t, 2), identity.ID{})
			p.onWire = func(n int, msg []byte) []byte { copy(msg, u); return msg }
			if _, errB := p.run(0); !errors.Is(errB, ErrLowOrder) {
				t.Errorf("hello with e = %x: %v, want ErrLowOrder", u, errB)
			}
			p = newPair(t, node(t, 1), node(t, 2), identity.ID{})
			p.onWire = func(n int, msg []byte) []byte {
				if n == 2 {
					copy(msg, u)
				}
				return msg
			}
			if errA, _ := p.run(0); !errors.Is(errA, ErrLowOrder) {
				t.Errorf("reply with e = %x: %v, want ErrLowOrder", u, errA)
			}
		}
	}
}

// A static key of low order reaches the machine encrypted, from a peer that follows the protocol otherwise.
func TestLowOrderStatic(t *testing.T) {
	c := node(t, 1)
	m, err := NewInitiator(c, 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	evil, err := reference.NewHandshakeState(reference.Config{
		CipherSuite: reference.NewCipherSuite(careless{}, reference.CipherAESGCM, reference.HashSHA256), Pattern: reference.HandshakeXX,
		Prologue: c.prologue(), StaticKeypair: reference.DHKey{Private: make([]byte, 32), Public: make([]byte, 32)},
	})
	if err != nil {
		t.Fatal(err)
	}
	hello, _ := m.Next()
	if _, _, _, err := evil.ReadMessage(nil, hello[lengthSize:]); err != nil {
		t.Fatal(err)
	}
	reply, _, _, err := evil.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Receive(0, reply); !errors.Is(err, ErrLowOrder) {
		t.Errorf("reply with an all-zero static key: %v, want ErrLowOrder", err)
	}
	dead(t, m)
}

// careless is a Diffie-Hellman that gives zeros where ours refuses.
type careless struct{ curve25519 }

func (careless) DH(private, public []byte) ([]byte, error) {
	shared, err := curve25519{}.DH(private, public)
	if err != nil || bytes.Equal(private, make([]byte, 32)) {
		return make([]byte, 32), nil
	}
	return shared, nil
}

func TestDeadline(t *testing.T) {
	ca, cb := node(t, 1), node(t, 2)
	cb.Timeout = 2 * time.Second
	const start = 10 * time.Second
	a, _ := NewInitiator(ca, start, identity.ID{})
	b, _ := NewResponder(cb, start)
	if a.Deadline() != start+DefaultTimeout || b.Deadline() != start+2*time.Second {
		t.Fatalf("deadlines %v and %v", a.Deadline(), b.Deadline())
	}
	if err := b.Expire(b.Deadline() - 1); err != nil {
		t.Errorf("Expire before the deadline: %v", err)
	}
	hello, _ := a.Next()
	if err := b.Receive(b.Deadline(), hello[lengthSize:]); !errors.Is(err, ErrTimeout) {
		t.Errorf("hello at the deadline: %v, want ErrTimeout", err)
	}
	dead(t, b)
	if err := a.Expire(a.Deadline()); !errors.Is(err, ErrTimeout) {
		t.Errorf("Expire at the deadline: %v, want ErrTimeout", err)
	}
	dead(t, a)

	// The deadline is for the whole handshake: a good message does not prolong it.
	p := newPair(t, ca, cb, identity.ID{})
	if _, errB := p.run(2*time.Second - 1); errB != nil || !p.b.Done() {
		t.Errorf("just in time: %v", errB)
	}
	p = newPair(t, ca, cb, identity.ID{})
	p.onWire = func(n int, msg []byte) []byte {
		if n == 3 {
			return nil
		}
		return msg
	}
	p.run(2*time.Second - 1)
	if err := p.b.Receive(2*time.Second, p.log[2]); !errors.Is(err, ErrTimeout) {
		t.Errorf("message 3 at the deadline: %v, want ErrTimeout", err)
	}
}

// Messages of one handshake mean nothing in another, in another place, or twice.
func TestReplayedAndOutOfOrder(t *testing.T) {
	ca, cb := node(t, 1), node(t, 2)
	old := newPair(t, ca, cb, identity.ID{})
	old.run(0)
	reject := func(name string, m *Machine, msg []byte) {
		t.Helper()
		err := m.Receive(0, msg)
		if err == nil || m.Done() {
			t.Errorf("%s: accepted, done %v", name, m.Done())
			return
		}
		dead(t, m)
	}
	for i, msg := range old.log {
		m, _ := NewInitiator(ca, 0, identity.ID{})
		reject("old message to an initiator", m, msg)
		if i > 0 {
			m, _ = NewResponder(cb, 0)
			reject("old message 2 or 3 to a responder that waits for message 1", m, msg)
		}
		m, _ = NewResponder(cb, 0)
		if err := m.Receive(0, old.log[0]); err != nil {
			t.Fatalf("an old message 1 is as good as a new one: %v", err)
		}
		reject("old message to a responder that waits for message 3", m, msg)
	}
	p := newPair(t, ca, cb, identity.ID{})
	p.onWire = func(n int, msg []byte) []byte {
		if n == 2 {
			return p.log[0]
		}
		return msg
	}
	if errA, _ := p.run(0); errA == nil {
		t.Error("an initiator accepts its own message 1 as an answer")
	}
	p = newPair(t, ca, cb, identity.ID{})
	p.onWire = func(n int, msg []byte) []byte {
		if n == 3 {
			return p.log[1]
		}
		return msg
	}
	if _, errB := p.run(0); !errors.Is(errB, ErrAuthentication) {
		t.Errorf("a responder got its own message 2: %v, want ErrAuthentication", errB)
	}
}

// A man in the middle with a good identity of his own can have a session with each, never pass as the other.
func TestManInTheMiddle(t *testing.T) {
	ca, cb, cm := node(t, 1), node(t, 2), node(t, 3)
	p := newPair(t, ca, cm, cb.Identity.ID())
	if errA, _ := p.run(0); !errors.Is(errA, ErrPeerMismatch) {
		t.Errorf("initiator that wants 2 and gets 3: %v, want ErrPeerMismatch", errA)
	}
	cm.Record = cb.Record
	p = newPair(t, ca, cm, cb.Identity.ID())
	if errA, _ := p.run(0); !errors.Is(errA, ErrAuthentication) {
		t.Errorf("3 shows the record of 2: %v, want ErrAuthentication", errA)
	}
}

// Fields after the ones we know are skipped, so that later versions can say more.
func TestUnknownParamsInHandshake(t *testing.T) {
	ca, cb := node(t, 1), node(t, 2)
	p := newPair(t, ca, cb, identity.ID{})
	payload := append(p.a.appendProof(nil), 200, 3, 0, 'n', 'e', 'w')
	if _, err := p.a.begin(true); err != nil {
		t.Fatal(err)
	}
	if err := p.a.write(appendHello(nil, networkTag(ca.prologue()))); err != nil {
		t.Fatal(err)
	}
	hello, _ := p.a.Next()
	if err := p.b.Receive(0, hello[lengthSize:]); err != nil {
		t.Fatal(err)
	}
	reply, _ := p.b.Next()
	if _, err := p.a.noise.read(reply[lengthSize:]); err != nil {
		t.Fatal(err)
	}
	if err := p.a.write(payload); err != nil {
		t.Fatal(err)
	}
	proof, _ := p.a.Next()
	if err := p.b.Receive(0, proof[lengthSize:]); err != nil || p.b.Result().Params.Instance != 1001 {
		t.Errorf("proof with an unknown parameter: %v, %+v", err, p.b.Result().Params)
	}
}

func TestHalfOpenIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Machine{}); size > 160 {
		t.Errorf("a machine has %d bytes, promised 160, a size of the allocator", size)
	}
	c := node(t, 1)
	c.Rand = nil
	if n := testing.AllocsPerRun(100, func() {
		if _, err := NewResponder(c, 0); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("NewResponder allocates %v times, promised only itself", n)
	}
}

func TestLongestMessageFits(t *testing.T) {
	ca, cb := node(t, 1), node(t, 2)
	var addrs []transport.Addr
	for i := range identity.AddrLimit {
		a := addr(t, "quic://[2001:db8::1]:4001")
		ip := a.Addr().As16()
		ip[14] = byte(i)
		a.AddrPort = netip.AddrPortFrom(netip.AddrFrom16(ip), a.Port())
		addrs = append(addrs, a)
	}
	r, err := ca.Identity.NewRecord(addrs, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	ca.Record = r.Append(nil)
	ca.Params = Params{Instance: 1, Agent: strings.Repeat("x", AgentLimit)}
	p := newPair(t, cb, ca, identity.ID{})
	p.b.Observe(addrs[0])
	if errA, errB := p.run(0); errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if len(p.log[1]) != 666 {
		t.Errorf("the longest message has %d bytes, limits.go says 666", len(p.log[1]))
	}
}

func TestConfigValidate(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(c *Config)
	}{
		{"no identity", func(c *Config) { c.Identity = nil }},
		{"no record", func(c *Config) { c.Record = nil }},
		{"record too long", func(c *Config) { c.Record = make([]byte, identity.RecordSizeLimit+1) }},
		{"broken record", func(c *Config) { c.Record = c.Record[1:] }},
		{"forged record", func(c *Config) { c.Record[2]++ }},
		{"another's record", func(c *Config) { c.Record = node(t, 9).Record }},
		{"work not done", func(c *Config) { c.Puzzle.DynamicBits = 40 }},
		{"negative puzzle", func(c *Config) { c.Puzzle.StaticBits = -1 }},
		{"network id too long", func(c *Config) { c.NetworkID = strings.Repeat("x", NetworkIDLimit+1) }},
		{"negative timeout", func(c *Config) { c.Timeout = -1 }},
		{"agent too long", func(c *Config) { c.Params.Agent = strings.Repeat("x", AgentLimit+1) }},
		{"agent with a line feed", func(c *Config) { c.Params.Agent = "a\nb" }},
	}
	for _, tt := range tests {
		c := node(t, 1)
		tt.spoil(c)
		if c.Validate() == nil {
			t.Errorf("%s: valid", tt.name)
		}
	}
	c := node(t, 1)
	c.Identity = nil
	if _, err := NewInitiator(c, 0, identity.ID{}); err == nil {
		t.Error("NewInitiator without an identity")
	}
	if _, err := NewResponder(c, 0); err == nil {
		t.Error("NewResponder without an identity")
	}
}

// When randomness runs dry there is no handshake, rather than a weak one.
func TestRandFails(t *testing.T) {
	c := node(t, 1)
	c.Rand = bytes.NewReader(make([]byte, 31))
	if _, err := NewInitiator(c, 0, identity.ID{}); err == nil {
		t.Error("NewInitiator with 31 random bytes")
	}
	a, err := NewInitiator(node(t, 2), 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	hello, _ := a.Next()
	c.Rand = bytes.NewReader(nil)
	b, err := NewResponder(c, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Receive(0, hello[lengthSize:]); err == nil {
		t.Error("a responder without randomness answers")
	}
	dead(t, b)
}

// The enum's drawing, as a table: from each state only to the states drawn.
func TestMoves(t *testing.T) {
	drawn := map[[2]state]bool{
		{awaitHello, awaitProof}: true, {awaitHello, failed}: true,
		{awaitReply, done}: true, {awaitReply, failed}: true,
		{awaitProof, done}: true, {awaitProof, failed}: true,
		{awaitStatement, done}: true, {awaitStatement, failed}: true,
	}
	for from := range stateCount {
		for to := range stateCount {
			m := &Machine{state: from}
			func() {
				defer func() {
					if bug := recover() != nil; bug == drawn[[2]state{from, to}] {
						t.Errorf("%v -> %v: panics %v", from, to, bug)
					}
				}()
				m.move(to)
			}()
		}
	}
}

// The private keys that a handshake made or copied must be zero when it is over, whichever way it ended.
func TestWiped(t *testing.T) {
	for _, spoil := range []bool{false, true} {
		p := newPair(t, node(t, 1), node(t, 2), identity.ID{})
		var secrets [][]byte
		p.onWire = func(n int, msg []byte) []byte {
			if n == 2 {
				for _, m := range []*Machine{p.a, p.b} {
					secrets = append(secrets, m.noise.static[:], m.noise.ephemeral[:], m.noise.chain[:], m.noise.key[:])
				}
			}
			if spoil && n >= 2 {
				msg[0] ^= 1
			}
			return msg
		}
		p.run(0)
		if spoil {
			p.b.Expire(p.b.Deadline())
		}
		if len(secrets) != 8 {
			t.Fatalf("%d secrets seen, want 8", len(secrets))
		}
		for i, s := range secrets {
			if len(s) != keySize || !bytes.Equal(s, make([]byte, keySize)) {
				t.Errorf("spoiled %v: secret %d is still there", spoil, i)
			}
		}
	}
}
