package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// refusals takes the events of refused connections that have come so far, by the scope of the limit.
func refusals(events <-chan engine.Event) map[string]int {
	scopes := map[string]int{}
	for {
		select {
		case e := <-events:
			var limit *engine.LimitError
			if e.Kind == engine.PeerRefused && errors.As(e.Err, &limit) {
				scopes[limit.Scope]++
			}
		default:
			return scopes
		}
	}
}

// A flood from one address: what is above its share is turned away, counted and told; who comes from elsewhere is let in,
// and who is there notices nothing. Those who leave give their places back.
func TestFloodFromOneAddress(t *testing.T) {
	w := liveWorld(t)
	n := w.node(func(c *engine.Config) {
		c.HandshakeTimeout = time.Hour // nobody's place becomes free while the flood is counted
		c.Peers = engine.PeerLimits{LoopbackToo: true, PerIP: 4, PerSubnet: 6, HalfOpen: 12, HalfOpenPerIP: 8}
	}, withWitness(&witness{}))
	check := goodPeer(w, n)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := n.Events(ctx)

	const flood = 50
	var stalled []*stranger
	for range flood {
		stalled = append(stalled, meet(t, n))
	}
	w.Until("the flood to be turned away", func() bool { return n.Stats().Refused == flood-8 })
	check()
	meetFrom(t, n, "127.0.0.2").shake(w.key(80), nil)
	w.Until("the other address", func() bool { return n.Stats().Peers == 2 })
	for i := range 10 {
		stalled = append(stalled, meetFrom(t, n, fmt.Sprintf("127.0.0.%d", 10+i)))
	}
	w.Until("the distributed flood to be turned away", func() bool { return n.Stats().Refused == flood-8+6 })
	if got := refusals(events); got["half-open of one address"] != flood-8 || got["half-open"] != 6 {
		t.Errorf("refusals by scope: %v", got)
	}
	check()
	for _, s := range stalled {
		s.conn.Close()
	}
	w.Until("the stalled to give their places back", func() bool { return n.Stats().HalfOpen == 0 })

	full := func(ip string, key int) bool {
		s := meetFrom(t, n, ip).shake(w.key(key), nil)
		code, ok := s.lastWord()
		return ok && code == engine.CodeFull
	}
	for i := range 3 { // with the good peer these are the four of the address
		meet(t, n).shake(w.key(90+i), nil)
		w.Until("a peer", func() bool { return n.Stats().Peers == 3+i })
	}
	if !full("", 95) {
		t.Error("a fifth peer of one address has not been told that it is full")
	}
	meetFrom(t, n, "127.0.0.3").shake(w.key(96), nil)
	w.Until("the sixth of the subnet", func() bool { return n.Stats().Peers == 6 })
	if !full("127.0.0.4", 97) {
		t.Error("a seventh peer of one subnet has not been told that it is full")
	}
	if got := refusals(events); got["ip"] != 1 || got["subnet"] != 1 {
		t.Errorf("refusals by scope: %v", got)
	}
	meetFrom(t, n, "127.1.0.1").shake(w.key(98), nil)
	w.Until("another subnet", func() bool { return n.Stats().Peers == 7 })
	check()
}

