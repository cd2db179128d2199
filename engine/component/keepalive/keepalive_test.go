package keepalive_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// The engine looks at each peer this often, so times are kept to within that.
const look = 5 * time.Second

// A spy sees what keepalives a node gets, and its peers come and go.
type spy struct {
	engine.Component
	net              *simnet.Net
	asked, told      int
	up               *engine.PeerClient
	lastHeard, endAt time.Duration
	dead             bool // its host has vanished: nothing runs there any more
}

func (s *spy) Opcodes() []opcode.Opcode {
	return []opcode.Opcode{opcode.KeepaliveCode, opcode.KeepaliveResponseCode, opNote}
}

func (s *spy) Receive(ctx *engine.ComponentContext) error {
	switch ctx.Opcode() {
	case opcode.KeepaliveCode:
		s.asked++
	case opcode.KeepaliveResponseCode:
		s.told++
	}
	s.lastHeard = s.net.Now()
	return nil
}

func (s *spy) PeerConnect(p *engine.PeerClient)    { s.up, s.lastHeard = p, s.net.Now() }
func (s *spy) PeerDisconnect(p *engine.PeerClient) { s.endAt = s.net.Now() }

const opNote opcode.Opcode = 1000

// node starts a node at 10.0.0.n; k nil: without keepalive.
func node(t *testing.T, net *simnet.Net, n byte, k *keepalive.Component, over ...simnet.HostOption) (*engine.Network, *simnet.Host, *spy) {
	t.Helper()
	proto := transport.TCP
	if len(over) > 0 {
		proto = transport.UDP
	}
	id, err := identity.FromSeed(t.Context(), [32]byte{n}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrFrom4([4]byte{10, 0, 0, n})
	host := net.Host(addr, over...)
	e, err := engine.New(engine.Config{
		Transport: host, Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Rand: rand.NewChaCha8([32]byte{n}),
		Listen: []transport.Addr{{Proto: proto, AddrPort: netip.AddrPortFrom(addr, 4001)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &spy{net: net}
	if err := e.AddComponent(s, engine.Priority(-1)); err != nil {
		t.Fatal(err)
	}
	if k != nil {
		if err := e.AddComponent(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.dead {
			return
		}
		done := make(chan struct{})
		go func() { defer close(done); e.Shutdown(context.Background()) }()
		for {
			select {
			case <-done:
				return
			default:
				net.Run(time.Millisecond)
			}
		}
	})
	return e, host, s
}

// pair is two connected nodes; a has dialled b.
func pair(t *testing.T, ka, kb *keepalive.Component, over ...simnet.HostOption) (net *simnet.Net, ha, hb *simnet.Host, sa, sb *spy) {
	t.Helper()
	net = simnet.New(1, simnet.Weather{Latency: 10 * time.Millisecond})
	a, ha, sa := node(t, net, 1, ka, over...)
	b, hb, sb := node(t, net, 2, kb, over...)
	if err := a.DialAsync(engine.Target{Addr: b.Addrs()[0], ID: b.ID()}, func(*engine.PeerClient, error) {}); err != nil {
		t.Fatal(err)
	}
	if !net.RunUntil(func() bool { return sa.up != nil && sb.up != nil }, time.Minute) {
		t.Fatal("not connected")
	}
	return net, ha, hb, sa, sb
}

// Idle peers exchange one question for each silence, asked by the side that dialled, who measures with it.
func TestIdle(t *testing.T) {
	net, _, _, sa, sb := pair(t, &keepalive.Component{}, &keepalive.Component{})
	const span = time.Hour
	net.Run(span)
	if sa.asked != 0 || sb.told != 0 {
		t.Errorf("the side that was dialled has asked %d times", sa.asked)
	}
	most, least := int(span/keepalive.EveryDefault), int(span/(keepalive.EveryDefault+look))-1
	if sb.asked < least || sb.asked > most || sa.told != sb.asked {
		t.Errorf("%d questions and %d answers in %v, want %d to %d of each", sb.asked, sa.told, span, least, most)
	}
	for code, want := range map[opcode.Opcode]int{opcode.KeepaliveCode: sb.asked, opcode.KeepaliveResponseCode: 0} {
		if got := sb.up.Network().Stats().Opcodes[code].MessagesIn; got != int64(want) {
			t.Errorf("%d messages of %v are counted, want %d", got, code, want)
		}
	}
	if rtt := sa.up.RTT(); rtt < 20*time.Millisecond || rtt > 21*time.Millisecond {
		t.Errorf("the round trip is measured as %v, it is 20 ms", rtt)
	}
	if !sa.up.Connected() || !sb.up.Connected() {
		t.Error("an idle connection has ended")
	}
}

// Who talks is not asked.
func TestBusy(t *testing.T) {
	net, _, _, sa, sb := pair(t, &keepalive.Component{}, &keepalive.Component{})
	for range 360 {
		net.Run(10 * time.Second)
		for _, s := range []*spy{sa, sb} {
			if err := s.up.TrySendRaw(opNote, []byte("busy")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sa.asked+sb.asked+sa.told+sb.told != 0 {
		t.Errorf("keepalives between busy peers: %d %d %d %d", sa.asked, sb.asked, sa.told, sb.told)
	}
}

// A dialler without the component says nothing by itself: then the other side asks, later.
func TestOtherSideAsks(t *testing.T) {
	net, _, _, sa, _ := pair(t, nil, &keepalive.Component{})
	net.Run(keepalive.EveryDefault*5/3 - time.Second)
	if sa.asked != 0 {
		t.Error("it has asked too early")
	}
	net.Run(look + 2*time.Second)
	if sa.asked == 0 {
		t.Error("it has not asked")
	}
}

// A peer that dies without a word (vanished, or cut off) is disconnected when its time is up, not before, whoever had
// dialled; so is one that lives but never answers.
func TestSilentPeerIsClosed(t *testing.T) {
	dialledVanishes := func(_ *simnet.Net, _, hb *simnet.Host, sa, sb *spy) *spy {
		hb.Vanish()
		sb.dead = true
		return sa
	}
	for _, x := range []struct {
		name    string
		every   time.Duration
		timeout time.Duration
		kills   func(net *simnet.Net, ha, hb *simnet.Host, sa, sb *spy) (left *spy) // who notices
	}{
		{"the dialled vanishes", 0, 0, dialledVanishes},
		{"the dialler vanishes", 0, 0, func(_ *simnet.Net, ha, _ *simnet.Host, sa, sb *spy) *spy {
			ha.Vanish()
			sa.dead = true
			return sb
		}},
		{"cut off", 0, 0, func(net *simnet.Net, ha, _ *simnet.Host, sa, _ *spy) *spy {
			net.Partition([]netip.Addr{ha.Addr()})
			return sa
		}},
		{"other times", 2 * time.Second, 8 * time.Second, dialledVanishes},
	} {
		t.Run(x.name, func(t *testing.T) {
			k := func() *keepalive.Component { return &keepalive.Component{Every: x.every, Timeout: x.timeout} }
			net, ha, hb, sa, sb := pair(t, k(), k())
			net.Run(time.Minute)
			s := x.kills(net, ha, hb, sa, sb)
			if !net.RunUntil(func() bool { return s.endAt != 0 }, 10*time.Minute) {
				t.Fatal("never noticed")
			}
			timeout := x.timeout
			if timeout == 0 {
				timeout = keepalive.TimeoutDefault
			}
			if silent := s.endAt - s.lastHeard; silent < timeout || silent > timeout+look+time.Second {
				t.Errorf("closed after %v of silence, want %v to %v", silent, timeout, timeout+look)
			}
			var why *engine.CloseError
			if err := s.up.CloseReason(); !errors.As(err, &why) || why.Code != engine.CodeTimeout || why.Remote {
				t.Errorf("the reason is %v", err)
			}
		})
	}
	t.Run("alive without an answer", func(t *testing.T) {
		net, _, _, sa, sb := pair(t, nil, &keepalive.Component{})
		if !net.RunUntil(func() bool { return sb.endAt != 0 && sa.endAt != 0 }, time.Minute) {
			t.Fatal("never given up")
		}
		var why *engine.CloseError
		if err := sa.up.CloseReason(); !errors.As(err, &why) || why.Code != engine.CodeTimeout || !why.Remote {
			t.Errorf("the silent one's reason is %v", err)
		}
	})
}

// What is in an answer is the peer's word: nothing in it does harm, and a time it cannot know is not measured with.
func TestHostileAnswers(t *testing.T) {
	net, _, _, sa, sb := pair(t, &keepalive.Component{}, nil)
	net.Run(time.Second)
	u64 := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	for _, b := range [][]byte{nil, {1}, make([]byte, 7), make([]byte, 8), make([]byte, 9), u64(1 << 63), u64(1<<64 - 1), u64(uint64(time.Hour))} {
		if err := sb.up.TrySendRaw(opcode.KeepaliveResponseCode, b); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
	}
	net.Run(time.Second)
	if sa.told != 8 || !sa.up.Connected() {
		t.Errorf("%d answers have come, connected %v", sa.told, sa.up.Connected())
	}
	if rtt := sa.up.RTT(); rtt != 0 {
		t.Errorf("nothing could be measured, but the round trip is %v", rtt)
	}
	if err := sb.up.TrySendRaw(opcode.KeepaliveResponseCode, u64(uint64(500*time.Millisecond))); err != nil {
		t.Fatal(err)
	}
	net.Run(time.Second)
	if rtt := sa.up.RTT(); rtt <= 0 || rtt > 3*time.Second {
		t.Errorf("a lie within what is possible gives %v", rtt)
	}
	// A flood of questions is answered, or its sender closed: never more is held than for a control lane.
	for range 10_000 {
		if sb.up.TrySendRaw(opcode.KeepaliveCode, make([]byte, 8)) != nil {
			net.Run(time.Millisecond)
		}
	}
	net.Run(time.Second)
	if held := sa.up.Network().Stats().BufferBytes; held > 256<<10 {
		t.Errorf("%d bytes are held for a flood of questions", held)
	}
}

// Silence tells its defaults.
func TestSilentAfter(t *testing.T) {
	if got := (&keepalive.Component{}).SilentAfter(); got != keepalive.EveryDefault {
		t.Errorf("%v", got)
	}
	if got := (&keepalive.Component{Every: time.Second}).SilentAfter(); got != time.Second {
		t.Errorf("%v", got)
	}
}
