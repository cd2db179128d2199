package udpio

import (
	"net/netip"
	"os"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

// boundPort is a port with one socket of IPv4.
func boundPort(t *testing.T) *batchPort {
	t.Helper()
	cfg, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newBatchPort(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.bind(netip.MustParseAddrPort("127.0.0.1:0"), 0); err != nil {
		t.Fatal(err)
	}
	return p.(*batchPort)
}

// What a socket cannot send, because its addresses are of the other family, is lost and harms nothing behind it.
func TestSendToOtherFamily(t *testing.T) {
	p := boundPort(t)
	defer p.close()
	p.begin()
	if !p.send(0, netip.MustParseAddrPort("[::1]:9"), datagram.Data, 7, []byte("x")) {
		t.Error("there was no room")
	}
	if len(p.out.runs) != 0 {
		t.Fatalf("%d runs wait", len(p.out.runs))
	}
	if !p.send(0, p.local(0), datagram.Data, 7, []byte("x")) || len(p.out.runs) != 1 {
		t.Errorf("%d runs wait", len(p.out.runs))
	}
	p.end()
	got := 0
	if _, _, err := p.wait(patience, func(int, netip.AddrPort, []byte) { got++ }); err != nil || got != 1 {
		t.Errorf("%d datagrams, %v", got, err)
	}
}

// While the kernel has no room a stranger's answer does not wait in front of what peers are sent.
func TestCookiesDoNotWait(t *testing.T) {
	p := boundPort(t)
	defer p.close()
	p.begin()
	defer p.end()
	for _, test := range []struct {
		blocked bool
		kind    datagram.Kind
		waits   int
	}{{false, datagram.Cookie, 1}, {true, datagram.Cookie, 0}, {true, datagram.Data, 1}, {true, datagram.Answer, 1}} {
		p.out.buf, p.out.runs, p.out.blocked = p.out.buf[:0], p.out.runs[:0], test.blocked
		if !p.send(0, p.local(0), test.kind, 7, []byte("x")) || len(p.out.runs) != test.waits {
			t.Errorf("blocked %v: %d of kind %d wait, want %d", test.blocked, len(p.out.runs), test.kind, test.waits)
		}
	}
	p.out.buf, p.out.runs, p.out.blocked = p.out.buf[:0], p.out.runs[:0], false
}

// A port that is closed is woken without harm: the number of its eventfd may be another file's by then.
func TestWakeAfterClose(t *testing.T) {
	p := boundPort(t)
	p.close()
	r, w, err := os.Pipe() // takes the numbers that are free now
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p.wake()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n, _ := r.Read(make([]byte, 8)); n != 0 {
		t.Errorf("%d bytes were written into a file that is not the port's", n)
	}
	if p.bell >= 0 {
		t.Error("the number is kept")
	}
}