// Who has proven himself, is not let in and does not hang up keeps his place among the half-open until his time is up: a crowd of
// such is no more than HalfOpen connections.
func TestRefusedWhoStay(t *testing.T) {
	w := liveWorld(t)
	full := func(linger time.Duration) *engine.Network {
		n := w.node(func(c *engine.Config) {
			c.LingerTimeout = linger
			c.Peers = engine.PeerLimits{All: 1, HalfOpen: 3}
		})
		meet(t, n).shake(w.key(50), nil)
		w.Until("the one peer there is room for", func() bool { return n.Stats().Peers == 1 })
		return n
	}
	n := full(time.Hour)
	var stay []*stranger
	for i := range 3 {
		s := meet(t, n)
		if code, ok := s.shake(w.key(51+i), nil).lastWord(); !ok || code != engine.CodeFull {
			t.Fatalf("the last word is %v, %v", code, ok)
		}
		stay = append(stay, s)
	}
	before := n.Stats()
	meet(t, n)
	w.Until("one more to be turned away", func() bool { return n.Stats().Refused > before.Refused })
	if before.HalfOpen != 3 {
		t.Errorf("%d half open while three stay", before.HalfOpen)
	}
	for _, s := range stay {
		s.conn.Close()
	}
	w.Until("those who have left to be forgotten", func() bool { return n.Stats().HalfOpen == 0 })

	hasty := full(50 * time.Millisecond)
	meet(t, hasty).shake(w.key(51), nil).lastWord()
	w.Until("one who stays to be closed", func() bool { return hasty.Stats().HalfOpen == 0 })
}

// at puts a simulated node at another address.
func (w *world) at(ip string) func(*engine.Config) {
	addr := netip.MustParseAddr(ip)
	return func(c *engine.Config) {
		c.Transport = w.Net().Host(addr)
		c.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}}
	}
}

// fullError reports whether a dial came to nothing because the other side had no room.
func fullError(err error) bool {
	var why *engine.CloseError
	return errors.As(err, &why) && why.Code == engine.CodeFull && why.Remote
}

// A place that a peer gives up is free again, for its address and its subnet.
func TestSubnetLimit(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	n := w.node(func(c *engine.Config) {
		w.at("172.16.0.1")(c)
		c.Peers = engine.PeerLimits{PerSubnet: 3}
	})
	var first *engine.PeerClient
	for i := range 3 {
		p := w.dial(w.node(w.at(fmt.Sprintf("10.0.1.%d", 1+i))), n)
		if first == nil {
			first = p
		}
	}
	late := w.node(w.at("10.0.1.9"))
	if _, err := w.TryDial(late, target(n)); !fullError(err) {
		t.Errorf("the fourth of a subnet: %v", err)
	}
	w.dial(w.node(w.at("10.0.2.1")), n)
	first.Close()
	w.Until("its place", func() bool { return n.Stats().Peers == 3 })
	w.dial(late, n)
}

// A full node makes room, but not for a crowd: who has his share of an address or a subnet pushes nobody out,
// however many identities he has.
func TestCrowdEvictsNobody(t *testing.T) {
	for scope, limits := range map[string]engine.PeerLimits{
		"ip":     {All: 6, PerIP: 2},
		"subnet": {All: 6, PerSubnet: 2},
	} {
		t.Run(scope, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{})
			var seen witness
			n := w.node(func(c *engine.Config) { w.at("172.16.0.1")(c); c.Peers = limits }, withWitness(&seen))
			for i := range 4 {
				w.dial(w.node(w.at(fmt.Sprintf("10.0.%d.1", 1+i))), n)
			}
			refused := 0
			for i := range 8 {
				w.Pass(time.Minute) // nobody who is there is young
				from := fmt.Sprintf("10.9.9.%d", 1+i)
				if scope == "ip" {
					from = fmt.Sprintf("2001:db8::%d", 1+i) // a /64 is one host's
				}
				_, err := w.TryDial(w.node(w.at(from)), target(n))
				if fullError(err) {
					refused++
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if _, downs, _ := seen.count(); refused != 6 || downs != 0 {
				t.Errorf("%d of a crowd of 8 were refused, where 2 have a share, and %d others pushed out", refused, downs)
			}
			w.Pass(time.Minute)
			w.dial(w.node(w.at("10.0.9.1")), n)
			w.Until("room for one of elsewhere", func() bool { _, downs, _ := seen.count(); return downs == 1 })
		})
	}
}

