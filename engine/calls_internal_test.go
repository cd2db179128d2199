package engine

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

func TestCallIsOneLine(t *testing.T) {
	if size := unsafe.Sizeof(call{}); size > 64 {
		t.Errorf("a call is %d bytes", size)
	}
}

// Who asks while the loop gathers takes the loop's word for the time; everybody else looks at the clock.
func TestAskedAt(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the woken run when the loop lets them, and not beside it
	n, tr := onBench(t)
	l := n.loops[0]
	const word = time.Hour
	believed := 0
	for range 50 {
		asked := make(chan time.Duration, 1)
		go func() { asked <- l.askedAt() }()
		l.gather(word)
		if at := <-asked; at == word {
			believed++
		} else if at != tr.loop.now {
			t.Fatalf("asked at %v, neither the loop's word nor the clock", at)
		}
		if at := l.askedAt(); at != tr.loop.now {
			t.Fatalf("asked at %v after the loop has gathered, the clock says %v", at, tr.loop.now)
		}
	}
	if believed == 0 {
		t.Error("nobody takes the loop's word")
	}
}

// The time of the last request is noted whenever it is another one, also at the beginning of time and when it goes back.
func TestNoteAsked(t *testing.T) {
	var p PeerClient
	for _, at := range []time.Duration{0, time.Millisecond, time.Second, time.Second + 1, time.Millisecond, time.Hour} {
		p.noteAsked(at)
		if !p.interactive(at) || p.interactive(at+interactiveFor+time.Millisecond) {
			t.Errorf("asked at %v: interactive then %v, after that %v", at, p.interactive(at), p.interactive(at+interactiveFor+time.Millisecond))
		}
	}
}

// heedless is a component that does nothing with messages.
type heedless struct{ Component }

// A request that arrives is noted, on the short way of whole messages and on the long way of those nobody is there for; other
// messages are not.
func TestArrivingRequestIsNoted(t *testing.T) {
	const served, unserved = 1000, 1001
	n, tr := onBench(t)
	l := n.loops[0]
	l.table = newTable(n.registry, []*slot{{component: &heedless{}, codes: []opcode.Opcode{served}}}, &n.opcodes, nil)
	l.table.put(unserved, &row{limit: 100})
	for _, c := range []struct {
		op    opcode.Opcode
		flags framing.Flags
		id    uint32
		noted bool
	}{
		{served, 0, 1, true}, {unserved, 0, 1, true},
		{served, 0, 0, false}, {unserved, 0, 0, false}, {served, framing.FlagReply, 1, false}, {served, 0, fragmentID | 1, false},
	} {
		p, _ := openOnBench(n, tr)
		p.receipt.granted = 1 << 20
		l.enter()
		p.frames(framing.AppendFrame(nil, framing.Frame{Op: c.op, Flags: c.flags, ID: c.id, Payload: []byte("hello")}))
		l.leave()
		if p.state() != stateOpen || p.receipt.received == 0 {
			t.Fatalf("%+v has not been taken", c)
		}
		if got := p.interactive(l.now); got != c.noted {
			t.Errorf("%+v: noted %v", c, got)
		}
	}
}
