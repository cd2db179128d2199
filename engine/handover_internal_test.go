package engine

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// relayedOnBench is an open relayed connection, and a direct one to the same node that awaits the responder's word.
func relayedOnBench(t *testing.T) (n *Network, tr *benchTransport, old, fresh *PeerClient) {
	n, tr = onBench(t)
	old, _ = openOnBench(n, tr)
	old.rides = true
	if _, err := n.connMgr.Admit(old); err != nil {
		t.Fatal(err)
	}
	n.connMgr.Add(old)
	link := &benchLink{loop: tr.loop}
	fresh = &PeerClient{net: n, loop: n.loops[0], link: link, index: -1, id: identity.ID{9}, dialled: true, greet: &greeting{}}
	fresh.life.Store(uint32(stateConfirming))
	link.SetOwner(fresh)
	n.pairs.claims[old.id] = fresh
	return n, tr, old, fresh
}

// Nothing that needs no credit goes before the Credit that opens a connection, whoever holds its PeerClient already.
func TestNothingPrecedesCredit(t *testing.T) {
	n, tr := onBench(t)
	p, _ := openOnBench(n, tr)
	p.send.granted = false
	if err := p.TryPing(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a Ping: %v", err)
	}
	if err := p.PingAsync(0, func(time.Duration, error) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("one with an id: %v", err)
	}
	if p.send.out.calls.open != 0 {
		t.Error("its call has stayed")
	}
	if err := p.trySend(laneControl, opcode.CreditCode, 0, 0, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if err := p.TryPing(nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A connection that ends just before the pair moves to it is not moved to: its calls would wait for their time-outs.
func TestMoveToWhatHasEnded(t *testing.T) {
	_, tr, old, fresh := relayedOnBench(t)
	failed := error(nil)
	if err := old.RequestRawAsync(1000, nil, 0, func(_ *ComponentContext, err error) { failed = err }); err != nil {
		t.Fatal(err)
	}
	fresh.takeLeave(&CloseError{Err: ErrClosed})
	if old.moveTo(fresh, true) {
		t.Error("moved")
	}
	if err := old.TrySendRaw(1000, nil); err != nil {
		t.Errorf("the old one: %v", err)
	}
	old.follow(fresh, &CloseError{Code: CodeReplaced, Remote: true})
	tr.turns()
	if failed == nil {
		t.Error("the call has no outcome")
	}
}

// The responder's word says that it has no other connection of the pair. If the old one is silent, somebody between keeps it
// up, and it does not stand in the way of the new one.
func TestRelayThatKeepsUpADeadConnection(t *testing.T) {
	n, tr, old, fresh := relayedOnBench(t)
	fresh.inbound().shut = true
	if err := n.pairs.confirm(fresh); !errors.Is(err, errWait) {
		t.Fatalf("confirm: %v", err)
	}
	tr.turns()
	tr.loop.now += handoverProbe + time.Second
	tr.sink.Turn(tr.loop)
	tr.turns()
	if old.Connected() || !fresh.Connected() {
		t.Errorf("the old one is %v, the new one %v", old.state(), fresh.state())
	}
}

// A gate or a stream on a connection that the pair is leaving would miss what comes over the next one.
func TestNothingIsBoundToWhatIsLeft(t *testing.T) {
	_, _, old, fresh := relayedOnBench(t)
	if !old.moveTo(fresh, true) {
		t.Fatal("not moved")
	}
	if err := old.setGate(&Gate{peer: old}); !errors.Is(err, ErrBusy) {
		t.Errorf("a gate: %v", err)
	}
	if _, err := old.openStream(); !errors.Is(err, ErrBusy) {
		t.Errorf("a stream: %v", err)
	}
	old.takeLeave(&CloseError{Code: CodeReplaced})
	if err := old.setGate(&Gate{peer: old}); !errors.Is(err, ErrClosed) {
		t.Errorf("a gate afterwards: %v", err)
	}
}

// Credit is of one connection's account: what an old connection would still grant does not go out over the one that the pair
// has moved to, whose totals are others.
func TestCreditStaysWithItsConnection(t *testing.T) {
	n, tr := onBench(t)
	to, _ := openOnBench(n, tr)
	old := &PeerClient{net: n, loop: n.loops[0], link: &benchLink{loop: tr.loop}, index: -1}
	old.send.err = &movedError{to: to}
	old.life.Store(uint32(stateClosed))
	before := to.outboundQueued()
	if err := old.sendCredit(1 << 20); err == nil || old.receipt.granted != 0 {
		t.Errorf("granted %d over a connection that has ended: %v", old.receipt.granted, err)
	}
	if after := to.outboundQueued(); after != before {
		t.Errorf("the other connection has %d bytes to send, and had %d", after, before)
	}
}

// outboundQueued is how many bytes wait in the lanes.
func (p *PeerClient) outboundQueued() (bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.send.out != nil {
		bytes = p.send.out.lanes[laneControl].Len()
	}
	return bytes
}

// Disconnect ends the connection that it is called on. The one that the pair moves to stays, whether the move is under way or
// over, until it is ended itself.
func TestDisconnectOfAMovedConnection(t *testing.T) {
	for _, ended := range []bool{false, true} {
		_, tr, old, fresh := relayedOnBench(t)
		fresh.greet.timer.Fire = func(time.Duration) {}
		if !old.moveTo(fresh, true) {
			t.Fatal("not moved")
		}
		if ended {
			old.left(&CloseError{Code: CodeReplaced, Remote: true})
		}
		old.Disconnect(CodeNone, "")
		tr.turns()
		if s := old.state(); s != stateDraining && s != stateClosed {
			t.Errorf("ended before %t: the old connection is %v", ended, s)
		}
		if s, why := fresh.state(), fresh.CloseReason(); s != stateConfirming || why != nil {
			t.Fatalf("ended before %t: the new connection is %v: %v", ended, s, why)
		}
		if fresh.link.(*benchLink).closed {
			t.Error("its link is closed")
		}
		fresh.Disconnect(CodeNone, "")
		tr.turns()
		if fresh.CloseReason() == nil {
			t.Error("the new connection cannot be ended itself")
		}
	}
}

// What is sent on a connection that the pair has left is compressed once, and not again by the one that it goes over.
func TestCompressedOnceWhenMoved(t *testing.T) {
	type page struct{ B []byte }
	n, tr := onBench(t)
	registered := make(chan error, 1)
	go func() { registered <- Register[page](n, 1000, WithCompression()) }()
	for len(registered) == 0 { // it waits for the loop
		tr.turns()
		runtime.Gosched()
	}
	if err := <-registered; err != nil {
		t.Fatal(err)
	}
	to, _ := openOnBench(n, tr)
	to.inflates = true
	old := &PeerClient{net: n, loop: n.loops[0], link: &benchLink{loop: tr.loop}, index: -1, inflates: true}
	old.send.err = &movedError{to: to}
	var plain []byte
	for i := range 600 { // its blocks are so much alike that they could be compressed again
		plain = fmt.Appendf(plain, "a long line that is always the same, but for the number at its end, which is one of ten: %d%d%d\n", i%10, i%7, i%10)
	}
	if again := s2.Encode(nil, s2.Encode(nil, plain)); len(again) > len(s2.Encode(nil, plain))*3/4 {
		t.Fatalf("of %d bytes that are compressed %d remain: this shows nothing", len(s2.Encode(nil, plain)), len(again))
	}
	if err := old.TrySendRaw(1000, plain); err != nil {
		t.Fatal(err)
	}
	to.mu.Lock()
	record := to.send.out.lanes[laneBulk].Take()
	to.mu.Unlock()
	var f framing.Frame
	if _, err := f.Next(record[framing.RecordHeaderSize:]); err != nil || f.Flags != framing.FlagCompressed {
		t.Fatalf("flags %#x, %v", f.Flags, err)
	}
	if got, err := s2.Decode(nil, f.Payload); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes of %d, %v", len(got), len(plain), err)
	}
}

// A Ping over a connection that the pair has left ends with its time-out, too.
func TestPingOfAMovedConnection(t *testing.T) {
	_, tr, old, fresh := relayedOnBench(t)
	fresh.greet.timer.Fire = func(time.Duration) {}
	if !old.moveTo(fresh, true) {
		t.Fatal("not moved")
	}
	var ended error
	if err := old.PingAsync(time.Second, func(_ time.Duration, err error) { ended = err }); err != nil {
		t.Fatal(err)
	}
	tr.turns()
	tr.loop.now += 2 * time.Second
	tr.sink.Turn(tr.loop)
	if !errors.Is(ended, ErrReceiveTimeout) {
		t.Errorf("after twice its time-out: %v", ended)
	}
}