// A full node makes room: the least valuable peer that is neither young nor protected goes, and is told why.
func TestEviction(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	var seen witness
	n := w.node(func(c *engine.Config) { c.Peers.All = 4 }, withWitness(&seen))
	var peers []*engine.PeerClient
	join := func() error {
		p, err := w.TryDial(w.node(nil), target(n))
		if err == nil {
			peers = append(peers, p)
		}
		return err
	}
	say := func(except int) {
		for i, p := range peers {
			if i != except && p.Connected() {
				if err := p.TrySendRaw(opNote, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.Pass(time.Second)
	}
	for range 4 {
		if err := join(); err != nil {
			t.Fatal(err)
		}
	}
	if err := join(); !fullError(err) {
		t.Errorf("all are young, but a fifth: %v", err)
	}
	w.Pass(time.Minute)
	say(2)
	if err := join(); err != nil {
		t.Fatalf("there is room to be made, but: %v", err)
	}
	w.Until("the eviction", func() bool { return n.Stats().Peers == 4 })
	w.Pass(time.Second)
	var why *engine.CloseError
	if err := peers[2].CloseReason(); !errors.As(err, &why) || why.Code != engine.CodeEvicted || !why.Remote {
		t.Errorf("the most silent peer: %v", err)
	}

	w.Pass(time.Minute)
	for _, p := range peers {
		n.ConnMgr().Protect(p.Network().ID(), "a")
		n.ConnMgr().Protect(p.Network().ID(), "b")
		n.ConnMgr().Unprotect(p.Network().ID(), "b")
	}
	if err := join(); !fullError(err) {
		t.Errorf("all are protected, but one more: %v", err)
	}
	say(1) // the worst, but protected
	n.ConnMgr().Unprotect(peers[3].Network().ID(), "a")
	if err := join(); err != nil {
		t.Fatalf("one is unprotected, but: %v", err)
	}
	w.Until("the eviction", func() bool { return n.Stats().Peers == 4 })
	w.Pass(time.Second)
	if peers[3].Connected() || !peers[1].Connected() {
		t.Error("the wrong peer had to go")
	}
	if s := n.Stats(); s.ClosedFor[engine.CodeEvicted] != 2 || s.Refused != 2 {
		t.Errorf("%d evicted, %d refused", s.ClosedFor[engine.CodeEvicted], s.Refused)
	}
}

// A spare dial fills a free place and pushes nobody out, whether the node is full before it or becomes so on
// the way. Who dials the same target in earnest makes it an ordinary dial.
func TestSpareDial(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: 20 * time.Millisecond})
	n := w.node(func(c *engine.Config) { c.Peers.All = 2 })
	spare := func(to *engine.Network) *dialResult {
		r := &dialResult{}
		if err := n.DialSpareAsync(target(to), r.put); err != nil {
			r.put(nil, err)
		}
		return r
	}
	ended := func(r *dialResult) error {
		w.Until("the dial to end", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.times > 0 })
		return r.err
	}
	first := w.dial(w.node(nil), n)
	if err := ended(spare(w.node(nil))); err != nil {
		t.Fatalf("there is a free place: %v", err)
	}
	w.Pass(time.Minute) // whoever is there might go
	var limit *engine.LimitError
	if err := ended(spare(w.node(nil))); !errors.As(err, &limit) || limit.Limit != 2 {
		t.Errorf("a full node: %v", err)
	}
	if err := ended(spare(first.Network())); err != nil {
		t.Errorf("a full node, but this one is a peer: %v", err)
	}

	first.Disconnect(engine.CodeNone, "")
	w.Until("a free place", func() bool { return n.Stats().Peers == 1 })
	late := spare(w.node(nil))
	w.dial(w.node(nil), n) // the same way, begun later, but one message shorter
	if err := ended(late); !errors.As(err, &limit) {
		t.Errorf("somebody was faster: %v", err)
	}
	if s := n.Stats(); s.ClosedFor[engine.CodeEvicted] != 0 || s.Peers != 2 {
		t.Errorf("%d evicted, %d peers", s.ClosedFor[engine.CodeEvicted], s.Peers)
	}

	w.Pass(time.Minute)
	for p := range n.ConnMgr().Peers() {
		p.Disconnect(engine.CodeNone, "")
		break
	}
	w.Until("a free place", func() bool { return n.Stats().Peers == 1 })
	to := w.node(nil)
	joined, earnest := spare(to), w.startDial(n, target(to))
	w.dial(w.node(nil), n)
	if a, b := ended(joined), ended(earnest); a != nil || b != nil {
		t.Errorf("a dial in earnest beside a spare one: %v, %v", a, b)
	}
	w.Until("the eviction", func() bool { return n.Stats().Peers == 2 })
	if s := n.Stats(); s.ClosedFor[engine.CodeEvicted] != 1 {
		t.Errorf("%d evicted", s.ClosedFor[engine.CodeEvicted])
	}
}

