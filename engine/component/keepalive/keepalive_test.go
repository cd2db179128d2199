package keepalive_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/opcode"
)

// The engine looks at each peer this often, so times are kept to within that.
const look = 5 * time.Second

// A spy sees what keepalives a node gets, and its peers come and go.
type spy struct {
	engine.Component
	node             *engine.Network
	world            *simnet.Net
	asked, told      int
	up               *engine.PeerClient
	lastHeard, endAt time.Duration
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
	s.lastHeard = s.world.Now()
	return nil
}

func (s *spy) PeerConnect(p *engine.PeerClient)    { s.up, s.lastHeard = p, s.world.Now() }
func (s *spy) PeerDisconnect(p *engine.PeerClient) { s.endAt = s.world.Now() }

const opNote opcode.Opcode = 1000

var weather = simnet.Weather{Latency: 10 * time.Millisecond}

// start starts the world's next node and returns its spy; k nil: without keepalive.
func start(w *enginetest.World, k *keepalive.Component, over ...simnet.HostOption) *spy {
	w.Helper()
	s := &spy{world: w.Net(), node: w.New(w.Config(over...))}
	if err := s.node.AddComponent(s, engine.Priority(-1)); err != nil {
		w.Fatal(err)
	}
	if k != nil {
		if err := s.node.AddComponent(k); err != nil {
			w.Fatal(err)
		}
	}
	w.Start(s.node)
	return s
}

// pair is two connected nodes; a has dialled b.
func pair(t *testing.T, ka, kb *keepalive.Component, over ...simnet.HostOption) (w *enginetest.World, a, b *spy) {
	t.Helper()
	w = enginetest.Sim(t, 1, weather)
	a, b = start(w, ka, over...), start(w, kb, over...)
	w.Dial(a.node, b.node)
	return w, a, b
}

// Idle peers exchange one question for each silence, asked by the side that dialled, who measures with it.
func TestIdle(t *testing.T) {
	w, a, b := pair(t, &keepalive.Component{}, &keepalive.Component{})
	const span = time.Hour
	w.Pass(span)
	if a.asked != 0 || b.told != 0 {
		t.Errorf("the side that was dialled has asked %d times", a.asked)
	}
	most, least := int(span/keepalive.EveryDefault), int(span/(keepalive.EveryDefault+look))-1
	if b.asked < least || b.asked > most || a.told != b.asked {
		t.Errorf("%d questions and %d answers in %v, want %d to %d of each", b.asked, a.told, span, least, most)
	}
	for code, want := range map[opcode.Opcode]int{opcode.KeepaliveCode: b.asked, opcode.KeepaliveResponseCode: 0} {
		if got := b.up.Network().Stats().Opcodes[code].MessagesIn; got != int64(want) {
			t.Errorf("%d messages of %v are counted, want %d", got, code, want)
		}
	}
	if rtt := a.up.RTT(); rtt < 20*time.Millisecond || rtt > 21*time.Millisecond {
		t.Errorf("the round trip is measured as %v, it is 20 ms", rtt)
	}
	if !a.up.Connected() || !b.up.Connected() {
		t.Error("an idle connection has ended")
	}
}

