package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A swindler is a peer over UDP that has proven itself and then says what it likes. It is written without the
// code it is meant for.
type swindler struct {
	testing.TB
	conn   *net.UDPConn
	own    datagram.ID // in what it receives
	theirs datagram.ID
	sealer session.Sender
}

// exchange sends a datagram until one of a kind comes back, and returns what is behind its header.
func (s *swindler) exchange(b []byte, want datagram.Kind) []byte {
	s.Helper()
	answer := make([]byte, 2048)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := s.conn.Write(b); err != nil {
			s.Fatal(err)
		}
		_ = s.conn.SetReadDeadline(time.Now().Add(time.Second))
		for {
			n, err := s.conn.Read(answer)
			if err != nil {
				break // lost: again
			}
			if k, id, ok := datagram.ParseHeader(answer[:n]); ok && k == want && id == s.own {
				return answer[datagram.HeaderSize:n]
			}
		}
	}
	s.Fatalf("no answer of kind %d", want)
	return nil
}

// swindle shakes hands with n as key.
func swindle(t testing.TB, n *engine.Network, key *identity.Identity, number uint64) *swindler {
	t.Helper()
	conn := dialUDP(t, n)
	s := &swindler{TB: t, conn: conn, own: datagram.ID(number)}
	rec, err := key.NewRecord(nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := handshake.NewInitiator(&handshake.Config{Identity: key, Record: rec.Append(nil), NetworkID: "carrier",
		Params: handshake.Params{Instance: number}, Timeout: time.Hour, Rand: newDice(number, 1)}, 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	loop := datagram.ID(number) << 8 // any will do, and the same each time
	with := func(k datagram.Kind, parts ...[]byte) []byte {
		b := make([]byte, datagram.HeaderSize, datagram.BaseSize)
		datagram.PutHeader(b, k, loop)
		return append(binary.LittleEndian.AppendUint64(b, uint64(s.own)), bytes.Join(parts, nil)...)
	}
	const version = 1
	cookie := bytes.Clone(s.exchange(with(datagram.Knock, []byte{version})[:datagram.BaseSize:datagram.BaseSize], datagram.Cookie))
	say := func() []byte {
		msg, ok := m.Next()
		if !ok {
			t.Fatal("nothing to say")
		}
		return s.exchange(with(datagram.Open, cookie, session.AppendGreeting(nil, msg)), datagram.Answer)
	}
	answer := say()
	msg, ok := session.Greeting(answer[8:])
	if !ok {
		t.Fatalf("the answer is %x", answer)
	}
	if err := m.Receive(0, msg); err != nil {
		t.Fatal(err)
	}
	s.theirs = datagram.ID(binary.LittleEndian.Uint64(say()))
	s.sealer.Start(m.Result().Send)
	return s
}

// seal makes a Data of frames that are whatever they are.
func (s *swindler) seal(frames []byte) []byte {
	const counter = 8
	b := make([]byte, datagram.HeaderSize+counter+len(frames)+framing.TagSize)
	datagram.PutHeader(b, datagram.Data, s.theirs)
	record := b[datagram.HeaderSize:]
	framing.PutRecordHeader(record, framing.KindFrames, len(record)-framing.RecordHeaderSize)
	copy(record[counter:], frames)
	if _, _, err := s.sealer.SealDatagram(record); err != nil {
		s.Fatal(err)
	}
	return b
}

func dialUDP(t testing.TB, n *engine.Network) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(n.Addrs()[0].AddrPort))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// frame is one frame.
func frame(op opcode.Opcode, flags framing.Flags, id uint32, payload string) []byte {
	b := make([]byte, framing.FrameHeaderSize, framing.FrameHeaderSize+len(payload))
	framing.PutFrameHeader(b, op, flags, id, len(payload))
	return append(b, payload...)
}

// What a script has sent, and by whom: each line is a byte for that, two for its length, and its bytes.
const (
	byStranger   = iota // as it is, from an address that has proven nothing
	byPeer              // frames that the peer seals
	byPeerInside        // the body of a Data that the peer has not sealed
	asPeer              // the body of a datagram of any kind to the peer's link, from the stranger's address
	movedPeer           // frames that the peer seals, from the stranger's address
	voices
)

func line(by byte, b []byte) []byte {
	return append([]byte{by, byte(len(b)), byte(len(b) >> 8)}, b...)
}

// FuzzEndpoint plays scripts to a whole node over UDP sockets. Law: nothing panics, no memory is kept beyond
// small bounds, an address that has proven nothing gets at most three times what it has sent, and an honest
// peer is answered.
func FuzzEndpoint(f *testing.F) {
	credit := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 1), 1)
	knock := make([]byte, datagram.BaseSize)
	datagram.PutHeader(knock, datagram.Knock, 9)
	knock[datagram.HeaderSize+8] = 1
	for _, seed := range [][]byte{
		line(byStranger, knock), line(byStranger, nil), line(byStranger, knock[:1199]),
		line(byPeer, frame(opcode.KeepaliveCode, 0, 0, "12345678")), line(byPeer, frame(opcode.PingCode, 0, 7, "ping")),
		line(byPeer, frame(opcode.CreditCode, 0, 0, string(credit))), line(byPeer, frame(opNote, framing.FlagMore, 0, "part")),
		line(byPeer, frame(opNote, framing.FlagCompressed, 0, "xx")), line(byPeer, frame(opAsk, 0, 9, "?")), line(byPeer, frame(opNote, framing.FlagWantsAck, 5, "!")),
		line(byPeer, frame(77777, 0, 0, "")), line(byPeer, frame(opcode.ErrorCode, 0, 0, "\x01\x00\x00\x00text")), line(byPeer, []byte{1, 2, 3}), line(byPeer, nil),
		line(byPeerInside, make([]byte, 40)), line(byPeerInside, nil),
		line(asPeer, append([]byte{byte(datagram.Probe)}, make([]byte, 8)...)), line(asPeer, append([]byte{byte(datagram.Data)}, make([]byte, 60)...)),
		line(movedPeer, frame(opcode.KeepaliveCode, 0, 0, "12345678")),
		bytes.Repeat(line(byPeer, frame(opAsk, 0, 9, "?")), 20),
	} {
		f.Add(seed)
	}
	w := udpWorld(f)
	seen := &witness{}
	node := w.node(nil, withWitness(seen))
	honest := w.dial(w.node(nil), node)
	number := uint64(time.Now().UnixNano()) // an identity for each, for the node remembers them
	f.Fuzz(func(t *testing.T, script []byte) {
		number++
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], number)
		key, err := identity.FromSeed(context.Background(), seed, identity.Puzzle{})
		if err != nil {
			t.Fatal(err)
		}
		stranger, peer := dialUDP(t, node), swindle(t, node, key, number)
		sent := play(script, stranger, peer)
		ask(t, honest)
		if got := received(t, stranger); got > 3*sent {
			t.Errorf("an address that has proven nothing gets %d bytes for %d", got, sent)
		}
		_, _ = peer.conn.Write(peer.seal(frame(opcode.DisconnectCode, 0, 0, "\x00\x00\x00\x00")))
		switch s := node.Stats(); {
		case s.Panics > 0:
			t.Errorf("%d panics", s.Panics)
		case s.BufferBytes > 4<<20 || s.HalfOpen > engine.HalfOpenDefault:
			t.Errorf("%d bytes are held, and %d half-open connections", s.BufferBytes, s.HalfOpen)
		}
		seen.mu.Lock()
		seen.notes, seen.log, seen.ups, seen.downs = nil, nil, nil, nil
		seen.mu.Unlock()
	})
}

