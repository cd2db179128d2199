package quicio

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A ledger is a Memory that may run out, and sees whether everything comes back.
type ledger struct {
	mu        sync.Mutex
	limit     int
	out, most int
}

func (m *ledger) Grow(b []byte, n int) ([]byte, error) {
	if cap(b)-len(b) >= n {
		return b, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	size := 1 << bits.Len(uint(max(len(b)+n, 2*cap(b))-1)) // as the engine's
	if m.out+size > m.limit {
		return b, errors.New("no memory")
	}
	m.out += size - cap(b)
	m.most = max(m.most, m.out)
	return append(make([]byte, 0, size), b...), nil
}

func (m *ledger) GrowToSend(b []byte, n int) ([]byte, error) { return m.Grow(b, n) }

func (m *ledger) Put(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out -= cap(b)
}

func (m *ledger) lent() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out
}

func (m *ledger) allow(limit int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = limit
}

// A pair is a link and its other end, each on a transport with a ledger.
type pair struct {
	near, far *link
	w, v      *watcher // of near and far
}

func newPair(t *testing.T, mine, others *ledger) pair {
	t.Helper()
	near, far := withKey(t, Config{Loops: 1}), withKey(t, Config{Loops: 1})
	near.Borrow(mine)
	far.Borrow(others)
	v, at := started(t, far, loopback())
	w, _ := started(t, near)
	near.Dial(context.Background(), at[0], 1)
	w.until(t, "the link", func() bool { return len(w.links) == 1 })
	v.until(t, "its other end", func() bool { return len(v.links) == 1 })
	return pair{w.links[0].(*link), v.links[0].(*link), w, v}
}

// write writes b, and if that is short waits for room. It returns what is left.
func (p pair) write(t *testing.T, b []byte) []byte {
	t.Helper()
	p.w.mu.Lock()
	before := p.w.room
	p.w.mu.Unlock()
	n, err := p.near.Write(b)
	if err != nil {
		t.Fatal(err)
	}
	if n < len(b) {
		p.w.until(t, "room", func() bool { return p.w.room > before })
	}
	return b[n:]
}

// writeAll writes b as the engine does.
func (p pair) writeAll(t *testing.T, b []byte) {
	t.Helper()
	for len(b) > 0 {
		b = p.write(t, b)
	}
}

// What waits to be sent, and what has come and is being handled, is borrowed, and all of it is given back.
func TestMemoryIsBorrowed(t *testing.T) {
	mine, others := &ledger{limit: 1 << 30}, &ledger{limit: 1 << 30}
	p := newPair(t, mine, others)
	const size = 3 << 20
	p.writeAll(t, make([]byte, size))
	for _, b := range [][]byte{nil, make([]byte, 1000), {1}} {
		if err := p.near.WriteUnreliable(b); err != nil {
			t.Fatal(err)
		}
	}
	p.v.until(t, "all of it", func() bool { return len(p.v.bytes[p.far]) == size }) // a datagram may be lost
	for name, m := range map[string]*ledger{"writing": mine, "reading": others} {
		m.mu.Lock()
		most := m.most
		m.mu.Unlock()
		if most == 0 || most > 2*sendBuffer+largeRead {
			t.Errorf("%s: at most %d bytes were borrowed", name, most)
		}
	}
	p.near.Close()
	p.v.until(t, "the end", func() bool { return len(p.v.closed) == 1 })
	if err := errors.Join(p.near.t.Stop(), p.far.t.Stop()); err != nil {
		t.Error(err)
	}
	if mine.lent() != 0 || others.lent() != 0 {
		t.Errorf("%d and %d bytes were never given back", mine.lent(), others.lent())
	}
}

// Without memory a link reads in small pieces, takes nothing to hold, and says again and again that there is room; when there is
// memory again it goes on.
func TestMemoryRunsOut(t *testing.T) {
	mine, others := &ledger{}, &ledger{}
	p := newPair(t, mine, others)
	b := make([]byte, 2*directWrite)
	for range 3 {
		if left := len(p.write(t, b)); left != len(b) {
			t.Fatalf("%d bytes are held without memory", len(b)-left)
		}
	}
	if err := p.near.WriteUnreliable(make([]byte, 1000)); err != nil { // it is lost
		t.Error(err)
	}
	mine.allow(sendBuffer)
	p.writeAll(t, b)
	p.writeAll(t, make([]byte, sendBuffer))
	p.v.until(t, "all of it", func() bool { return len(p.v.bytes[p.far]) == len(b)+sendBuffer })
	if others.most != 0 || len(p.v.unreliable) != 0 {
		t.Errorf("%d bytes were borrowed where there are none, %d datagrams have come", others.most, len(p.v.unreliable))
	}
	p.near.Close()
	p.v.until(t, "the end", func() bool { return len(p.v.closed) == 1 })
}

