package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// keys shakes hands with itself and returns the two ends' keys of one direction.
func keys(t testing.TB) (send, recv handshake.RecordKey) {
	t.Helper()
	var ends [2]*handshake.Machine
	for i := range ends {
		id, err := identity.FromSeed(t.Context(), [32]byte{byte(i + 1)}, identity.Puzzle{})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := id.NewRecord(nil, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		cfg := &handshake.Config{Identity: id, Record: rec.Append(nil), NetworkID: "test"}
		if i == 0 {
			ends[i], err = handshake.NewInitiator(cfg, 0, identity.ID{})
		} else {
			ends[i], err = handshake.NewResponder(cfg, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; !ends[0].Done() || !ends[1].Done(); i = 1 - i {
		for wire, ok := ends[i].Next(); ok; wire, ok = ends[i].Next() {
			msg, _, err := handshake.NextMessage(wire)
			if err == nil {
				err = ends[1-i].Receive(0, msg)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return ends[0].Result().Send, ends[1].Result().Recv
}

// payloads of many sizes: empty, small, at the borders of a record and of a frame.
func payloads(n int, dice *rand.Rand) [][]byte {
	sizes := []int{0, 1, 64, 1000, framing.RecordGather - framing.FrameHeaderSize, framing.RecordGather, framing.FramePayloadLimit}
	var out [][]byte
	for i := range n {
		b := bytes.Repeat([]byte{byte(i)}, sizes[dice.IntN(len(sizes))])
		if len(b) >= 4 {
			binary.LittleEndian.PutUint32(b, uint32(i))
		}
		out = append(out, b)
	}
	return out
}

// sealed lays out frames, seals them in chunks and returns the wire.
func sealed(t testing.TB, s *Sender, bufs *Buffers, msgs [][]byte) []byte {
	t.Helper()
	var b Batch
	for i, m := range msgs {
		if err := b.Append(bufs, opcode.Opcode(1000), 0, uint32(i), m); err != nil {
			t.Fatal(err)
		}
	}
	buf := b.Take()
	var wire []byte
	for rest := buf; len(rest) > 0; {
		n, _, err := s.Seal(rest, 100<<10, Unlimited)
		if err != nil || n == 0 {
			t.Fatalf("seal: %d %v", n, err)
		}
		wire = append(wire, rest[:n]...)
		rest = rest[n:]
	}
	bufs.Put(buf)
	return wire
}

// received feeds b to r in one piece and appends the payloads that come out.
func received(r *Receiver, bufs *Buffers, b []byte, out [][]byte) ([][]byte, error) {
	for len(b) > 0 {
		plain, rest, ok, err := r.Next(b, bufs)
		if err != nil {
			return out, err
		}
		if !ok {
			break
		}
		b = rest
		for len(plain) > 0 {
			f, n, err := framing.NextFrame(plain)
			if err != nil {
				return out, err
			}
			plain = plain[n:]
			out = append(out, bytes.Clone(f.Payload))
		}
	}
	return out, nil
}

// Law: in whatever pieces the wire arrives, the same frames come out, the carry never takes more than twice what has arrived
// (or the smallest buffer), nor more than a buffer for the largest record, and all memory goes back.
func FuzzCuts(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, uint16(1+seed*seed*997))
	}
	send, recv := keys(f)
	f.Fuzz(func(t *testing.T, seed uint64, most uint16) {
		dice := rand.New(rand.NewPCG(seed, 1))
		bufs := NewBuffers(16 << 20)
		var s Sender
		var r Receiver
		s.Start(send)
		r.Start(recv)
		want := payloads(20, dice)
		wire := sealed(t, &s, bufs, want)
		var got [][]byte
		var err error
		arrived := 0
		for len(wire) > 0 {
			n := min(1+dice.IntN(int(most)+1), len(wire))
			arrived += n
			if got, err = received(&r, bufs, bytes.Clone(wire[:n]), got); err != nil {
				t.Fatal(err)
			}
			wire = wire[n:]
			if r.Held() > min(128<<10, max(1<<smallestClass, 2*arrived)) {
				t.Fatalf("the carry takes %d after %d bytes", r.Held(), arrived)
			}
			if r.Begun() != (len(r.carry) > 0) {
				t.Fatal("Begun is wrong")
			}
		}
		if !equal(got, want) {
			t.Fatalf("got %d payloads, want %d, or others", len(got), len(want))
		}
		r.Settle(bufs)
		if bufs.Lent() != 0 {
			t.Fatalf("%d bytes are not back", bufs.Lent())
		}
	})
}

func equal(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// Credit is looked at before each record: what is sent overdraws it by less than one record, and what is left follows
// when there is new credit.
func TestSealWithinCredit(t *testing.T) {
	send, recv := keys(t)
	bufs := NewBuffers(16 << 20)
	var s Sender
	var r Receiver
	s.Start(send)
	r.Start(recv)
	var b Batch
	for i := range 1000 {
		if err := b.Append(bufs, 1000, 0, 0, fmt.Append(nil, i, "................................................")); err != nil {
			t.Fatal(err)
		}
	}
	rest := b.Take()
	var got [][]byte
	for credit := 20_000; len(rest) > 0; credit += 20_000 {
		if n, frames, err := s.Seal(rest, 1<<20, 0); n != 0 || frames != 0 || err != nil {
			t.Fatalf("without credit: %d bytes, %v", n, err)
		}
		n, frames, err := s.Seal(rest, 1<<20, credit)
		if err != nil || frames >= credit+framing.RecordGather || n == 0 {
			t.Fatalf("%d of %d bytes of credit used, %v", frames, credit, err)
		}
		if got, err = received(&r, bufs, rest[:n], got); err != nil {
			t.Fatal(err)
		}
		rest, credit = rest[n:], credit-frames
	}
	if len(got) != 1000 {
		t.Errorf("%d frames", len(got))
	}
}

// Reserve promises that the Appends that follow do not fail, even with no memory left.
func TestReserve(t *testing.T) {
	bufs := NewBuffers(2 << 20)
	var b Batch
	const frames = 8
	if err := b.Reserve(bufs, frames*(framing.FramePayloadLimit+framing.FrameHeaderSize)); err != nil {
		t.Fatal(err)
	}
	if err := bufs.Reserve(int(bufs.Limit() - bufs.Lent())); err != nil {
		t.Fatal(err)
	}
	big := make([]byte, framing.FramePayloadLimit)
	for i := range frames {
		if err := b.Append(bufs, 1000, framing.FlagMore, 1, big); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if err := b.Append(bufs, 1000, 0, 1, make([]byte, 4*framing.FramePayloadLimit)[:framing.FramePayloadLimit]); !errors.Is(err, ErrMemory) && bufs.Lent() > bufs.Limit() {
		t.Errorf("more than the limit is out: %v", err)
	}
}

// What waits to be sent leaves an eighth of the memory to what arrives and to what keeps connections going.
func TestSendShare(t *testing.T) {
	const limit = 1 << 20
	bufs := NewBuffers(limit)
	var batches []*Batch
	for {
		var b Batch
		if err := b.Append(bufs, 1000, 0, 0, make([]byte, 30<<10)); err != nil {
			if !errors.Is(err, ErrMemory) || b.Held() != 0 {
				t.Fatalf("%v, and %d bytes held", err, b.Held())
			}
			break
		}
		batches = append(batches, &b)
	}
	if lent := bufs.Lent(); lent != limit-limit/8 {
		t.Errorf("what waits to be sent takes %d bytes of %d", lent, limit)
	}
	var control Batch
	control.SetWhole()
	if err := control.Append(bufs, 20, 0, 0, make([]byte, 8)); err != nil {
		t.Errorf("what keeps a connection going: %v", err)
	}
	arriving, err := bufs.Grow(nil, 64<<10)
	if err != nil {
		t.Errorf("what arrives: %v", err)
	}
	for _, b := range append(batches, &control) {
		b.Drop(bufs)
	}
	bufs.Put(arriving)
	if lent := bufs.Lent(); lent != 0 {
		t.Errorf("%d bytes are not given back", lent)
	}
}

// What is damaged on the way is refused, and the receiver says so; it never panics and keeps no more than a record.
func TestDamagedRecords(t *testing.T) {
	send, recv := keys(t)
	bufs := NewBuffers(1 << 20)
	var s Sender
	s.Start(send)
	wire := sealed(t, &s, bufs, [][]byte{[]byte("a message")})
	for at := range wire {
		var r Receiver
		r.Start(recv)
		b := bytes.Clone(wire)
		b[at] ^= 0x10
		got, err := received(&r, bufs, b, nil)
		if err == nil && len(got) > 0 {
			t.Errorf("byte %d changed, and still %q came out", at, got)
		}
		r.Stop(bufs)
	}
	if bufs.Lent() != 0 {
		t.Errorf("%d bytes are not back", bufs.Lent())
	}
}

// The memory limit holds, nothing is counted twice, and slices come back with the room that was asked for.
func TestBuffers(t *testing.T) {
	bufs := NewBuffers(1 << 20)
	var out [][]byte
	for {
		b, err := bufs.Get(100_000)
		if err != nil {
			if !errors.Is(err, ErrMemory) {
				t.Error(err)
			}
			break
		}
		if len(b) != 0 || cap(b) < 100_000 {
			t.Fatalf("len %d cap %d", len(b), cap(b))
		}
		out = append(out, b)
	}
	if len(out) != 8 || bufs.Lent() != 1<<20 {
		t.Errorf("%d buffers, %d bytes out", len(out), bufs.Lent())
	}
	for _, b := range out {
		bufs.Put(b)
	}
	b, err := bufs.Get(5 << 20)
	if err == nil {
		t.Errorf("more than the limit in one piece: %d", cap(b))
	}
	b, err = bufs.Get(10)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, "content"...)
	if b, err = bufs.Grow(b, 5000); err != nil || string(b) != "content" || cap(b)-len(b) < 5000 {
		t.Errorf("grown to %q, room %d: %v", b, cap(b)-len(b), err)
	}
	if same, err := bufs.Grow(b, 2<<20); !errors.Is(err, ErrMemory) || string(same) != "content" {
		t.Errorf("a Grow that fails gives %q, %v", same, err)
	}
	bufs.Put(b)
	bufs.Put(nil)
	if bufs.Lent() != 0 {
		t.Errorf("%d bytes are not back", bufs.Lent())
	}
}

// A Greeter cuts messages whatever the pieces, keeps what follows, and does not let a stranger fill it.
func TestGreeter(t *testing.T) {
	msg := func(n int) []byte {
		return append(binary.LittleEndian.AppendUint16(nil, uint16(n)), make([]byte, n)...)
	}
	wire := append(append(msg(40), msg(200)...), "records"...)
	for cut := range wire {
		var g Greeter
		var sizes []int
		for _, part := range [][]byte{wire[:cut], wire[cut:]} {
			if err := g.Keep(part); err != nil {
				t.Fatal(err)
			}
			for len(sizes) < 2 {
				m, ok, err := g.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				sizes = append(sizes, len(m))
			}
		}
		if len(sizes) != 2 || sizes[0] != 40 || sizes[1] != 200 || string(g.Rest()) != "records" {
			t.Fatalf("cut at %d: messages %v, rest %q", cut, sizes, g.Rest())
		}
	}
	var g Greeter
	if err := g.Keep(make([]byte, greetLimit+1)); !errors.Is(err, handshake.ErrMessageTooLong) {
		t.Errorf("a flood: %v", err)
	}
}

// In the steady state neither side allocates.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	send, recv := keys(t)
	bufs := NewBuffers(16 << 20)
	var s Sender
	var r Receiver
	s.Start(send)
	r.Start(recv)
	var b Batch
	msg := make([]byte, 64)
	round := func() {
		for range 500 {
			if err := b.Append(bufs, 1000, 0, 0, msg); err != nil {
				t.Fatal(err)
			}
		}
		buf := b.Take()
		for rest := buf; len(rest) > 0; {
			n, _, err := s.Seal(rest, 64<<10, Unlimited)
			if err != nil {
				t.Fatal(err)
			}
			for in := rest[:n]; len(in) > 0; {
				plain, after, ok, err := r.Next(in, bufs)
				if err != nil || !ok || len(plain) == 0 {
					t.Fatal(ok, err)
				}
				in = after
			}
			rest = rest[n:]
		}
		if !b.Reuse(buf) {
			t.Fatal("an empty batch does not take its memory back")
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations for 500 messages, promised 0", n)
	}
}

// Trim leaves a batch with what it holds and no more memory than that needs, and what is added later is where it belongs.
func TestTrim(t *testing.T) {
	for _, records := range []int{0, 1, 3} {
		for _, closed := range []bool{false, true} {
			send, recv := keys(t)
			bufs := NewBuffers(4 << 20)
			var b Batch
			if err := b.Reserve(bufs, 1<<19); err != nil {
				t.Fatal(err)
			}
			for range records * 2 {
				if err := b.Append(bufs, 1000, 0, 0, make([]byte, framing.RecordGather/2)); err != nil {
					t.Fatal(err)
				}
			}
			if closed {
				b.Close()
			}
			b.Trim(bufs)
			if most := int64(2 * (b.Len() + framing.TagSize)); bufs.Lent() > max(most, 1<<smallestClass) || b.Len() == 0 && bufs.Lent() != 0 {
				t.Errorf("%d bytes are lent for %d", bufs.Lent(), b.Len())
			}
			for range 1000 {
				if !b.Add(1000, []byte("more")) {
					if err := b.Append(bufs, 1000, 0, 0, []byte("more")); err != nil {
						t.Fatal(err)
					}
				}
			}
			var s Sender
			var r Receiver
			s.Start(send)
			r.Start(recv)
			whole := b.Take()
			n, _, err := s.Seal(whole, len(whole), Unlimited)
			if err != nil || n != len(whole) {
				t.Fatalf("%d of %d bytes sealed: %v", n, len(whole), err)
			}
			got, err := received(&r, bufs, whole, nil)
			if err != nil || len(got) != 2*records+1000 {
				t.Errorf("%d frames of %d, %v", len(got), 2*records+1000, err)
			}
			bufs.Put(whole)
			r.Stop(bufs)
			if bufs.Lent() != 0 {
				t.Errorf("%d bytes are left", bufs.Lent())
			}
		}
	}
}
