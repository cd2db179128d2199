package gnetio

import (
	"context"
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// packetTries bounds tests of what the kernel puts into one packet. It sends an acknowledgement alone after 40 ms, and what
// it holds back after 200 ms; a busy machine may not run us as soon. Once in so many is proof that it can wait.
const packetTries = 500

// packets is how many packets a link has sent.
func packets(t testing.TB, l transport.Link) uint32 {
	info, err := unix.GetsockoptTCPInfo(int(l.(*link).fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Error(err)
		return 0
	}
	return info.Segs_out
}

// TestAnswerCarriesAcknowledgement: the answer to the first message of a connection is the first packet after it, at the
// accepted end and at the dialled one.
func TestAnswerCarriesAcknowledgement(t *testing.T) {
	sent := make(chan uint32, 1) // by who has answered
	answering := func() *probe {
		p := newProbe()
		p.bytes = func(l transport.Link, b []byte) {
			if b[0] == '?' {
				l.Write([]byte("!"))
				sent <- packets(t, l)
			}
		}
		return p
	}
	pa, pb := answering(), answering()
	_, bound := start(t, Config{Loops: 1}, pb, loopback())
	a, _ := start(t, Config{Loops: 1}, pa)
	for _, c := range []struct {
		name string
		pick func(la, lb *link) (asks, answers *link)
	}{
		{"accepted", func(la, lb *link) (*link, *link) { return la, lb }},
		{"dialled", func(la, lb *link) (*link, *link) { return lb, la }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range packetTries {
				asks, answers := c.pick(connect(t, a, pa, pb, bound[0]))
				before := packets(t, answers)
				asks.Write([]byte("?"))
				after := get(t, "an answer", sent)
				asks.Close()
				get(t, "an end", pa.closed)
				get(t, "the other end", pb.closed)
				if after-before == 1 {
					return
				}
			}
			t.Errorf("in %d connections the answer was never the first packet", packetTries)
		})
	}
}

// TestLastBytesCarryTheEnd: WriteLast is one packet, after which nothing can be written, and all of it arrives.
func TestLastBytesCarryTheEnd(t *testing.T) {
	p := newProbe()
	_, bound := start(t, Config{Loops: 1}, p, loopback())
	for range packetTries {
		c := strangers(t, bound[0], 1)[0]
		l := get(t, "a link", p.opened).Link.(*link)
		before := packets(t, l)
		if n, err := l.WriteLast([]byte("bye")); n != 3 || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
		sent := packets(t, l) - before
		if n, err := l.WriteLast([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
			t.Errorf("after the end: wrote %d, %v", n, err)
		}
		if got, err := io.ReadAll(c); string(got) != "bye" || err != nil {
			t.Errorf("%q arrived, %v", got, err)
		}
		c.Close()
		want(t, "Closed", get(t, "an end", p.closed).err, io.EOF)
		if sent == 1 {
			return
		}
	}
	t.Errorf("in %d connections the last bytes and the end never were one packet", packetTries)
}

// TestShortLastWrite: the last bytes of a full socket wait for room, and the end of the stream with them.
func TestShortLastWrite(t *testing.T) {
	pa, pb := newProbe(), newProbe()
	room := make(chan struct{}, 1)
	pa.room = func(transport.Link) { room <- struct{}{} }
	received := 0 // the loop's, until Closed
	pb.bytes = func(_ transport.Link, b []byte) { received += len(b) }
	_, bound := start(t, Config{Loops: 1}, pb, loopback())
	a, _ := start(t, Config{Loops: 1}, pa)
	a.Dial(context.Background(), bound[0], nil)
	l := get(t, "the dialled end", pa.opened).Link.(*link)
	const size = 32 << 20
	shorts := 0
	for rest := make([]byte, size); len(rest) > 0; {
		n, err := l.WriteLast(rest)
		if err != nil {
			t.Fatal(err)
		}
		if rest = rest[n:]; len(rest) > 0 {
			shorts++
			get(t, "room", room)
		}
	}
	if shorts == 0 {
		t.Error("no short write")
	}
	want(t, "Closed", get(t, "an end", pb.closed).err, io.EOF)
	if received != size {
		t.Errorf("%d bytes arrived of %d", received, size)
	}
}