// The application may judge by itself, or allow nobody to be evicted; who came in does not push out whom we have dialled.
func TestEvictionChoices(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	first, dialled := w.key(1).ID(), w.key(4).ID()
	n := w.node(func(c *engine.Config) {
		c.Peers.All, c.Peers.Inbound = 5, 3
		c.Peers.Score = func(p *engine.PeerClient) float64 {
			switch p.ID() {
			case dialled:
				return -2
			case first:
				return -1
			}
			return 1
		}
	})
	var in []*engine.PeerClient
	for range 3 {
		in = append(in, w.dial(w.node(nil), n))
	}
	out := []*engine.PeerClient{w.dial(n, w.node(nil)), w.dial(n, w.node(nil))}
	w.Pass(time.Minute)
	w.dial(w.node(nil), n)
	w.Until("the eviction", func() bool { return n.Stats().Peers == 5 })
	w.Pass(time.Second)
	if in[0].Connected() || !in[1].Connected() || !in[2].Connected() || !out[0].Connected() || !out[1].Connected() {
		t.Error("it was not the peer of the lowest score that had to go")
	}

	m := w.node(func(c *engine.Config) { c.Peers.All, c.Peers.NoEviction = 1, true })
	w.dial(w.node(nil), m)
	w.Pass(time.Minute)
	if _, err := w.TryDial(w.node(nil), target(m)); !fullError(err) {
		t.Errorf("one more than a full node without eviction takes: %v", err)
	}
}

// More connections than file descriptors: the node keeps serving whom it has, turns the rest away, and takes newcomers
// again when there is room.
func TestMoreConnectionsThanDescriptors(t *testing.T) {
	node := startChild(t, "TestChildDescriptors", "ulimit -n 150")
	addr, err := transport.ParseAddr(node.line())
	if err != nil {
		t.Fatal(err)
	}
	w := liveWorld(t)
	dial := func() (*engine.PeerClient, error) { return w.TryDial(w.node(nil), engine.Target{Addr: addr}) }
	p, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	served := func() {
		t.Helper()
		if _, reply, err := p.RequestRaw(brief(t), opAsk, []byte("there?"), nil); err != nil || string(reply) != "there?" {
			t.Fatalf("the established peer: %q, %v", reply, err)
		}
	}
	stats := func() (links, refused int) {
		node.tell("stats")
		if _, err := fmt.Sscan(node.line(), &links, &refused); err != nil {
			t.Fatal(err)
		}
		return links, refused
	}
	const crowd = 300
	conns := make([]net.Conn, crowd)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", addr.AddrPort.String()); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
		if i%50 == 0 {
			served()
		}
	}
	w.Until("the crowd to be let in or turned away", func() bool {
		links, refused := stats()
		return links+refused == crowd && links > 10 && refused > 150
	})
	served()
	if q, err := dial(); err == nil {
		t.Errorf("there was room for %v", q.ID())
	}
	for _, c := range conns {
		c.Close()
	}
	w.Until("the crowd to be gone", func() bool { links, _ := stats(); return links == 0 })
	if _, err := dial(); err != nil {
		t.Errorf("after the crowd: %v", err)
	}
	served()
}

