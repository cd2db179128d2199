package udpio

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A deafPort is a port whose batches leave something behind for as long as that is said.
type deafPort struct {
	*batchPort
	more bool
}

func (p *deafPort) wait(_ time.Duration, take func(int, netip.AddrPort, []byte)) (room, more bool, err error) {
	room, _, err = p.batchPort.wait(0, take)
	return room, p.more, err
}

// quiet is a Sink that wants nothing.
type quiet struct{ transport.Sink }

func (quiet) Turn(transport.Loop) {}

// A loop says how far it is behind: since when batches have left something, and not since it last had
// something to do. While that is long it has no time for strangers.
func TestBehind(t *testing.T) {
	cfg, err := Config{Loops: 1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p := &deafPort{batchPort: boundPort(t)}
	defer p.close()
	lp := newLoop(&Transport{cfg: cfg, sink: quiet{}, start: time.Now().Add(-time.Hour)}, 0, p)
	round := func() {
		t.Helper()
		if err := lp.round(lp.receive); err != nil {
			t.Fatal(err)
		}
	}
	const long = time.Minute // against which what the test takes is nothing
	p.more = true
	if round(); lp.Behind() < long {
		t.Errorf("a loop that has never read all is behind by %v", lp.Behind())
	}
	p.more = false
	if round(); lp.Behind() > long {
		t.Errorf("a loop that has read all is behind by %v", lp.Behind())
	}
	lp.t.start = lp.t.start.Add(-2 * long) // time passes, and nothing comes
	p.more = true
	send(t, p.local(0), "a datagram that comes after a pause")
	if round(); lp.Behind() > long {
		t.Errorf("a loop that has had nothing to read is behind by %v", lp.Behind())
	}
	lp.t.start = lp.t.start.Add(-2 * long)
	if round(); lp.Behind() < 2*long {
		t.Errorf("a loop whose batches have left something for %v is behind by %v", 2*long, lp.Behind())
	}
}

func send(t *testing.T, to netip.AddrPort, what ...string) {
	t.Helper()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, w := range what {
		if _, err := c.Write([]byte(w)); err != nil {
			t.Fatal(err)
		}
	}
}

// A port knows whether it has handed over all there was.
func TestMore(t *testing.T) {
	p := boundPort(t)
	defer p.close()
	var what []string
	for i := range drainBatches*receiveBatch + 1 { // no two of one size, which might come as one run
		what = append(what, string(make([]byte, i+1)))
	}
	send(t, p.local(0), what...)
	for _, want := range []struct {
		got  int
		more bool
	}{{drainBatches * receiveBatch, true}, {1, false}, {0, false}} {
		got := 0
		_, more, err := p.wait(0, func(int, netip.AddrPort, []byte) { got++ })
		p.end()
		if err != nil || got != want.got || more != want.more {
			t.Errorf("%d datagrams and more: %v, want %d and %v, %v", got, more, want.got, want.more, err)
		}
	}
}
