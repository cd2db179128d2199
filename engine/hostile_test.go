package engine_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A stranger speaks the protocol by hand over a socket, and says what a decent node never would.
type stranger struct {
	testing.TB
	conn       net.Conn
	key        *identity.Identity
	send, recv handshake.RecordKey
	sealer     *handshake.Cipher
	opener     *handshake.Cipher
	in         []byte // received, not opened
}

// meet connects to n without a word.
func meet(t testing.TB, n *engine.Network) *stranger {
	t.Helper()
	return meetFrom(t, n, "")
}

// meetFrom connects from another loopback address; "" is the usual one.
func meetFrom(t testing.TB, n *engine.Network, ip string) *stranger {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := d.Dial("tcp", n.Addrs()[0].AddrPort.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &stranger{TB: t, conn: conn}
}

func (s *stranger) write(b []byte) {
	s.Helper()
	if _, err := s.conn.Write(b); err != nil {
		s.Logf("write: %v", err) // the node may have hung up already: the test will say
	}
}

// greetAs shakes hands with n as key.
func greetAs(t testing.TB, n *engine.Network, key *identity.Identity, change func(*handshake.Config)) *stranger {
	t.Helper()
	return meet(t, n).shake(key, change)
}

// shake shakes hands as key.
func (s *stranger) shake(key *identity.Identity, change func(*handshake.Config)) *stranger {
	t := s.TB
	t.Helper()
	s.key = key
	rec, err := key.NewRecord(nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &handshake.Config{Identity: key, Record: rec.Append(nil), NetworkID: "carrier", Puzzle: identity.Puzzle{},
		Params: handshake.Params{Instance: 7}, Timeout: time.Minute, Rand: newDice(uint64(time.Now().UnixNano()), 0)}
	if change != nil {
		change(cfg)
	}
	m, err := handshake.NewInitiator(cfg, 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	for !m.Done() {
		for wire, ok := m.Next(); ok; wire, ok = m.Next() {
			s.write(wire)
		}
		if m.Done() {
			break
		}
		msg, err := s.message()
		if err != nil {
			t.Logf("handshake: %v", err)
			return s
		}
		if err := m.Receive(0, msg); err != nil {
			t.Logf("handshake: %v", err)
			return s
		}
	}
	for wire, ok := m.Next(); ok; wire, ok = m.Next() {
		s.write(wire)
	}
	r := m.Result()
	s.send, s.recv = r.Send, r.Recv
	s.sealer, s.opener = s.send.Expand(), s.recv.Expand()
	return s
}

// message reads one handshake message.
func (s *stranger) message() ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(s.conn, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.LittleEndian.Uint16(size[:]))
	_, err := io.ReadFull(s.conn, b)
	return b, err
}

// greet shakes hands and is let in.
func greet(t testing.TB, n *engine.Network) *stranger {
	t.Helper()
	key, err := identity.Generate(t.Context(), identity.Puzzle{}, identity.GenerateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := greetAs(t, n, key, nil)
	s.frames(framing.Frame{Op: opcode.CreditCode, Payload: binary.LittleEndian.AppendUint64(nil, 1<<20)})
	if f := s.next(); f.Op != opcode.CreditCode {
		t.Fatalf("the node answers with %v %q", f.Op, f.Payload)
	}
	return s
}

// seal makes a record of what is to be its plaintext.
func (s *stranger) seal(plain []byte) []byte {
	rec := make([]byte, framing.RecordHeaderSize+len(plain)+framing.TagSize)
	copy(rec[framing.RecordHeaderSize:], plain)
	framing.PutRecordHeader(rec, framing.KindFrames, len(plain)+framing.TagSize)
	if err := s.send.Seal(s.sealer, rec); err != nil {
		s.Fatal(err)
	}
	return rec
}

// frames sends frames in one record.
func (s *stranger) frames(frames ...framing.Frame) {
	var plain []byte
	for _, f := range frames {
		plain = framing.AppendFrame(plain, f)
	}
	s.write(s.seal(plain))
}

// next returns the next frame of the node, or the zero Frame when it has hung up.
func (s *stranger) next() framing.Frame {
	for {
		header, body, n, err := framing.NextRecord(s.in)
		if err != nil {
			s.Fatalf("the node's record: %v", err)
		}
		if n > 0 {
			s.in = s.in[n:]
			plain, err := s.recv.Open(s.opener, header, body)
			if err != nil {
				s.Fatalf("the node's record: %v", err)
			}
			f, _, err := framing.NextFrame(plain)
			if err != nil {
				s.Fatalf("the node's frame: %v", err)
			}
			return f
		}
		buf := make([]byte, 64<<10)
		k, err := s.conn.Read(buf)
		s.in = append(s.in, buf[:k]...)
		if k == 0 && err != nil {
			return framing.Frame{}
		}
	}
}

// lastWord reads on until the node says goodbye or hangs up, and returns the code; ok is false if it said nothing.
func (s *stranger) lastWord() (code engine.Code, ok bool) {
	for {
		f := s.next()
		switch f.Op {
		case opcode.ErrorCode, opcode.DisconnectCode:
			return engine.Code(binary.LittleEndian.Uint32(f.Payload)), true
		case opcode.UnregisteredCode:
			return 0, false
		}
	}
}

// hungUp waits until the node has closed the connection.
func (s *stranger) hungUp() {
	s.Helper()
	if _, err := io.Copy(io.Discard, s.conn); err != nil && !errors.Is(err, net.ErrClosed) {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			s.Fatal("the node keeps the connection")
		}
	}
}

func note(b []byte) framing.Frame { return framing.Frame{Op: opNote, Payload: b} }

// A good peer is connected to the node during every case below, and must not notice.
func goodPeer(w *world, n *engine.Network) func() {
	w.Helper()
	return stillThere(w, w.dial(w.node(nil), n))
}

// stillThere returns a check that p is answered.
func stillThere(w *world, p *engine.PeerClient) func() {
	return func() {
		w.Helper()
		if op, reply, err := p.RequestRaw(brief(w), opAsk, []byte("still there?"), nil); err != nil || op != opTold || string(reply) != "still there?" {
			w.Errorf("the good peer: %v %q %v", op, reply, err)
		}
	}
}

// Before the handshake has ended nobody has a name: whatever is wrong, the connection is closed and the failure counted.
func TestHostileGreetings(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(func(c *engine.Config) { c.HandshakeTimeout = 300 * time.Millisecond }, withWitness(&seen))
	var good *engine.PeerClient
	caller := w.node(nil)
	w.Until("the good peer's handshake to end in time", func() bool { // on a busy machine not the first
		var err error
		good, err = w.TryDial(caller, target(n))
		return err == nil
	})
	check := stillThere(w, good)
	m1 := func(change func(*handshake.Config)) []byte {
		key := w.key(100)
		rec, _ := key.NewRecord(nil, 1, 0)
		cfg := &handshake.Config{Identity: key, Record: rec.Append(nil), NetworkID: "carrier", Timeout: time.Minute, Rand: newDice(1, 2)}
		if change != nil {
			change(cfg)
		}
		m, err := handshake.NewInitiator(cfg, 0, identity.ID{})
		if err != nil {
			t.Fatal(err)
		}
		wire, _ := m.Next()
		return append([]byte(nil), wire...)
	}
	cases := map[string][]byte{
		"nothing at all":    {},
		"garbage":           []byte("GET / HTTP/1.1\r\nHost: carrier\r\n\r\n"),
		"zeros":             make([]byte, 512),
		"a huge length":     {0xff, 0xff, 1, 2, 3},
		"an empty message":  {0, 0},
		"half a message":    m1(nil)[:20],
		"a flipped bit":     flip(m1(nil), 3),
		"another network":   m1(func(c *handshake.Config) { c.NetworkID = "another" }),
		"another puzzle":    m1(func(c *handshake.Config) { c.Puzzle = identity.Puzzle{StaticBits: 3} }),
		"the first twice":   append(m1(nil), m1(nil)...),
		"more than allowed": append(m1(nil), make([]byte, 20<<10)...),
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			before := n.Stats()
			s := meet(t, n)
			s.write(b)
			s.hungUp()
			w.Until("the door to be free", func() bool { return n.Stats().HalfOpen == 0 })
			check()
			after := n.Stats()
			if failed, faults := after.HandshakesFailed-before.HandshakesFailed, after.FaultsPeers-before.FaultsPeers; failed != faults {
				t.Errorf("%d handshakes have failed by %d faults of strangers", failed, faults)
			}
		})
	}
	t.Run("a replay", func(t *testing.T) { // a whole, recorded handshake gets no further than its second message
		b := m1(nil)
		var s *stranger
		w.Until("an answer to a good first message", func() bool { // on a busy machine the time for it may be up
			s = meet(t, n)
			s.write(b)
			_, err := s.message()
			return err == nil
		})
		s.write(b)
		s.hungUp()
		check()
	})
	t.Run("a key that does not solve the puzzle", func(t *testing.T) {
		hard := identity.Puzzle{StaticBits: 8, DynamicBits: 1}
		n := w.node(func(c *engine.Config) { c.Puzzle, c.Identity = &hard, solved(w, hard) })
		s := greetAs(t, n, w.key(101), func(c *handshake.Config) { c.Puzzle = hard })
		s.hungUp()
		w.Until("it to be counted", func() bool { return n.Stats().HandshakesFailed == 1 })
	})
	if ups, _, _ := seen.count(); ups != 1 {
		t.Errorf("%d peers have been connected, want the good one", ups)
	}
	if n.Stats().HandshakesFailed == 0 {
		t.Error("no failure has been counted")
	}
}

