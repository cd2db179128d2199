package reach_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// One liar among four networks, and any number of liars in one network, cannot turn a node, whatever they say and although they
// are faster than those who look. Three of four can: that is the majority.
func TestLyingVoters(t *testing.T) {
	for _, x := range []struct {
		name   string
		hidden bool // in truth
		says   reach.Answer
		liars  []string
		honest []string
		want   reach.Verdict
	}{
		{"one says reached", true, reach.Reached, []string{"40.1.0.1"}, four[:3], reach.Unreachable},
		{"one says not reached", false, reach.NotReached, []string{"40.1.0.1"}, four[:3], reach.Reachable},
		{"one of three", true, reach.Reached, []string{"40.1.0.1"}, four[:2], reach.Unreachable},
		{"many in one network", true, reach.Reached, []string{"40.1.0.1", "40.1.7.1", "40.1.0.9", "40.1.200.1", "40.1.3.1"}, four[:3], reach.Unreachable},
		{"they abstain", true, reach.Abstained, []string{"40.1.0.1", "40.2.0.1", "40.3.0.1", "40.4.0.1"}, four[:3], reach.Unreachable},
		{"two of four", true, reach.Reached, []string{"40.1.0.1", "40.2.0.1"}, four[:2], reach.Unknown},
		{"three of four", true, reach.Reached, []string{"40.1.0.1", "40.2.0.1", "40.3.0.1"}, four[:1], reach.Reachable},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t)
			w.wall("25.64.0.10", x.hidden)
			n := w.node("25.64.0.10", reach.Config{})
			var liars []*liar
			for _, ip := range x.liars {
				l := &liar{says: x.says}
				liars = append(liars, l)
				w.dial(n, w.bare(ip, l))
			}
			w.networks(n, x.honest...)
			w.Pass(10 * time.Minute)
			asked := 0
			for _, l := range liars {
				asked += l.asked
			}
			if r := n.Reachability(); r.Verdict != x.want || asked == 0 || r.Client != (x.want == reach.Unreachable) {
				t.Errorf("%v, %d questions to liars: %+v", r, asked, r.Votes)
			}
		})
	}
}

// Liars who come in are not asked while there are peers that the node has dialled itself.
func TestWhoComesInIsAskedLast(t *testing.T) {
	w := newWorld(t)
	n := w.node("25.64.0.10", reach.Config{})
	var liars []*liar
	for i := range 70 { // more networks than are remembered
		l := &liar{says: reach.Reached}
		liars = append(liars, l)
		if err := w.bare(fmt.Sprintf("50.%d.0.1", i), l).DialAsync(n.Target(), func(*engine.PeerClient, error) {}); err != nil {
			t.Fatal(err)
		}
	}
	w.Pass(time.Second)
	w.networks(n, four...)
	if all, _ := n.ConnMgr().Count(); all != 74 || n.Reachability().Rounds != 0 {
		t.Fatalf("%d peers, %d rounds", all, n.Reachability().Rounds)
	}
	w.wall("25.64.0.10", true)
	w.Pass(time.Minute)
	for _, l := range liars {
		if l.asked != 0 {
			t.Fatal("one who came in was asked")
		}
	}
	if n.verdict() != reach.Unreachable {
		t.Errorf("%+v", n.Reachability())
	}
}

// An asker has a peer under its control: it asks whatever it likes.
type asker struct {
	engine.Component
	answers map[uint64]reach.Answer
	after   map[uint64]time.Duration
}

func (*asker) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.DialBackResponseCode} }

func (a *asker) Receive(ctx *engine.ComponentContext) error {
	nonce := binary.LittleEndian.Uint64(ctx.Payload())
	a.answers[nonce], a.after[nonce] = reach.Answer(ctx.Payload()[8]), ctx.Now()
	return nil
}

func newAsker() *asker {
	return &asker{answers: map[uint64]reach.Answer{}, after: map[uint64]time.Duration{}}
}

// ask sends a question.
func ask(t *testing.T, p *engine.PeerClient, nonce uint64, a transport.Addr) {
	t.Helper()
	if err := p.TrySendRaw(opcode.DialBackRequestCode, identity.AppendAddr(binary.LittleEndian.AppendUint64(nil, nonce), a)); err != nil {
		t.Fatal(err)
	}
}

