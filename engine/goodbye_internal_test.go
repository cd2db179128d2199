package engine

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A lastLink is a benchLink that sends the end of the stream with the last bytes.
type lastLink struct {
	*benchLink
	last   []int // bytes of each WriteLast
	before int   // bytes written before the first of them
	ends   int   // ends of the stream: with the last bytes, or alone
}

var _ transport.LastWriter = (*lastLink)(nil)

func (l *lastLink) WriteLast(b []byte) (int, error) {
	if len(l.last) == 0 {
		l.before = l.written
	}
	n, err := l.Write(b)
	l.last = append(l.last, n)
	if err == nil && n == len(b) {
		l.ends++
	}
	return n, err
}

func (l *lastLink) CloseWrite() {
	if l.ends == 0 {
		l.ends++
	}
}

// onLastLink is openOnBench over a lastLink.
func onLastLink(t *testing.T) (*PeerClient, *lastLink, *benchTransport) {
	n, tr := onBench(t)
	p, bench := openOnBench(n, tr)
	bench.short = func() {}
	link := &lastLink{benchLink: bench}
	p.link = link
	return p, link, tr
}

// TestGoodbyeEndsTheStream: the end of the stream goes with the goodbye, and with nothing before it. A goodbye that is
// written in two parts ends the stream with the second.
func TestGoodbyeEndsTheStream(t *testing.T) {
	for _, c := range []struct {
		name string
		room int // what the goodbye's first write takes; 0: all
		last int // calls of WriteLast
	}{
		{"whole", 0, 1},
		{"in two parts", 7, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, link, tr := onLastLink(t)
			if err := p.TrySendRaw(1000, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			tr.turns()
			if len(link.last) > 0 || link.ends > 0 || link.written < 100 {
				t.Fatalf("before the goodbye: %d bytes written, %d as the last, %d ends", link.written, len(link.last), link.ends)
			}
			link.room = c.room
			p.Disconnect(CodeShutdown, "over")
			tr.turns()
			if c.room > 0 {
				if link.ends > 0 {
					t.Error("the stream has ended in the middle of the goodbye")
				}
				tr.sink.Writable(link)
				tr.turns()
			}
			if len(link.last) != c.last || link.ends != 1 || link.before < 100 {
				t.Errorf("%d writes of the last bytes after %d others, %d ends; want %d after 100 or more, 1",
					len(link.last), link.before, link.ends, c.last)
			}
		})
	}
}

// TestWhatIsQueuedIsNotTheLast: what is queued when the goodbye is asked for goes before it, and does not end the stream.
func TestWhatIsQueuedIsNotTheLast(t *testing.T) {
	p, link, tr := onLastLink(t)
	const size = 100_000
	if err := p.TrySendRaw(1000, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	p.Disconnect(CodeShutdown, "over")
	tr.turns()
	if len(link.last) != 1 || link.ends != 1 || link.before < size {
		t.Errorf("%d writes of the last bytes after %d others, %d ends; want 1 after %d or more, 1",
			len(link.last), link.before, link.ends, size)
	}
}
