package engine

import (
	"bytes"
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// What a peer over datagrams, which nothing makes wait for credit, has held back is bounded: before it is open, when nothing of
// it is looked at, and behind a gate, which its Pings pass.
func TestAffordableHeldBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		hold  func(*inbound)
		pongs bool
	}{
		{"not open yet", func(in *inbound) { in.shut = true }, false},
		{"behind a gate", func(in *inbound) { in.gate = &Gate{locked: true} }, true},
	} {
		n, tr := onBench(t)
		p, _ := openOnBench(n, tr)
		p.receipt.granted = uint64(n.cfg.ReceiveWindow)
		c.hold(p.inbound())
		records := 0
		for sent := 0; sent < 4*n.cfg.ReceiveWindow; records++ {
			record := append(frameOf(1000, 0, 0, make([]byte, 1000)), frameOf(opcode.PingCode, 0, 1, nil)...)
			sent += len(record)
			p.frames(p.affordable(record))
		}
		if held := len(p.in.plain); held > n.cfg.ReceiveWindow || held < n.cfg.ReceiveWindow/2 {
			t.Errorf("%s: %d bytes are held, the window is %d", c.name, held, n.cfg.ReceiveWindow)
		}
		if n.loops[0].received.dropped == 0 {
			t.Errorf("%s: nothing is counted as dropped", c.name)
		}
		if pings := n.loops[0].opcodes.counts[opcode.PingCode].messages; c.pongs != (int(pings) == records) || !c.pongs && pings != 0 {
			t.Errorf("%s: %d Pings of %d have been answered", c.name, pings, records)
		}
		p.in.gate = nil
	}
}

// Behind a gate a peer can have no more held than it has credit for, and goodbyes count: then it is closed, and the fault is its
// own.
func TestHeldBackLimit(t *testing.T) {
	for name, record := range map[string][]byte{
		"messages": frameOf(1000, 0, 0, make([]byte, 1000)),
		"goodbyes": frameOf(opcode.DisconnectCode, 0, 0, make([]byte, 500)),
	} {
		n, tr := onBench(t)
		p, _ := openOnBench(n, tr)
		p.receipt.granted = 4096
		p.receipt.received = 4096 + overdraft/2 // it has overdrawn its account before
		gate := &Gate{peer: p, inbox: newInbox(), locked: true}
		p.inbound().gate = gate
		held := 0
		for p.state() == stateOpen && held < 1<<20 {
			p.frames(bytes.Clone(record))
			held += len(record)
		}
		var limit *LimitError
		if !errors.As(p.CloseReason(), &limit) {
			t.Fatalf("%s: %v", name, p.CloseReason())
		}
		if least := overdraft / 2; held < least || held > least+goodbyeRoom+len(record) {
			t.Errorf("%s: closed after %d bytes, want about %d", name, held, least)
		}
	}
}

// When components hold as much as they may, messages are dropped, and what keeps the connection going is not.
func TestAffordableWhenFull(t *testing.T) {
	n, tr := onBench(t)
	p, _ := openOnBench(n, tr)
	message, ping := frameOf(1000, 0, 0, []byte("message")), frameOf(opcode.PingCode, 0, 7, []byte("ping"))
	credit := frameOf(opcode.CreditCode, 0, 0, make([]byte, receiptSize))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	broken := message[:framing.FrameHeaderSize-1]
	for _, full := range []bool{false, true} {
		if full {
			p.receipt.received = p.receipt.consumed + uint64(n.cfg.ReceiveWindow) + 1
		}
		for name, c := range map[string]struct{ in, want []byte }{
			"nothing":     {nil, nil},
			"messages":    {join(message, message), nil},
			"in between":  {join(message, ping, message, credit), join(ping, credit)},
			"only those":  {join(ping, credit), join(ping, credit)},
			"broken":      {join(message, ping, broken), join(ping, broken)},
			"only broken": {broken, broken},
		} {
			want := c.want
			if !full {
				want = c.in
			}
			if got := p.affordable(bytes.Clone(c.in)); !bytes.Equal(got, want) {
				t.Errorf("%s, full %v: %x, want %x", name, full, got, want)
			}
		}
	}
}