const (
	opAsk  = opcode.ApplicationOpCodeStart
	opBulk = opcode.ApplicationOpCodeStart + 1
)

// echo answers requests.
type echo struct{ engine.Component }

func (echo) Receive(ctx *engine.ComponentContext) error { return ctx.ReplyRaw(opAsk, ctx.Payload()) }

// A stranger speaks the protocol by hand over quic-go.
type stranger struct {
	conn   *quic.Conn
	stream *quic.Stream
	id     identity.ID
}

// meet makes the handshake with a node, in the place of another node. What it grants is without end.
func meet(from *quic.Transport, to transport.Addr, q *quic.Config) (s stranger, err error) {
	key, err := identity.Generate(context.Background(), identity.Puzzle{}, identity.GenerateOptions{Workers: 1})
	if err != nil {
		return s, err
	}
	own, err := newCertificate(key.Signer())
	if err != nil {
		return s, err
	}
	s.id = key.ID()
	if s.conn, err = from.Dial(context.Background(), net.UDPAddrFromAddrPort(to.AddrPort), newTLS(own), q); err != nil {
		return s, err
	}
	if s.stream, err = s.conn.OpenStreamSync(context.Background()); err != nil {
		return s, err
	}
	if _, err = s.stream.Write([]byte{streamVersion}); err != nil {
		return s, err
	}
	return s, s.greet(key)
}

func (s stranger) greet(key *identity.Identity) error {
	rec, err := key.NewRecord(nil, 1, 0)
	if err != nil {
		return err
	}
	state := s.conn.ConnectionState()
	remote, err := keyOf(&state.TLS)
	if err != nil {
		return err
	}
	m, err := handshake.NewProvenInitiator(&handshake.Config{Identity: key, Record: rec.Append(nil), NetworkID: "carrier",
		Params: handshake.Params{Instance: 7}, Timeout: time.Minute, Rand: rand.Reader}, 0, identity.ID{}, remote)
	if err != nil {
		return err
	}
	var size [2]byte
	if _, err := io.ReadFull(s.stream, size[:]); err != nil {
		return err
	}
	msg := make([]byte, binary.LittleEndian.Uint16(size[:]))
	if _, err := io.ReadFull(s.stream, msg); err != nil {
		return err
	}
	if err := m.Receive(0, msg); err != nil {
		return err
	}
	answer, _ := m.Next()
	if _, err := s.stream.Write(answer); err != nil {
		return err
	}
	return s.say(framing.Frame{Op: opcode.CreditCode, Payload: binary.LittleEndian.AppendUint64(nil, 1<<40)})
}

// say sends a record of one frame.
func (s stranger) say(f framing.Frame) error {
	frame := framing.AppendFrame(nil, f)
	b := make([]byte, framing.RecordHeaderSize+len(frame)+framing.TagSize)
	framing.PutRecordHeader(b, framing.KindFrames, len(frame)+framing.TagSize)
	copy(b[framing.RecordHeaderSize:], frame)
	_, err := s.stream.Write(b)
	return err
}

// ask sends a request and waits for its answer, whatever else comes before.
func (s stranger) ask(id uint32) error {
	if err := s.say(framing.Frame{Op: opAsk, ID: id, Payload: []byte("still there?")}); err != nil {
		return err
	}
	var in []byte
	for buf := make([]byte, 4<<10); ; {
		n, err := s.stream.Read(buf)
		if err != nil {
			return err
		}
		in = append(in, buf[:n]...)
		for {
			_, body, n, err := framing.NextRecord(in)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			in = in[n:]
			f, _, err := framing.NextFrame(body[:len(body)-framing.TagSize])
			if err != nil || f.Flags&framing.FlagReply != 0 && f.ID == id {
				return err
			}
		}
	}
}

