package handshake

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var smallPuzzle = identity.Puzzle{StaticBits: 4, DynamicBits: 6}

// node makes a config for the node with this number. Everything follows from the number: identity, record, ephemeral keys.
func node(t testing.TB, number byte) *Config {
	t.Helper()
	id, err := identity.Generate(context.Background(), smallPuzzle, identity.GenerateOptions{Rand: bytes.NewReader(bytes.Repeat([]byte{number}, 32))})
	if err != nil {
		t.Fatal(err)
	}
	r, err := id.NewRecord([]transport.Addr{addr(t, "tcp://198.51.100.7:4001"), addr(t, "quic://[2001:db8::7]:4001")}, uint64(number), 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{
		Identity:  id,
		Record:    r.Append(nil),
		NetworkID: "test",
		Puzzle:    smallPuzzle,
		Params:    Params{Instance: 1000 + uint64(number), Agent: "carrier/test"},
		Rand:      rand.NewChaCha8([32]byte{number}),
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

func addr(t testing.TB, s string) transport.Addr {
	t.Helper()
	a, err := transport.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A pair is two machines that talk without a network. a dials b.
type pair struct {
	t    testing.TB
	a, b *Machine
	// onWire, if set, sees each message without its length before it arrives, 1 to 3, and returns what arrives instead;
	// nil: nothing.
	onWire func(number int, msg []byte) []byte
	log    [][]byte // messages as sent, without lengths
}

func newPair(t testing.TB, a, b *Config, expect identity.ID) *pair {
	t.Helper()
	ma, err := NewInitiator(a, 0, expect)
	if err != nil {
		t.Fatal(err)
	}
	mb, err := NewResponder(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{t: t, a: ma, b: mb}
}

// run carries messages until nobody has one to send, and returns the first error of each end.
func (p *pair) run(now time.Duration) (errA, errB error) {
	p.t.Helper()
	for from, to := p.a, p.b; ; from, to = to, from {
		out, ok := from.Next()
		if !ok {
			return errA, errB
		}
		msg, n, err := NextMessage(out)
		if err != nil || n != len(out) {
			p.t.Fatalf("NextMessage of what Next gave: %d of %d bytes, %v", n, len(out), err)
		}
		p.log = append(p.log, bytes.Clone(msg))
		if p.onWire != nil {
			if msg = p.onWire(len(p.log), bytes.Clone(msg)); msg == nil {
				return errA, errB
			}
		}
		if err := to.Receive(now, msg); err != nil && to == p.a {
			errA = err
		} else if err != nil {
			errB = err
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("bad hex in a test: %v", err)
	}
	return b
}

// dead holds for a machine after any failure.
func dead(t testing.TB, m *Machine) {
	t.Helper()
	if m.Done() || m.Deadline() != transport.Never || m.Result().Remote != nil || m.noise != nil {
		t.Errorf("machine has failed and still holds something: done %v, deadline %v", m.Done(), m.Deadline())
	}
	if out, ok := m.Next(); ok {
		t.Errorf("machine has failed and wants to write %x", out)
	}
	if err := m.Receive(0, []byte("x")); !errors.Is(err, ErrState) {
		t.Errorf("Receive after a failure: %v, want ErrState", err)
	}
	if err := m.Expire(transport.Never - 1); err != nil {
		t.Errorf("Expire after a failure: %v, want nil", err)
	}
}