// TestChildDescriptors is the node of TestMoreConnectionsThanDescriptors. For each line it tells how many connections
// are in the handshake and how many have been turned away.
func TestChildDescriptors(t *testing.T) {
	in := childInput(t)
	w := liveWorld(t)
	n := w.node(func(c *engine.Config) {
		c.Identity = w.key(1 << 20)
		c.HandshakeTimeout = time.Minute
	}, withWitness(&witness{}))
	fmt.Println(n.Addrs()[0])
	for in.Scan() {
		s := n.Stats()
		fmt.Println(strconv.Itoa(s.HalfOpen), s.Refused)
	}
}

// deaf is a stranger who may be sent a gigabyte and reads nothing.
func deaf(w *world, n *engine.Network) *stranger {
	s := meet(w, n)
	s.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	s.shake(w.key(1000+int(n.Stats().Opened)), nil)
	s.frames(framing.Frame{Op: opcode.CreditCode, Payload: binary.LittleEndian.AppendUint64(nil, 1<<30)})
	return s
}

// A peer that reads nothing holds no more than its send buffer; who sends to it waits and fails; the others are served; a
// goodbye to it does not take longer than it may, and gives everything back.
func TestDeafPeer(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	const buffer = 256 << 10
	n := w.node(func(c *engine.Config) {
		c.SendBuffer, c.SendTimeout, c.LingerTimeout = buffer, 50*time.Millisecond, 100*time.Millisecond
	}, withWitness(&seen))
	deaf(w, n)
	w.Until("the deaf peer", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	p := seen.peer(0)
	check := goodPeer(w, n)
	// Who has found no room once has perhaps only found a loop that is late, so each goes on until there is none for it.
	full := func(send func() error) (err error) {
		for range 1_000_000 {
			if err = send(); err != nil {
				break
			}
		}
		return err
	}
	err := full(func() error { return p.SendRaw(context.Background(), opNote, make([]byte, 10_000)) })
	if !errors.Is(err, engine.ErrSendBufferFull) || !errors.Is(err, engine.ErrSendTimeout) {
		t.Errorf("sending to a deaf peer: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = full(func() error { return p.SendRaw(ctx, opNote, make([]byte, 10_000)) })
	if !errors.Is(err, engine.ErrSendBufferFull) || !errors.Is(err, context.Canceled) {
		t.Errorf("sending with a context that has ended: %v", err)
	}
	if err := full(func() error { return p.TrySendRaw(opNote, make([]byte, buffer)) }); !errors.Is(err, engine.ErrSendBufferFull) {
		t.Errorf("trying: %v", err)
	}
	if held := n.Stats().BufferBytes; held > 4*buffer {
		t.Errorf("%d bytes are held for a send buffer of %d", held, buffer)
	}
	check()
	p.Close()
	w.Until("everything to be given back", func() bool { return n.Stats().BufferBytes == 0 })
	if err := p.TrySendRaw(opNote, nil); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	check()
}

// A goodbye to somebody who cannot be reached any more takes LingerTimeout and not longer.
func TestLinger(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	const linger = 2 * time.Second
	var seen witness
	a := w.node(func(c *engine.Config) { c.LingerTimeout = linger }, withWitness(&seen))
	b := w.node(nil)
	p := w.dial(a, b)
	w.Pass(time.Second)
	w.Net().Partition([]netip.Addr{a.Addrs()[0].Addr()})
	for p.TrySendRaw(opNote, make([]byte, 50_000)) == nil {
		w.Pass(time.Millisecond)
	}
	p.Close()
	w.Pass(linger - 10*time.Millisecond)
	if _, downs, _ := seen.count(); downs != 1 {
		t.Error("the components have not been told at once")
	}
	if a.Stats().BufferBytes == 0 {
		t.Error("it has been given up early: the test does not test what it says")
	}
	w.Pass(20 * time.Millisecond)
	if held := a.Stats().BufferBytes; held != 0 {
		t.Errorf("%d bytes are held %v after the goodbye", held, linger)
	}
	w.Net().Heal()
}

// When all buffers together reach the node's limit the one who sends is told, and the others go on.
func TestMemoryLimit(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(func(c *engine.Config) { c.Memory, c.SendBuffer = 1<<20, 8<<20 }, withWitness(&seen))
	check := goodPeer(w, n)
	deaf(w, n)
	w.Until("the deaf peer", func() bool { ups, _, _ := seen.count(); return ups == 2 })
	p := seen.peer(1)
	var err error
	for range 1_000_000 {
		if err = p.TrySendRaw(opNote, make([]byte, 10_000)); err != nil {
			break
		}
	}
	if !errors.Is(err, engine.ErrSendBufferFull) {
		t.Errorf("sending with no memory left: %v", err)
	}
	if s := n.Stats(); s.BufferBytes > s.BufferLimit {
		t.Errorf("%d bytes are lent, the limit is %d", s.BufferBytes, s.BufferLimit)
	}
	check()
	if why := p.CloseReason(); why != nil && !errors.Is(why, engine.ErrSlowPeer) { // on a machine that has stood still it may be that
		t.Errorf("the slow peer has been disconnected: %v", why)
	}
	p.Close()
	w.Until("the memory to be back", func() bool { return n.Stats().BufferBytes < 64<<10 })
	check()
}

// Unanswered requests have a limit; each that ends makes room for one more.
func TestRequestLimit(t *testing.T) {
	worlds(t, func(w *world) {
		silent := &witness{on: func(*engine.ComponentContext) error { return nil }}
		a := w.node(func(c *engine.Config) { c.Requests = 4 })
		p := w.dial(a, w.node(nil, withWitness(silent)))
		timedOut := make(chan error, 10)
		ask := func(timeout time.Duration) error {
			return p.RequestRawAsync(opAsk, nil, timeout, func(_ *engine.ComponentContext, err error) { timedOut <- err })
		}
		for range 3 {
			if err := ask(time.Hour); err != nil {
				w.Fatal(err)
			}
		}
		if err := ask(50 * time.Millisecond); err != nil {
			w.Fatal(err)
		}
		w.Until("a time-out", func() bool { return len(timedOut) == 1 })
		if err := <-timedOut; !errors.Is(err, engine.ErrReceiveTimeout) {
			w.Errorf("unanswered: %v", err)
		}
		if err := ask(time.Hour); err != nil {
			w.Errorf("after one has ended: %v", err)
		}
		if err := ask(time.Hour); !errors.Is(err, engine.ErrTooManyRequests) { // only now, when none of the four can end
			w.Errorf("one more than four: %v", err)
		}
		p.Close()
		w.Until("the others to fail", func() bool { return len(timedOut) == 4 })
		for range 4 {
			if err := <-timedOut; !errors.Is(err, engine.ErrClosed) {
				w.Errorf("at the end of the connection: %v", err)
			}
		}
	})
}

// Dials above the limit wait for one to end; a dial that is wanted twice is one.
func TestDialLimit(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	a := w.node(func(c *engine.Config) { c.Dials, c.DialTimeout = 2, 3*time.Second })
	b := w.node(nil)
	hole := func(i byte) engine.Target {
		addr := netip.AddrFrom4([4]byte{10, 9, 9, i})
		w.Net().Host(addr).Vanish()
		return engine.Target{Addr: transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}}
	}
	holes := []*dialResult{w.startDial(a, hole(1)), w.startDial(a, hole(2))}
	again := w.startDial(a, hole(1))
	w.Pass(time.Second)
	waiting := w.startDial(a, target(b))
	w.Pass(1900 * time.Millisecond)
	if waiting.done() || holes[0].done() {
		t.Error("a third dial did not wait")
	}
	w.Pass(200 * time.Millisecond)
	if p, err := waiting.get(); err != nil || p == nil {
		t.Errorf("the dial that waited: %v %v", p, err)
	}
	for _, r := range append(holes, again) {
		if _, err := r.get(); !errors.Is(err, engine.ErrDialTimeout) || r.times != 1 {
			t.Errorf("a dial into nothing: %v, %d times", err, r.times)
		}
	}
	late := w.startDial(a, hole(3))
	w.startDial(a, hole(4))
	queued := w.startDial(a, hole(5)) // ends by its own clock, though it was never its turn
	w.Pass(3100 * time.Millisecond)
	for _, r := range []*dialResult{late, queued} {
		if _, err := r.get(); !errors.Is(err, engine.ErrDialTimeout) {
			t.Errorf("queued behind others: %v", err)
		}
	}
	w.dial(a, w.node(nil)) // all places are free again
}

// A dial's time does not run while its own loop hears nothing: who answers is heard afterwards, and who does
// not is given up when the rest of the time is over.
func TestDialOfStalledNode(t *testing.T) {
	for name, over := range map[string]func(*world, **simnet.Host) func(*engine.Config){"udp": overDatagrams, "tcp": nil} {
		t.Run(name, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{Latency: 50 * time.Millisecond})
			change := func(*engine.Config) {}
			kind := transport.TCP
			if over != nil {
				change, kind = func(c *engine.Config) { over(w, nil)(c) }, transport.UDP
			}
			b := w.node(change)
			var host *simnet.Host
			a := w.node(func(c *engine.Config) {
				change(c)
				c.DialTimeout = 3 * time.Second
				host = c.Transport.(*simnet.Host)
			})
			gone := netip.AddrFrom4([4]byte{10, 9, 9, 9})
			w.Net().Host(gone).Vanish()
			hole := engine.Target{Addr: transport.Addr{Proto: kind, AddrPort: netip.AddrPortFrom(gone, 4001)}, ID: w.key(99).ID()}
			good, bad := w.startDial(a, target(b)), w.startDial(a, hole)
			w.Pass(20 * time.Millisecond)
			host.Stall(5 * time.Second)
			w.Pass(6 * time.Second)
			if p, err := good.get(); err != nil || p == nil {
				t.Errorf("a dial that was answered: %v %v", p, err)
			}
			if bad.done() {
				t.Error("a dial was given up before its node could hear an answer")
			}
			w.Pass(3 * time.Second)
			if _, err := bad.get(); !errors.Is(err, engine.ErrDialTimeout) {
				t.Errorf("a dial into nothing: %v, want ErrDialTimeout", err)
			}
		})
	}
}