// Peers that have granted credit without end and read nothing hold what their send buffers may hold, counted; the others notice
// nothing; and all of it comes back when they go.
func TestStoppedReaders(t *testing.T) {
	others := 1000
	if testing.Short() {
		others = 30
	}
	const stopped, memory, window = 8, 32 << 20, 16 << 10
	tr := New(Config{Loops: 2})
	n := startNode(t, tr, memory, stopped+others)
	if _, alone := tr.mem.(unbounded); alone {
		t.Fatal("the node has lent its transport no memory")
	}
	from := socketFor(t)
	small := &quic.Config{InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window, InitialConnectionReceiveWindow: window, MaxConnectionReceiveWindow: window}
	var stoppers []stranger
	accepted := 0
	for range stopped {
		s, err := meet(from, n.Addrs()[0], small)
		if err != nil {
			t.Fatal(err)
		}
		stoppers = append(stoppers, s)
		accepted += fill(t, n, s.id)
	}
	count := int(n.Stats().BufferBytes)
	if least := accepted - stopped*(window+directBurst); count < least || count > memory {
		t.Errorf("of %d bytes for %d peers who do not read %d are counted, want at least %d", accepted, stopped, count, least)
	}
	t.Logf("%d bytes for each peer that does not read", count/stopped)
	askAll(t, from, n.Addrs()[0], others)
	if now := int(n.Stats().BufferBytes); now > count+count/2 {
		t.Errorf("%d bytes are counted, with the others %d", count, now)
	}
	for _, s := range stoppers {
		_ = s.conn.CloseWithError(0, "")
	}
	until(t, "the memory to come back", func() bool { return n.Stats().BufferBytes < int64(count)/2 })
	_ = from.Close() // and all others with it
	if err := n.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if left := n.Stats().BufferBytes; left != 0 {
		t.Errorf("%d bytes are never given back", left)
	}
}

// startNode starts a node that answers, on QUIC alone.
func startNode(t *testing.T, tr *Transport, memory int64, peers int) *engine.Network {
	t.Helper()
	key, err := identity.Generate(context.Background(), identity.Puzzle{}, identity.GenerateOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	n, err := engine.New(engine.Config{Transport: tr, Listen: []transport.Addr{loopback()}, Identity: key, Puzzle: &identity.Puzzle{},
		WeakPuzzle: true, Memory: memory, Peers: engine.PeerLimits{All: peers + 1}, LingerTimeout: time.Second, HandshakeTimeout: time.Minute})
	if err == nil {
		err = n.AddComponent(echo{}, engine.Opcodes(opAsk))
	}
	if err == nil {
		err = n.Start(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Shutdown(context.Background()) })
	return n
}

// socketFor is a socket that dials.
func socketFor(t *testing.T) *quic.Transport {
	t.Helper()
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	from := &quic.Transport{Conn: udp}
	t.Cleanup(func() {
		_ = from.Close()
		_ = udp.Close()
	})
	return from
}

// fill sends to a peer until it can hold no more, and nothing of it moves. It returns how much that was.
func fill(t *testing.T, n *engine.Network, id identity.ID) (bytes int) {
	t.Helper()
	var p *engine.PeerClient
	until(t, "the peer to be open", func() bool {
		var open bool
		p, open = n.ConnMgr().Peer(id)
		return open
	})
	payload := make([]byte, 8<<10)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for still := 0; still < 50; {
		switch err := p.TrySendRaw(opBulk, payload); {
		case err == nil:
			bytes += len(payload)
			still = 0
		case errors.Is(err, engine.ErrSendBufferFull):
			still++
			<-tick.C
		default:
			t.Fatal(err)
		}
	}
	return bytes
}

// askAll has so many peers ask at once, each over a connection of its own, and wants all of them to be answered.
func askAll(t *testing.T, from *quic.Transport, to transport.Addr, peers int) {
	t.Helper()
	var asking sync.WaitGroup
	var failed atomic.Pointer[error]
	begin, slots := make(chan struct{}), make(chan struct{}, 8) // quic-go lets 32 wait to be accepted
	for id := range peers {
		slots <- struct{}{}
		asking.Go(func() {
			s, err := meet(from, to, &quic.Config{KeepAlivePeriod: 10 * time.Second})
			<-slots
			<-begin
			for again := 0; again < 3 && err == nil; again++ {
				err = s.ask(uint32(id + 1))
			}
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	close(begin)
	asking.Wait()
	if err := failed.Load(); err != nil {
		t.Errorf("one of %d peers that do read was not answered: %v", peers, *err)
	}
}

// until waits for what nobody tells of.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for giveUp := time.After(patience); !cond(); {
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("still waiting: %s", what)
		}
	}
}
