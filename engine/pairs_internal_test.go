package engine

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// creditRecord is the first record of an initiator, under a key of zeros.
func creditRecord(t *testing.T, key *handshake.RecordKey) []byte {
	f := framing.AppendFrame(make([]byte, framing.RecordHeaderSize), framing.Frame{Op: opcode.CreditCode,
		Payload: binary.LittleEndian.AppendUint64(nil, 1<<20)})
	rec := append(f, make([]byte, framing.TagSize)...)
	framing.PutRecordHeader(rec, framing.KindFrames, len(rec)-framing.RecordHeaderSize)
	if err := key.Seal(key.Expand(), rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

// A connection that waits for an older one of its pair to go keeps what comes meanwhile, and opens when it has gone.
func TestBytesWhileWaitingForThePair(t *testing.T) {
	n, tr := onBench(t)
	old := &PeerClient{id: identity.ID{7}}
	n.pairs.leaving[old.id] = old
	link := &benchLink{loop: tr.loop}
	p := &PeerClient{net: n, loop: n.loops[0], link: link, index: -1, id: old.id, speaks: true, greet: &greeting{}}
	link.SetOwner(p)
	p.admit()
	var key handshake.RecordKey
	tr.sink.Bytes(link, creditRecord(t, &key))
	if link.closed {
		t.Fatal("closed while it waits")
	}
	n.pairs.left(old)
	tr.turns()
	if !p.Connected() || p.send.allowed != 1<<20 {
		t.Errorf("state %v, credit %d, want an open peer that has granted 1 MiB", p.state(), p.send.allowed)
	}
}

// One that dies while it waits gives back what was held for it.
func TestDeathWhileWaitingForThePair(t *testing.T) {
	n, tr := onBench(t)
	link := &benchLink{loop: tr.loop}
	p := &PeerClient{net: n, loop: n.loops[0], link: link, index: -1, id: identity.ID{7}, dialled: true, greet: &greeting{}}
	p.life.Store(uint32(stateConfirming))
	link.SetOwner(p)
	p.receipt.window = 1 << 20
	p.inbound().shut = true
	tr.sink.Bytes(link, make([]byte, 5000))
	if n.bufs.Lent() == 0 {
		t.Fatal("nothing has been held back")
	}
	tr.sink.Closed(link, io.EOF)
	if lent := n.bufs.Lent(); lent != 0 {
		t.Errorf("%d bytes are lent to nobody", lent)
	}
}