// Who talks is not asked.
func TestBusy(t *testing.T) {
	w, a, b := pair(t, &keepalive.Component{}, &keepalive.Component{})
	for range 360 {
		w.Pass(10 * time.Second)
		for _, s := range []*spy{a, b} {
			if err := s.up.TrySendRaw(opNote, []byte("busy")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a.asked+b.asked+a.told+b.told != 0 {
		t.Errorf("keepalives between busy peers: %d %d %d %d", a.asked, b.asked, a.told, b.told)
	}
}

// A dialler without the component says nothing by itself: then the other side asks, later.
func TestOtherSideAsks(t *testing.T) {
	w, a, _ := pair(t, nil, &keepalive.Component{})
	w.Pass(keepalive.EveryDefault*5/3 - time.Second)
	if a.asked != 0 {
		t.Error("it has asked too early")
	}
	w.Pass(look + 2*time.Second)
	if a.asked == 0 {
		t.Error("it has not asked")
	}
}

// A peer that dies without a word (vanished, or cut off) is disconnected when its time is up, not before, whoever had
// dialled; so is one that lives but never answers.
func TestSilentPeerIsClosed(t *testing.T) {
	dialledVanishes := func(w *enginetest.World, a, b *spy) *spy {
		w.Vanish(b.node)
		return a
	}
	for _, x := range []struct {
		name    string
		every   time.Duration
		timeout time.Duration
		kills   func(w *enginetest.World, a, b *spy) (left *spy) // who notices
	}{
		{"the dialled vanishes", 0, 0, dialledVanishes},
		{"the dialler vanishes", 0, 0, func(w *enginetest.World, a, b *spy) *spy {
			w.Vanish(a.node)
			return b
		}},
		{"cut off", 0, 0, func(w *enginetest.World, a, _ *spy) *spy {
			w.Net().Partition([]netip.Addr{w.Host(a.node).Addr()})
			return a
		}},
		{"other times", 2 * time.Second, 8 * time.Second, dialledVanishes},
	} {
		t.Run(x.name, func(t *testing.T) {
			k := func() *keepalive.Component { return &keepalive.Component{Every: x.every, Timeout: x.timeout} }
			w, a, b := pair(t, k(), k())
			w.Pass(time.Minute)
			s := x.kills(w, a, b)
			if !w.Net().RunUntil(func() bool { return s.endAt != 0 }, 10*time.Minute) {
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
		w, a, b := pair(t, nil, &keepalive.Component{})
		if !w.Net().RunUntil(func() bool { return b.endAt != 0 && a.endAt != 0 }, time.Minute) {
			t.Fatal("never given up")
		}
		var why *engine.CloseError
		if err := a.up.CloseReason(); !errors.As(err, &why) || why.Code != engine.CodeTimeout || !why.Remote {
			t.Errorf("the silent one's reason is %v", err)
		}
	})
}

// What is in an answer is the peer's word: nothing in it does harm, and a time it cannot know is not measured with.
func TestHostileAnswers(t *testing.T) {
	w, a, b := pair(t, &keepalive.Component{}, nil)
	w.Pass(time.Second)
	u64 := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	for _, answer := range [][]byte{nil, {1}, make([]byte, 7), make([]byte, 8), make([]byte, 9), u64(1 << 63), u64(1<<64 - 1), u64(uint64(time.Hour))} {
		if err := b.up.TrySendRaw(opcode.KeepaliveResponseCode, answer); err != nil {
			t.Fatalf("%x: %v", answer, err)
		}
	}
	w.Pass(time.Second)
	if a.told != 8 || !a.up.Connected() {
		t.Errorf("%d answers have come, connected %v", a.told, a.up.Connected())
	}
	if rtt := a.up.RTT(); rtt != 0 {
		t.Errorf("nothing could be measured, but the round trip is %v", rtt)
	}
	if err := b.up.TrySendRaw(opcode.KeepaliveResponseCode, u64(uint64(500*time.Millisecond))); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	if rtt := a.up.RTT(); rtt <= 0 || rtt > 3*time.Second {
		t.Errorf("a lie within what is possible gives %v", rtt)
	}
	// A flood of questions is answered, or its sender closed: never more is held than for a control lane.
	for range 10_000 {
		if b.up.TrySendRaw(opcode.KeepaliveCode, make([]byte, 8)) != nil {
			w.Pass(time.Millisecond)
		}
	}
	w.Pass(time.Second)
	if held := a.up.Network().Stats().BufferBytes; held > 256<<10 {
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

// What cannot be kept to is said, all of it at once, and not taken for the default.
func TestValidate(t *testing.T) {
	for _, x := range []struct {
		c    keepalive.Component
		want []string // nil: good
	}{
		{keepalive.Component{}, nil},
		{keepalive.Component{Every: time.Second}, nil},
		{keepalive.Component{Every: time.Minute, Timeout: 3 * time.Minute}, nil},
		{keepalive.Component{Timeout: 16 * time.Second}, nil},
		{keepalive.Component{Every: -1}, []string{"Every is negative"}},
		{keepalive.Component{Every: -1, Timeout: -1}, []string{"Every is negative", "Timeout is negative"}},
		{keepalive.Component{Every: time.Minute}, []string{"Every is 1m0s", "45s"}},
		{keepalive.Component{Timeout: 15 * time.Second}, []string{"never be asked"}},
	} {
		err := x.c.Validate()
		if (err == nil) != (x.want == nil) {
			t.Errorf("Every %v, Timeout %v: %v", x.c.Every, x.c.Timeout, err)
		}
		for _, part := range x.want {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("Every %v, Timeout %v: %q does not say %q", x.c.Every, x.c.Timeout, err, part)
			}
		}
	}
}