// A storm of newcomers fills the queue of handshakes: the newest are shed and counted, who is there is served, and when
// the storm is over newcomers are let in again.
func TestHandshakeStorm(t *testing.T) {
	w := liveWorld(t)
	n := w.node(func(c *engine.Config) { c.HandshakeQueue, c.HandshakeWorkers = 2, 1 }, withWitness(&witness{}))
	check := goodPeer(w, n)
	key := w.key(100)
	rec, err := key.NewRecord(nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := handshake.NewInitiator(&handshake.Config{Identity: key, Record: rec.Append(nil), NetworkID: "carrier",
		Timeout: time.Minute, Rand: newDice(1, 2)}, 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	hello, _ := m.Next()
	var storm []*stranger
	for n.Stats().HandshakesShed == 0 {
		for range 20 {
			s := meet(t, n)
			s.write(hello)
			storm = append(storm, s)
		}
		check()
		if len(storm) > 10_000 {
			t.Fatal("10,000 newcomers at once, and none is shed")
		}
	}
	for _, s := range storm {
		s.conn.Close()
	}
	w.Until("the storm to be over", func() bool { return n.Stats().HalfOpen == 0 })
	late := w.node(nil)
	w.Until("a newcomer to be let in", func() bool { // the last steps of the storm may still be in the queue
		_, err := w.TryDial(late, target(n))
		return err == nil
	})
	check()
}
