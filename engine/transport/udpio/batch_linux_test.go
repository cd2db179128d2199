package udpio

import (
	"net/netip"
	"os"
	"slices"
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

// A stranger at port 0, to whom nothing can be sent, does not keep the kernel from cutting runs for others.
func TestUnsendableRun(t *testing.T) {
	p := boundPort(t)
	defer p.close()
	runs := func(to netip.AddrPort) int {
		p.begin()
		defer p.end()
		for range 3 {
			if !p.send(0, to, datagram.Data, 7, []byte("x")) {
				t.Error("there was no room")
			}
		}
		return len(p.out.runs)
	}
	for range 2 {
		if n := runs(netip.MustParseAddrPort("127.0.0.1:0")); n != 1 {
			t.Errorf("%d runs to one link", n)
		}
		if len(p.out.runs) != 0 || p.out.plain {
			t.Errorf("%d runs wait, no more are formed: %v", len(p.out.runs), p.out.plain)
		}
	}
}

// Where datagrams leave alone that the kernel has refused as a run, no more runs are formed; all arrive.
func TestKernelThatDoesNotCut(t *testing.T) {
	p := boundPort(t)
	defer p.close()
	p.begin()
	for _, b := range []string{"one", "two", "3"} {
		p.send(0, p.local(0), datagram.Data, 7, []byte(b))
	}
	if len(p.out.runs) != 1 {
		t.Fatalf("%d runs", len(p.out.runs))
	}
	p.out.split() // as if it had been refused
	p.send(0, p.local(0), datagram.Data, 8, []byte("four"))
	p.end()
	if !p.out.plain || len(p.out.runs) != 0 {
		t.Errorf("runs are still formed: %v; %d wait", !p.out.plain, len(p.out.runs))
	}
	var got []string
	take := func(_ int, _ netip.AddrPort, b []byte) { got = append(got, string(b[datagram.HeaderSize:])) }
	for len(got) < 4 {
		if _, _, err := p.wait(patience, take); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"one", "two", "3", "four"}; !slices.Equal(got, want) {
		t.Errorf("%q have come", got)
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
