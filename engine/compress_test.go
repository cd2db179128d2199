package engine_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/opcode"
)

// A page is the message type that is compressed in these tests, under opNote, opAsk and opTold.
type (
	page       struct{ B []byte }
	pageAsked  struct{ B []byte }
	pageOpened struct{ B []byte }
)

// withPages registers the types, with compression if packed is set.
func withPages(t testing.TB, packed bool) func(*engine.Network) {
	return func(n *engine.Network) {
		opts := []engine.RegisterOption{engine.WithLimit(4 << 20)}
		if packed {
			opts = append(opts, engine.WithCompression())
		}
		for _, err := range []error{engine.Register[page](n, opNote, opts...), engine.Register[pageAsked](n, opAsk, opts...), engine.Register[pageOpened](n, opTold, opts...)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// prose is text that S2 makes smaller by about three.
func prose(size int) []byte {
	words := strings.Fields("the record is sealed and the loop owns its peers so that nobody waits for a lock while a message is on its way")
	r := rand.New(rand.NewPCG(1, uint64(size)))
	var b []byte
	for len(b) < size {
		b = append(append(b, words[r.IntN(len(words))]...), ' ')
	}
	return b[:size]
}

// noise does not compress.
func noise(size int) []byte {
	r, b := rand.NewChaCha8([32]byte{1}), make([]byte, size)
	r.Read(b)
	return b
}

// Messages arrive as they were sent, whatever either end compresses, by every way of sending; fewer bytes travel only if
// both ends have switched it on and it is worth it.
func TestCompression(t *testing.T) {
	for _, x := range []struct {
		name           string
		sender, taker  bool
		body           []byte
		smaller, whole bool
	}{
		{"both, text", true, true, prose(20 << 10), true, false},
		{"both, text in fragments", true, true, prose(1 << 20), true, false},
		{"both, noise", true, true, noise(20 << 10), false, true},
		{"both, noise in fragments", true, true, noise(200 << 10), false, true},
		{"both, too small", true, true, prose(1000), false, true},
		{"both, a page of zeros is sent as it is: who claims that much looks like a bomb", true, true, make([]byte, 512<<10), false, true},
		{"the sender alone", true, false, prose(20 << 10), false, true},
		{"the taker alone", false, true, prose(20 << 10), false, true},
		{"nobody", false, false, prose(20 << 10), false, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			worlds(t, func(w *world) {
				w.streamed("messages larger than a datagram")
				var seen witness
				a := w.node(nil, withPages(w, x.sender))
				b := w.node(nil, withPages(w, x.taker), withWitness(&seen))
				p := w.dial(a, b)
				w.Until("b to see a", func() bool { ups, _, _ := seen.count(); return ups == 1 })
				before := a.Stats().BytesOut
				w.Do(func() {
					if err := p.Send(brief(w), &page{x.body}); err != nil {
						w.Fatal(err)
					}
					if err := p.SendRaw(brief(w), opNote, x.body); err != nil {
						w.Fatal(err)
					}
				})
				w.Until("the messages", func() bool { _, _, notes := seen.count(); return notes == 2 })
				if x.whole { // they are counted after they were written
					w.Until("its bytes to be counted", func() bool { return a.Stats().BytesOut-before >= 2*int64(len(x.body)) })
				}
				out := a.Stats().BytesOut - before
				if x.smaller && out > int64(len(x.body)) {
					w.Errorf("two messages of %d bytes took %d", len(x.body), out)
				}
				if got := seen.seen()[2]; got != string(x.body) {
					w.Errorf("%d bytes came, which differ from the %d that were sent", len(got), len(x.body))
				}
				before = b.Stats().BytesOut
				w.Do(func() {
					op, got, err := p.RequestRaw(brief(w), opAsk, x.body, nil)
					if err != nil || op != opTold || !bytes.Equal(got, x.body) {
						w.Errorf("asked: %v, %d bytes, %v", op, len(got), err)
					}
				})
				if out := b.Stats().BytesOut - before; x.smaller && out > int64(len(x.body))/2+1024 {
					w.Errorf("the reply of %d bytes took %d", len(x.body), out)
				}
			})
		})
	}
}

// Switched on while the network runs, it counts for the connections that are made from then on, also when the record has
// been signed anew before.
func TestCompressionLater(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	var seen witness
	a := w.node(nil, withPages(t, true))
	b := w.node(nil, withWitness(&seen))
	w.dial(a, b).Close()
	w.Until("the first to go", func() bool { _, downs, _ := seen.count(); return downs == 1 })
	w.Do(func() { withPages(t, true)(b) })
	if err := b.Advertise(b.Addrs(), 0); err != nil {
		t.Fatal(err)
	}
	p := w.dial(a, b)
	before := a.Stats().BytesOut
	body := prose(64 << 10)
	if err := p.TrySend(&page{body}); err != nil {
		t.Fatal(err)
	}
	w.Until("the message", func() bool { _, _, notes := seen.count(); return notes == 1 })
	if out := a.Stats().BytesOut - before; out > int64(len(body)) {
		t.Errorf("%d bytes took %d", len(body), out)
	}
}

// What a stranger says is compressed and is not, or is a bomb, ends its connection with a reason that fits, before memory is
// spent on it, and hurts nobody else.
func TestHostileCompression(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	on := w.node(func(c *engine.Config) { c.LingerTimeout = 200 * time.Millisecond }, withPages(t, true), withWitness(&seen))
	off := w.node(func(c *engine.Config) { c.LingerTimeout = 200 * time.Millisecond }, withPages(t, false), withWitness(&seen))
	check, checkOff := goodPeer(w, on), goodPeer(w, off)
	packed := func(op opcode.Opcode, b []byte) framing.Frame {
		return framing.Frame{Op: op, Flags: framing.FlagCompressed, Payload: b}
	}
	good := s2.Encode(nil, prose(10<<10))
	for _, x := range []struct {
		name  string
		node  *engine.Network
		frame framing.Frame
		code  engine.Code
	}{
		{"nobody has said that it takes it", off, packed(opNote, good), engine.CodeProtocol},
		{"garbage", on, packed(opNote, noise(2000)), engine.CodeProtocol},
		{"nothing", on, packed(opNote, nil), engine.CodeProtocol},
		{"cut off", on, packed(opNote, good[:len(good)/2]), engine.CodeProtocol},
		{"longer than it says", on, packed(opNote, append(bytes.Clone(good), 0, 'x')), engine.CodeProtocol},
		{"more than the opcode's limit", on, packed(opNote, s2.Encode(nil, make([]byte, 4<<20+1))), engine.CodeLimit},
		{"within the limit, but a bomb", on, packed(opNote, s2.Encode(nil, make([]byte, 4<<20))), engine.CodeProtocol},
		{"a size that no memory has", on, packed(opNote, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}), engine.CodeLimit},
		{"an opcode of the library's", on, packed(opcode.BytesCode, good), engine.CodeProtocol},
		{"a ping", on, packed(opcode.PingCode, s2.Encode(nil, []byte("ping"))), engine.CodeProtocol},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := x.node.Stats()
			s := greet(w, x.node)
			s.frames(x.frame)
			if code, ok := s.lastWord(); !ok || code != x.code {
				t.Errorf("closed with %v, %v, want %v", code, ok, x.code)
			}
			check()
			checkOff()
			if after := x.node.Stats(); after.FaultsPeers != before.FaultsPeers+1 {
				t.Errorf("%d faults of peers have been counted, want 1", after.FaultsPeers-before.FaultsPeers)
			}
		})
	}
	t.Run("an opcode nobody knows is dropped unopened", func(t *testing.T) {
		s := greet(w, on)
		s.frames(packed(4000, noise(2000)), framing.Frame{Op: opcode.PingCode, ID: 1})
		if f := s.next(); f.Op != opcode.PongCode {
			t.Errorf("answered with %v", f.Op)
		}
	})
	w.Until("all memory to be given back", func() bool { return on.Stats().BufferBytes == 0 })
}

