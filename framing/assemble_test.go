package framing_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
	"pgregory.net/rapid"
)

// A gathering is the plain model of an Assembler: it keeps every byte it got, and knows the rules one by one.
type gathering struct{ open []message }

type message struct {
	first framing.Frame
	bytes []byte
}

func (g *gathering) add(f framing.Frame, limit int) (msg []byte, done bool, err error) {
	more := f.Flags&framing.FlagMore != 0
	at := -1
	for i, m := range g.open {
		if m.first.ID == f.ID && m.first.Flags&framing.FlagReply == f.Flags&framing.FlagReply {
			at = i
		}
	}
	var m message
	switch {
	case at >= 0:
		m = g.open[at]
		if f.Op != m.first.Op || f.Flags|framing.FlagMore != m.first.Flags {
			return nil, false, framing.ErrFragmentMismatch
		}
	case more && f.ID == 0:
		return nil, false, framing.ErrFragmentNoID
	}
	if more && len(f.Payload) == 0 {
		return nil, false, framing.ErrFragmentEmpty
	}
	if len(m.bytes)+len(f.Payload) > limit {
		return nil, false, framing.ErrMessageTooLarge
	}
	if at < 0 && more && len(g.open) == framing.FragmentedLimit {
		return nil, false, framing.ErrFragmentsTooMany
	}
	whole := append(bytes.Clone(m.bytes), f.Payload...)
	switch {
	case more && at < 0:
		g.open = append(g.open, message{f, whole})
	case more:
		g.open[at].bytes = whole
	case at >= 0:
		g.open = append(g.open[:at:at], g.open[at+1:]...)
	}
	if more {
		return nil, false, nil
	}
	return whole, true, nil
}

func (g *gathering) received() (n int) {
	for _, m := range g.open {
		n += len(m.bytes)
	}
	return n
}

// The law: an Assembler does what the model does, error for error; what it holds is at most twice what it has received of
// unfinished messages; an error changes nothing; and a message that was handed over stays as it was.
func TestAssemblerIsTheModel(t *testing.T) { rapid.Check(t, assemblerIsTheModel) }

func FuzzAssembler(f *testing.F) { f.Fuzz(rapid.MakeFuzz(assemblerIsTheModel)) }

func assemblerIsTheModel(t *rapid.T) {
	var a framing.Assembler
	var g gathering
	var handed, copies [][]byte
	for range rapid.IntRange(1, 60).Draw(t, "frames") {
		f := framing.Frame{
			Op:    opcode.Opcode(rapid.SampledFrom([]uint32{1000, 1000, 1000, 1001}).Draw(t, "op")),
			Flags: framing.Flags(rapid.SampledFrom([]byte{0, 0, 4, 4, 4, 4, 1, 5, 2, 6}).Draw(t, "flags")),
			ID:    uint32(rapid.IntRange(0, 11).Draw(t, "id")),
			Payload: bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")},
				rapid.SampledFrom([]int{0, 1, 2, 3, 100, 1000, 65536}).Draw(t, "size")),
		}
		limit := rapid.SampledFrom([]int{2, 150, 70_000, 1 << 20, 1 << 20, 1 << 20}).Draw(t, "limit")
		before := a.Held()
		msg, done, err := a.Add(f, limit)
		wantMsg, wantDone, wantErr := g.add(f, limit)
		if !errors.Is(err, wantErr) || done != wantDone || !bytes.Equal(msg, wantMsg) {
			t.Fatalf("Add(%v %v id %d, %d bytes; %d) = %d bytes, %v, %v; want %d bytes, %v, %v",
				f.Op, f.Flags, f.ID, len(f.Payload), limit, len(msg), done, err, len(wantMsg), wantDone, wantErr)
		}
		if err != nil && a.Held() != before {
			t.Fatalf("error %v changed what is held from %d to %d", err, before, a.Held())
		}
		if a.Held() < g.received() || a.Held() > 2*g.received() || a.Gathering() != len(g.open) {
			t.Fatalf("holds %d bytes of %d messages, received %d of %d", a.Held(), a.Gathering(), g.received(), len(g.open))
		}
		if done {
			handed, copies = append(handed, msg), append(copies, bytes.Clone(msg))
		}
	}
	for i := range handed {
		if !bytes.Equal(handed[i], copies[i]) {
			t.Fatalf("message %d was changed after it was handed over", i)
		}
	}
}