// Nobody can have a third one dialled, nor anything but TCP, nor a neighbour of the one who is asked.
func TestForeignAddresses(t *testing.T) {
	w := newWorld(t)
	a := newAsker()
	n := w.bare("25.64.0.10", a)
	victim, v := w.bare("45.0.0.1"), w.node("30.1.0.1", reach.Config{})
	w.bare("192.168.0.1")
	p := w.dial(n, v)
	for i, x := range []transport.Addr{
		at("45.0.0.1"), at("192.168.0.1"), at("127.0.0.1"), at("30.1.0.1"), at("25.64.0.11"), at("2002:1940:a::1"),
		{Proto: transport.UDP, AddrPort: at("25.64.0.10").AddrPort}, {Proto: transport.QUIC, AddrPort: at("25.64.0.10").AddrPort},
		{Proto: transport.Relay, AddrPort: at("25.64.0.10").AddrPort}, {Proto: 200, AddrPort: at("25.64.0.10").AddrPort},
	} {
		ask(t, p, uint64(i+1), x)
		w.Pass(20 * time.Second)
		if got, ok := a.answers[uint64(i+1)]; !ok || got != reach.Abstained {
			t.Errorf("%v: answered %v, %v", x, ok, got)
		}
	}
	if s := v.Stats(); s.Probes != 0 || s.Foreign != s.Requests || s.Requests != 10 {
		t.Errorf("%+v", s)
	}
	if s := victim.Network.Stats(); s.Opened+int64(s.HalfOpen) != 0 {
		t.Errorf("the victim: %+v", s)
	}
	ask(t, p, 99, at("25.64.0.10"))
	w.Until("an answer about its own", func() bool { _, ok := a.answers[99]; return ok })
	if a.answers[99] != reach.Reached {
		t.Errorf("its own address: %v", a.answers[99])
	}
}

// A private address is dialled by nobody but in a closed network, even for who comes from there.
func TestPrivateAskers(t *testing.T) {
	for scope, want := range map[reach.Config]reach.Answer{{}: reach.Abstained, {Scope: 1}: reach.Reached} {
		w := newWorld(t)
		a := newAsker()
		p := w.dial(w.bare("192.168.0.5", a), w.node("192.168.0.1", scope))
		ask(t, p, 1, at("192.168.0.5"))
		w.Until("an answer", func() bool { return len(a.answers) == 1 })
		if a.answers[1] != want {
			t.Errorf("%+v: %v", scope, a.answers[1])
		}
	}
}

// A port that is closed, one that is silent and one where somebody else answers are told apart neither by the answer nor by its
// time: nobody's ports are searched this way.
func TestPortsLookAlike(t *testing.T) {
	w := newWorld(t)
	a := newAsker()
	n, v := w.bare("25.64.0.10", a), w.node("30.1.0.1", reach.Config{})
	cfg := w.Config() // somebody else behind the same address
	other := transport.Addr{Proto: transport.TCP, AddrPort: at("25.64.0.10").AddrPort}
	other.AddrPort = netipPort(other, 4002)
	cfg.Transport, cfg.Listen = w.Net().Host(other.Addr()), []transport.Addr{other}
	w.Start(w.New(cfg))
	silent, closed := other, other
	silent.AddrPort, closed.AddrPort = netipPort(other, 4001), netipPort(other, 4003)
	p := w.dial(n, v)
	w.walls[silent.AddrPort] = true
	for i, x := range []transport.Addr{other, silent, closed} {
		began := w.Net().Now()
		ask(t, p, uint64(i+1), x)
		w.Until("an answer", func() bool { return len(a.answers) == i+1 })
		took := w.Net().Now() - began
		if got := a.answers[uint64(i+1)]; got != reach.NotReached || took < 6*time.Second || took > 6100*time.Millisecond {
			t.Errorf("%v: %v after %v", x, got, took)
		}
		w.Pass(time.Minute)
	}
	if s := v.Stats(); s.Probes != 3 {
		t.Errorf("%+v", s)
	}
}

