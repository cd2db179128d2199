package engine

import (
	"bytes"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// What a peer over datagrams, which nothing makes wait for credit, has held back behind a gate is bounded.
func TestAffordableBehindAGate(t *testing.T) {
	n, tr := onBench(t)
	p, _ := openOnBench(n, tr)
	p.inbound().shut = true
	sent := 0
	for sent < 4*n.cfg.ReceiveWindow {
		record := append(frameOf(1000, 0, 0, make([]byte, 1000)), frameOf(opcode.PingCode, 0, 1, nil)...)
		sent += len(record)
		p.frames(p.affordable(record))
	}
	if held := len(p.in.plain); held > n.cfg.ReceiveWindow || held < n.cfg.ReceiveWindow/2 {
		t.Errorf("%d bytes are held of %d, the window is %d", held, sent, n.cfg.ReceiveWindow)
	}
	if n.loops[0].received.dropped == 0 {
		t.Error("nothing is counted as dropped")
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