// A component that panics on a compressed message costs no memory.
func TestCompressedPanic(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	seen := witness{on: func(*engine.ComponentContext) error { panic("on purpose") }}
	a := w.node(nil, withPages(t, true))
	b := w.node(nil, withPages(t, true), withWitness(&seen))
	p := w.dial(a, b)
	for range 10 {
		if err := p.TrySend(&page{prose(100 << 10)}); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("ten panics", func() bool { return b.Stats().Panics == 10 })
	w.Until("all memory to be given back", func() bool { return b.Stats().BufferBytes == 0 })
}

// Compressed messages that wait for a worker weigh what they weighed on the way: a peer cannot queue more than its credit.
func TestCompressionOffload(t *testing.T) {
	w := liveWorld(t)
	slow := &slowly{next: make(chan struct{}, 100)}
	a := w.node(nil, withPages(t, true))
	b := w.node(nil, withPages(t, true), func(n *engine.Network) {
		if err := n.AddComponent(engine.Offload(slow, 1), engine.Opcodes(opNote)); err != nil {
			t.Fatal(err)
		}
	})
	p := w.dial(a, b)
	const count, size = 20, 256 << 10
	body := bytes.Repeat(prose(32<<10), size>>15)
	for range count {
		if err := p.SendRaw(brief(t), opNote, body); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("them to have come", func() bool { return b.Stats().MessagesIn >= count })
	if held := b.Stats().BufferBytes; held > count*size/10 {
		t.Errorf("%d messages of %d bytes that wait take %d bytes", count, size, held)
	}
	for range count {
		slow.next <- struct{}{}
	}
	w.Until("all of them to be handled", func() bool { _, _, notes := slow.count(); return notes == count })
	if got := slow.seen()[1]; got != string(body) {
		t.Errorf("a worker got %d bytes, which differ from the %d that were sent", len(got), size)
	}
	w.Until("all memory to be given back", func() bool { return b.Stats().BufferBytes == 0 })
}

// Where compression is off nothing changes: no byte on the wire, no allocation, and messages of other opcodes beside it go
// the short way. Where it is on, a message costs the pool's one small allocation at each end.
func TestCompressionOffIsFree(t *testing.T) {
	skipFigures(t)
	bytesOf := func(packed bool, body []byte) (out int64, allocs float64) {
		w := simWorld(t, 1, simnet.Weather{Latency: 10 * time.Microsecond})
		var c counter
		a := w.node(nil, withPages(t, packed))
		b := w.node(nil, withPages(t, packed), func(n *engine.Network) { n.AddComponent(&c, engine.Opcodes(opNote, 1500)) })
		p := w.dial(a, b)
		send := func(op opcode.Opcode) func() {
			return func() {
				for range 20 {
					if err := p.TrySendRaw(op, body); err != nil {
						t.Fatal(err)
					}
				}
				w.Net().Run(20 * time.Millisecond)
			}
		}
		for range 50 {
			send(opNote)()
		}
		before := a.Stats().BytesOut
		send(1500)()
		return a.Stats().BytesOut - before, testing.AllocsPerRun(50, send(opNote))
	}
	for _, size := range []int{64, 20 << 10} {
		off, offAllocs := bytesOf(false, prose(size))
		on, onAllocs := bytesOf(true, prose(size))
		if off != on || offAllocs != 0 || onAllocs > 2*20 {
			t.Errorf("%d bytes: an opcode without compression takes %d bytes beside one with it, else %d; allocations for 20 messages %v off, %v on, promised 0 and 40",
				size, on, off, offAllocs, onAllocs)
		}
	}
	var said, silent handshake.Params
	said.Compression = 1
	if len(silent.Append(nil)) != 0 || len(said.Append(nil)) != 4 {
		t.Error("a node that has it off says something about it, or one that has it on too much")
	}
}