// A flood of questions is answered, and hardly any of them costs a dial: by address, by network and in all. Others are
// served afterwards.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	v := w.node("30.1.0.1", reach.Config{})
	flood := func(ip string, times int) (answered int) {
		a := newAsker()
		p := w.dial(w.bare(ip, a), v)
		for i := range times {
			ask(t, p, uint64(i+1), at(ip))
		}
		w.Pass(10 * time.Millisecond)
		w.Until("answers", func() bool { return len(a.answers) == times })
		return times
	}
	dials := func(f func()) int64 {
		before := v.Stats().Probes
		f()
		return v.Stats().Probes - before
	}
	if got := dials(func() { flood("25.64.0.10", 1000) }); got != 4 {
		t.Errorf("%d dials for one asker", got)
	}
	w.Pass(time.Hour)
	if got := dials(func() {
		for i := range 12 {
			flood(fmt.Sprintf("25.64.1.%d", i+1), 10)
		}
	}); got < 16 || got > 20 {
		t.Errorf("%d dials for one network", got)
	}
	w.Pass(time.Hour)
	before := w.Net().Now()
	got := dials(func() {
		for i := range 60 {
			flood(fmt.Sprintf("26.%d.0.1", i), 4)
		}
	})
	if most := 32 + int64((w.Net().Now()-before)/(250*time.Millisecond)); got < 32 || got > most {
		t.Errorf("%d dials for everybody, at most %d", got, most)
	}
	w.Pass(time.Hour)
	if got := dials(func() { flood("27.0.0.1", 1) }); got != 1 {
		t.Error("the next one is not served")
	}
	if s := v.Stats(); s.Requests != s.Probes+s.Hasty+s.Busy || s.Hasty == 0 {
		t.Errorf("%+v", s)
	}
}

// No more than sixteen questions are being answered at a time.
func TestProbesAreBounded(t *testing.T) {
	w := newWorld(t)
	v := w.node("30.1.0.1", reach.Config{})
	var peers []*engine.PeerClient
	var ips []string
	a := newAsker()
	for i := range 20 {
		ips = append(ips, fmt.Sprintf("26.%d.0.1", i))
		peers = append(peers, w.dial(w.bare(ips[i], a), v))
		w.wall(ips[i], true)
	}
	for i, p := range peers {
		ask(t, p, uint64(i+1), at(ips[i]))
	}
	w.Until("all answers", func() bool { return len(a.answers) == 20 })
	if s := v.Stats(); s.Probes != 16 || s.Busy != 4 {
		t.Errorf("%+v", s)
	}
	w.Pass(time.Minute)
	ask(t, peers[0], 50, at(ips[0]))
	w.Until("one more", func() bool { return len(a.answers) == 21 })
	if s := v.Stats(); s.Probes != 17 {
		t.Errorf("places were not given back: %+v", s)
	}
}

// What is no message ends its connection; an answer that nobody asked for is dropped.
func TestMalformedAndUnasked(t *testing.T) {
	w := newWorld(t)
	v := w.node("30.1.0.1", reach.Config{})
	n := w.bare("25.64.0.10")
	p := w.dial(n, v)
	if err := p.TrySendRaw(opcode.DialBackResponseCode, []byte{1, 2, 3, 4, 5, 6, 7, 8, 0}); err != nil {
		t.Fatal(err)
	}
	w.Until("it to be dropped", func() bool { return v.Stats().Unasked == 1 })
	if !p.Connected() {
		t.Error("an unasked answer has ended the connection")
	}
	for i, op := range []opcode.Opcode{opcode.DialBackRequestCode, opcode.DialBackResponseCode} {
		p := w.dial(n, v)
		if err := p.TrySendRaw(op, []byte("nonsense, but not too long")); err != nil {
			t.Fatal(err)
		}
		w.Until("the connection to end", func() bool { return !p.Connected() })
		if s := v.Stats(); s.Malformed != int64(i+1) {
			t.Errorf("%v: %+v", op, s)
		}
	}
}

// Who was asked may leave, and who asks too: nothing is left of it, and the others decide.
func TestLeaving(t *testing.T) {
	w := newWorld(t)
	w.wall("25.64.0.10", true)
	n := w.node("25.64.0.10", reach.Config{})
	silent := w.bare("31.0.0.1")
	w.dial(n, silent)
	peers := w.networks(n, four...)
	w.Until("it to ask", func() bool { return n.Reachability().Asking })
	w.Stop(peers[0].Network)
	w.Until("a verdict", func() bool { return n.verdict() == reach.Unreachable })
	w.Pass(11 * time.Minute)
	w.Until("it to ask again", func() bool { return n.Reachability().Asking })
	w.Stop(n.Network)
	w.Pass(time.Minute)
	for _, p := range peers[1:] {
		if s := p.Stats(); s.Requests == 0 || s.Unasked+s.Malformed != 0 {
			t.Errorf("%+v", s)
		}
	}
}