func flip(b []byte, at int) []byte {
	b[at] ^= 1
	return b
}

// A proven peer that breaks the protocol gets an Error that says why, is closed and counted, and nobody else notices.
func TestHostilePeers(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	limited := opcode.Opcode(2000)
	stuck := &slowly{next: make(chan struct{})} // until the end, when Cleanup waits for it
	release := sync.OnceFunc(func() { close(stuck.next) })
	t.Cleanup(release)
	// Who is slow is told so by a node of his own: on a busy machine those that are not meant to be may be slow as well.
	hasty := w.node(func(c *engine.Config) { c.RecordTimeout, c.LingerTimeout = 100*time.Millisecond, 200*time.Millisecond })
	n := w.node(func(c *engine.Config) {
		c.ReceiveWindow, c.ReceiveWindowMax = 128<<10, 128<<10
		c.LingerTimeout = 200 * time.Millisecond
	}, withWitness(&seen), func(n *engine.Network) {
		if err := engine.Register[struct{ B []byte }](n, limited, engine.WithLimit(100)); err != nil {
			t.Fatal(err)
		}
		n.AddComponent(engine.Offload(stuck, 1), engine.Opcodes(3000))
	})
	check := goodPeer(w, n)
	more := func(f framing.Frame) framing.Frame { f.Flags |= framing.FlagMore; return f }
	cases := []struct {
		name string
		code engine.Code
		does func(*stranger)
	}{
		{"a record that is too long", engine.CodeProtocol, func(s *stranger) { s.write([]byte{0xff, 0xff, 0xff, 0}) }},
		{"a record that is too short", engine.CodeProtocol, func(s *stranger) { s.write([]byte{3, 0, 0, 0}) }},
		{"a record of an unknown kind", engine.CodeProtocol, func(s *stranger) { s.write([]byte{0x40, 0, 0, 9}) }},
		{"a flipped bit", engine.CodeProtocol, func(s *stranger) { s.write(flip(s.seal(framing.AppendFrame(nil, note(nil))), 9)) }},
		{"a flipped header", engine.CodeProtocol, func(s *stranger) {
			rec := s.seal(framing.AppendFrame(nil, note([]byte("12345678"))))
			rec[0]--
			s.write(rec)
		}},
		{"a replayed record", engine.CodeProtocol, func(s *stranger) {
			rec := s.seal(framing.AppendFrame(nil, note(nil)))
			s.write(rec)
			s.write(rec)
		}},
		{"records out of order", engine.CodeProtocol, func(s *stranger) {
			first := s.seal(framing.AppendFrame(nil, note(nil)))
			s.write(s.seal(framing.AppendFrame(nil, note(nil))))
			s.write(first)
		}},
		{"a record that never ends", engine.CodeTimeout, func(s *stranger) { s.write(s.seal(make([]byte, 100))[:50]) }},
		{"a frame that claims too much", engine.CodeProtocol, func(s *stranger) { s.write(s.seal([]byte{100, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0})) }},
		{"half a frame header", engine.CodeProtocol, func(s *stranger) { s.write(s.seal([]byte{0, 0, 0, 0, 1})) }},
		{"unknown flags", engine.CodeProtocol, func(s *stranger) { s.write(s.seal([]byte{0, 0, 0, 0x80, 0xe8, 3, 0, 0, 0, 0, 0, 0})) }},
		{"a message over its limit", engine.CodeLimit, func(s *stranger) { s.frames(framing.Frame{Op: limited, Payload: make([]byte, 101)}) }},
		{"fragments over the limit", engine.CodeLimit, func(s *stranger) {
			s.frames(more(framing.Frame{Op: limited, ID: 9, Payload: make([]byte, 60)}), framing.Frame{Op: limited, ID: 9, Payload: make([]byte, 60)})
		}},
		{"endless fragments", engine.CodeLimit, func(s *stranger) {
			for range 40 {
				s.frames(more(framing.Frame{Op: opNote, ID: 9, Payload: make([]byte, 60<<10)}))
			}
		}},
		{"too many messages in fragments", engine.CodeProtocol, func(s *stranger) {
			for id := range uint32(framing.FragmentedLimit + 1) {
				s.frames(more(framing.Frame{Op: opNote, ID: id + 1, Payload: []byte{1}}))
			}
		}},
		{"a fragment without an id", engine.CodeProtocol, func(s *stranger) { s.frames(more(note([]byte{1}))) }},
		{"credit overrun", engine.CodeLimit, func(s *stranger) {
			for range 10 { // nobody takes these, so they are not consumed
				s.frames(framing.Frame{Op: 3000, Payload: make([]byte, 60<<10)})
			}
		}},
		{"credit that shrinks", engine.CodeProtocol, func(s *stranger) {
			s.frames(framing.Frame{Op: opcode.CreditCode, Payload: make([]byte, 8)})
		}},
		{"credit without end", engine.CodeProtocol, func(s *stranger) {
			s.frames(framing.Frame{Op: opcode.CreditCode, Payload: []byte{255, 255, 255, 255, 255, 255, 255, 255}})
		}},
		{"credit of another size", engine.CodeProtocol, func(s *stranger) {
			s.frames(framing.Frame{Op: opcode.CreditCode, Payload: []byte{1}})
		}},
		{"a ping that is too large", engine.CodeLimit, func(s *stranger) {
			s.frames(framing.Frame{Op: opcode.PingCode, ID: 1, Payload: make([]byte, 1000)})
		}},
		{"a flood of pings nobody reads", engine.CodeLimit, func(s *stranger) {
			ping := framing.Frame{Op: opcode.PingCode, ID: 1, Payload: make([]byte, 64)}
			flood := make([]framing.Frame, 200)
			for i := range flood {
				flood[i] = ping
			}
			s.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			before := n.Stats().ClosedFor[engine.CodeLimit]
			for range 100_000 {
				s.frames(flood...)
				if n.Stats().ClosedFor[engine.CodeLimit] > before {
					return
				}
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := n
			if c.code == engine.CodeTimeout {
				n = hasty
			}
			before := n.Stats()
			s := greet(t, n)
			c.does(s)
			if code, ok := s.lastWord(); ok && code != c.code {
				t.Errorf("the node said %v, want %v", code, c.code)
			}
			w.Until("it to be closed", func() bool { return n.Stats().Closed > before.Closed })
			after := n.Stats()
			if after.ClosedFor[c.code] != before.ClosedFor[c.code]+1 {
				t.Errorf("closed for %v, before %v; want one more %v", after.ClosedFor, before.ClosedFor, c.code)
			}
			if after.FaultsPeers != before.FaultsPeers+1 && after.FaultsOurs != before.FaultsOurs+1 {
				t.Error("no fault has been counted")
			}
			check()
		})
	}
	release() // what the worker has in hand counts until it is handled
	w.Until("all memory to be back", func() bool { return n.Stats().BufferBytes == 0 || n.Stats().BufferBytes <= 16<<10 })
}

// What is merely odd is dropped and counted, and the peer stays.
func TestOddPeers(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(nil, withWitness(&seen))
	cases := []struct {
		name    string
		frame   framing.Frame
		counter func(engine.Stats) int64
	}{
		{"an unknown opcode", framing.Frame{Op: 77777, Payload: []byte("?")}, func(s engine.Stats) int64 { return s.Unknown }},
		{"opcode 0", framing.Frame{Op: 0, ID: 1, Payload: []byte("?")}, func(s engine.Stats) int64 { return s.Unknown }},
		{"a library opcode nobody here serves", framing.Frame{Op: opcode.MetricRequestCode, Payload: []byte("?")}, func(s engine.Stats) int64 { return s.Unhandled }},
		{"a reply to nothing", framing.Frame{Op: opTold, ID: 99, Flags: framing.FlagReply}, func(s engine.Stats) int64 { return s.Orphans }},
		{"a NoReply to nothing", framing.Frame{Op: opcode.NoReplyCode, ID: 99, Flags: framing.FlagReply}, func(s engine.Stats) int64 { return s.Orphans }},
		{"a NoReply that is none", framing.Frame{Op: opcode.NoReplyCode, ID: 99}, func(s engine.Stats) int64 { return s.Unhandled }},
		{"a pong to nothing", framing.Frame{Op: opcode.PongCode, ID: 99, Flags: framing.FlagReply}, func(s engine.Stats) int64 { return s.Orphans }},
	}
	s, told := greet(t, n), 0
	for _, c := range cases {
		before := c.counter(n.Stats())
		s.frames(c.frame, framing.Frame{Op: opcode.PingCode, ID: 5, Payload: []byte("echo")})
		f := s.next()
		for ; f.Op == opcode.CreditCode || f.Op == opcode.NoReplyCode; f = s.next() {
			if f.Op == opcode.NoReplyCode {
				told++
			}
		}
		if f.Op != opcode.PongCode || f.ID != 5 || f.Flags != framing.FlagReply || string(f.Payload) != "echo" {
			t.Fatalf("%s: the node answers a Ping with %+v", c.name, f)
		}
		w.Until(c.name+" to be counted", func() bool { return c.counter(n.Stats()) == before+1 })
	}
	if told != 1 { // a Pong overtakes it, but not the one of the next case
		t.Errorf("%d times NoReply, and one request: opcode 0", told)
	}
	if _, _, notes := seen.count(); notes != 0 {
		t.Errorf("the component has seen %q", seen.notes)
	}
}
