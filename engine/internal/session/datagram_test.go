package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// datagrams seals each message into a datagram of its own.
func datagrams(t testing.TB, s *Sender, bufs *Buffers, limit int, msgs ...[]byte) (out [][]byte) {
	t.Helper()
	for _, m := range msgs {
		var b Batch
		b.SetDatagrams(limit)
		if err := b.Append(bufs, opcode.Opcode(1000), 0, 7, m); err != nil {
			t.Fatal(err)
		}
		buf := b.Take()
		n, frames, err := s.SealDatagram(buf)
		if err != nil || n != len(buf) || frames != framing.FrameHeaderSize+len(m) {
			t.Fatalf("sealed %d of %d, %d of frames: %v", n, len(buf), frames, err)
		}
		out = append(out, bytes.Clone(buf[:n]))
		bufs.Put(buf)
	}
	return out
}

// Datagrams come in any order, each once, and those of others not at all.
func TestDatagrams(t *testing.T) {
	send, recv := keys(t)
	bufs := NewBuffers(1 << 20)
	var s Sender
	var r Receiver
	var w Window
	s.Start(send)
	r.Start(recv)
	all := datagrams(t, &s, bufs, 1200, []byte("zero"), []byte("one"), []byte("two"), []byte("three"))
	open := func(b []byte) (string, bool, error) {
		plain, newest, err := r.OpenDatagram(bytes.Clone(b), &w)
		if err != nil {
			return "", false, err
		}
		f, n, err := framing.NextFrame(plain)
		if err != nil || n != len(plain) {
			t.Fatal(err, n)
		}
		return string(f.Payload), newest, nil
	}
	for _, c := range []struct {
		at     int
		want   string
		newest bool
		bad    bool
	}{{2, "two", true, false}, {0, "zero", false, false}, {2, "", false, true}, {3, "three", true, false}, {1, "one", false, false},
		{0, "", false, true}} {
		got, newest, err := open(all[c.at])
		if got != c.want || newest != c.newest || (err != nil) != c.bad || err != nil && !errors.Is(err, ErrDatagram) {
			t.Errorf("datagram %d: %q, newest %v, %v", c.at, got, newest, err)
		}
	}
	if w.Next != 4 || w.Received != 4 {
		t.Errorf("next %d, received %d, want 4 and 4", w.Next, w.Received)
	}
	for at := range all[0] { // whatever byte is changed
		b := datagrams(t, &s, bufs, 1200, []byte("x"))[0]
		b[at%len(b)] ^= 0x40
		if _, _, err := open(b); !errors.Is(err, ErrDatagram) {
			t.Errorf("byte %d changed: %v", at%len(b), err)
		}
	}
	if w.Received != 4 {
		t.Errorf("forged datagrams count: %d", w.Received)
	}
	for n := range DatagramOverhead {
		if _, _, err := open(all[3][:n]); !errors.Is(err, ErrDatagram) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// A batch fills datagrams and never one more than the limit allows; what is sealed says how long it is.
func TestBatchOfDatagrams(t *testing.T) {
	send, recv := keys(t)
	bufs := NewBuffers(16 << 20)
	dice := rand.New(rand.NewPCG(1, 2))
	var s Sender
	var r Receiver
	var w Window
	s.Start(send)
	r.Start(recv)
	const limit = 1191
	var b Batch
	b.SetDatagrams(limit)
	want := payloads(300, dice)
	for i := range want {
		want[i] = want[i][:min(len(want[i]), limit-DatagramOverhead-framing.FrameHeaderSize)]
		if (i%3 == 0 || !b.Add(1000, want[i])) && b.Append(bufs, 1000, 0, 0, want[i]) != nil {
			t.Fatal("no memory")
		}
	}
	var got [][]byte
	count := 0
	for rest := b.Take(); len(rest) > 0; count++ {
		n, _, err := s.SealDatagram(rest)
		if err != nil || n > limit {
			t.Fatalf("a datagram of %d: %v", n, err)
		}
		plain, _, err := r.OpenDatagram(rest[:n], &w)
		if err != nil {
			t.Fatal(err)
		}
		for len(plain) > 0 {
			f, m, err := framing.NextFrame(plain)
			if err != nil {
				t.Fatal(err)
			}
			got, plain = append(got, f.Payload), plain[m:]
		}
		rest = rest[n:]
	}
	if !equal(got, want) || count >= len(want) {
		t.Errorf("%d messages in %d datagrams, want %d", len(got), count, len(want))
	}
}

// A handshake message is told from a record by a counter that no record has.
func TestGreeting(t *testing.T) {
	msg := append([]byte{3, 0}, "abc"...)
	good := AppendGreeting(nil, msg)
	if got, ok := Greeting(good); !ok || string(got) != "abc" {
		t.Errorf("%q, %v", got, ok)
	}
	record := binary.LittleEndian.AppendUint64(nil, math.MaxUint64-1)
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:7], "no message": good[:8], "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0),
		"a record": append(record, msg...), "of length 0": AppendGreeting(nil, []byte{0, 0}),
	} {
		if got, ok := Greeting(b); ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Law: no bytes open that the other side has not sealed, none are taken twice, and nothing that fails changes what is known.
func FuzzOpenDatagram(f *testing.F) {
	send, recv := keys(f)
	f.Add([]byte{}, uint8(0))
	f.Add(make([]byte, 40), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, at uint8) {
		bufs := NewBuffers(1 << 20)
		var s Sender
		var r Receiver
		var w Window
		s.Start(send)
		r.Start(recv)
		real := datagrams(t, &s, bufs, 1200, []byte("real"))[0]
		forged := bytes.Clone(real)
		copy(forged[min(int(at), len(forged)):], b)
		same := bytes.Equal(forged, real)
		if _, _, err := r.OpenDatagram(forged, &w); (err == nil) != same {
			t.Fatalf("%v, and it is the real one: %v", err, same)
		}
		if _, _, err := r.OpenDatagram(bytes.Clone(real), &w); (err == nil) == same {
			t.Fatalf("the real one after that: %v", err)
		}
		if w.Received != 1 || w.Next != 1 {
			t.Fatalf("%+v", w)
		}
	})
}