// A whole message passes without a copy; a joined one belongs to the caller and shares nothing with what it came from.
func TestWhoOwnsTheMessage(t *testing.T) {
	var a framing.Assembler
	buf := []byte("payload")
	msg, done, err := a.Add(framing.Frame{Op: 1000, Payload: buf}, 100)
	if err != nil || !done || &msg[0] != &buf[0] {
		t.Errorf("a whole message was copied (%v, %v)", done, err)
	}
	a.Add(framing.Frame{Op: 1000, ID: 1, Flags: framing.FlagMore, Payload: buf}, 100)
	msg, done, err = a.Add(framing.Frame{Op: 1000, ID: 1, Payload: buf}, 100)
	copy(buf, "xxxxxxx") // the record's memory is used again
	if err != nil || !done || string(msg) != "payloadpayload" {
		t.Errorf("joined message is %q, %v, %v", msg, done, err)
	}
}

// The last fragment makes no more room than the message needs.
func TestLastFragmentMakesNoRoomForMore(t *testing.T) {
	var a framing.Assembler
	var msg []byte
	for _, f := range []framing.Frame{
		{Op: 1000, ID: 1, Flags: framing.FlagMore, Payload: make([]byte, 100)},
		{Op: 1000, ID: 1, Flags: framing.FlagMore, Payload: make([]byte, 100)},
		{Op: 1000, ID: 1, Payload: make([]byte, 50)},
	} {
		msg, _, _ = a.Add(f, 1<<20)
	}
	if len(msg) != 250 || cap(msg) != 250 {
		t.Errorf("message of %d bytes with room for %d, want 250 and 250", len(msg), cap(msg))
	}
}

// The largest message comes together in the largest frames with few copies, and without a byte too many at the end.
func TestLargestMessage(t *testing.T) {
	var a framing.Assembler
	part := bytes.Repeat([]byte{'m'}, framing.FramePayloadLimit)
	const parts = opcode.MaxPayloadLimit / framing.FramePayloadLimit
	allocs := testing.AllocsPerRun(1, func() {
		for i := range parts {
			f := framing.Frame{Op: 1000, ID: 1, Flags: framing.FlagMore, Payload: part}
			if i == parts-1 {
				f.Flags = 0
			}
			msg, done, err := a.Add(f, opcode.MaxPayloadLimit)
			if err != nil || done != (i == parts-1) {
				t.Fatalf("fragment %d of %d: %v, %v", i, parts, done, err)
			}
			if done && (len(msg) != opcode.MaxPayloadLimit || cap(msg) != len(msg)) {
				t.Errorf("message of %d bytes with room for %d", len(msg), cap(msg))
			}
		}
	})
	if allocs > 12 { // the list, the first fragment, and 64 KiB doubled eight times
		t.Errorf("%v allocations for %d fragments", allocs, parts)
	}
	if a.Held() != 0 || a.Gathering() != 0 {
		t.Errorf("still holds %d bytes of %d messages", a.Held(), a.Gathering())
	}
}

// Eight peers' worth of largest messages do not fit: GatheredLimit stops them, in the middle as at the beginning.
func TestGatheredLimit(t *testing.T) {
	var a framing.Assembler
	part := make([]byte, framing.FramePayloadLimit)
	fill := func(id uint32, size int) (err error) {
		for ; size > 0 && err == nil; size -= len(part) {
			_, _, err = a.Add(framing.Frame{Op: 1000, ID: id, Flags: framing.FlagMore, Payload: part}, opcode.MaxPayloadLimit)
		}
		return err
	}
	for id := range uint32(2) {
		if err := fill(id+1, opcode.MaxPayloadLimit); err != nil {
			t.Fatalf("message %d: %v", id+1, err)
		}
	}
	if err := fill(3, 1); !errors.Is(err, framing.ErrFragmentsTooBig) || a.Gathering() != 2 {
		t.Errorf("a third message: %v with %d gathered, want ErrFragmentsTooBig", err, a.Gathering())
	}
	if a.Held() != framing.GatheredLimit {
		t.Errorf("holds %d, want the limit %d", a.Held(), framing.GatheredLimit)
	}
	a.Reset()
	if err := fill(1, opcode.MaxPayloadLimit); err != nil || a.Held() != opcode.MaxPayloadLimit {
		t.Fatalf("after Reset: %v, holds %d", err, a.Held())
	}
	if err := fill(2, opcode.MaxPayloadLimit/2); err != nil {
		t.Fatal(err)
	}
	if err := fill(3, opcode.MaxPayloadLimit); !errors.Is(err, framing.ErrFragmentsTooBig) || a.Held() > framing.GatheredLimit {
		t.Errorf("in the middle of a third: %v, holds %d", err, a.Held())
	}
}

func TestNilAssemblerIsEmpty(t *testing.T) {
	var a *framing.Assembler
	if a.Held() != 0 || a.Gathering() != 0 {
		t.Error("a nil Assembler holds something")
	}
}