// play sends what a script says, and returns how many bytes of it were the stranger's.
func play(script []byte, stranger *net.UDPConn, peer *swindler) (strange int) {
	for len(script) >= 3 {
		by, size := script[0]%voices, int(binary.LittleEndian.Uint16(script[1:]))
		script = script[3:]
		b := script[:min(size, len(script), 1400)]
		script = script[len(b):]
		from := peer.conn
		switch by {
		case byPeer, movedPeer:
			b = peer.seal(b)
		case byPeerInside, asPeer:
			kind := datagram.Data
			if by == asPeer && len(b) > 0 {
				kind, b = datagram.Kind(b[0]), b[1:]
			}
			whole := make([]byte, datagram.HeaderSize, datagram.HeaderSize+len(b))
			datagram.PutHeader(whole, kind, peer.theirs)
			b = append(whole, b...)
		}
		if by == byStranger || by == asPeer || by == movedPeer {
			from = stranger
			strange += len(b)
		}
		_, _ = from.Write(b) // what the kernel refuses is not sent
	}
	return strange
}

// ask makes a request until it is answered.
func ask(t *testing.T, p *engine.PeerClient) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil { // a full socket may have lost it
		one, stop := context.WithTimeout(ctx, 2*time.Second)
		_, _, err := p.RequestRaw(one, opAsk, []byte("?"), nil)
		if stop(); err == nil {
			return
		}
	}
	t.Fatal("an honest peer is not answered")
}

// received is how many bytes have come to a socket.
func received(t *testing.T, c *net.UDPConn) (sum int) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	for {
		n, err := c.Read(b)
		if err != nil {
			return sum
		}
		sum += n
	}
}
