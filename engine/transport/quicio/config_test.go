package quicio

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

func TestConfig(t *testing.T) {
	bad := Config{Loops: -1, LinkLimit: -1, Handshakes: -1, HandshakesPerIP: -1, DialLimit: -1, WindowMemory: -1}
	err := bad.Validate()
	if !errors.Is(err, ErrConfig) {
		t.Fatal(err)
	}
	for _, name := range []string{"Loops", "LinkLimit", "Handshakes ", "HandshakesPerIP", "DialLimit", "WindowMemory"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v\ndoes not name %s", err, name)
		}
	}
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
	if _, err := withKey(t, bad).Start(newWatcher(), nil); !errors.Is(err, ErrConfig) {
		t.Errorf("Start: %v", err)
	}
}

// A transport that has no key, or one that is no node's, does not start.
func TestKey(t *testing.T) {
	if _, err := New(Config{}).Start(newWatcher(), nil); !errors.Is(err, ErrKey) {
		t.Errorf("without a key: %v", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tr := New(Config{})
	tr.Prove(key)
	if _, err := tr.Start(newWatcher(), nil); !errors.Is(err, ErrCertificate) {
		t.Errorf("with another kind of key: %v", err)
	}
}

func TestUnsupported(t *testing.T) {
	tcp := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
	if _, err := withKey(t, Config{}).Start(newWatcher(), []transport.Addr{tcp}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("listening on %v: %v", tcp, err)
	}
	tr, w, _ := serve(t, Config{Loops: 1})
	tr.Dial(context.Background(), tcp, 1)
	w.until(t, "the dial to fail", func() bool { return len(w.failed) == 1 })
	if !errors.Is(w.failed[0], ErrUnsupported) {
		t.Errorf("dialling %v: %v", tcp, w.failed[0])
	}
}

// Above LinkLimit newcomers are refused and counted, and dials fail.
func TestLinkLimit(t *testing.T) {
	tr, w, at := serve(t, Config{Loops: 1, LinkLimit: 1})
	alive(t, at, w)
	w.until(t, "the link to be gone", func() bool { return len(w.closed) == 1 })
	other, mine := withKey(t, Config{Loops: 1}), newWatcher()
	if _, err := other.Start(mine, nil); err != nil {
		t.Fatal(err)
	}
	defer other.Stop()
	for tr.links.Load() > 0 { // its goroutine ends a moment after Closed
	}
	other.Dial(context.Background(), at, 1)
	w.until(t, "the first", func() bool { return len(w.links) == 2 })
	other.Dial(context.Background(), at, 2)
	w.until(t, "the second to be refused", func() bool { return len(w.refused) == 1 })
	if !errors.Is(w.refused[0], ErrLimit) {
		t.Errorf("refused for %v", w.refused[0])
	}
	tr.Dial(context.Background(), at, 3)
	w.until(t, "a dial to fail", func() bool { return len(w.failed) == 1 })
	if !errors.Is(w.failed[0], ErrLimit) {
		t.Errorf("the dial failed for %v", w.failed[0])
	}
}

// The windows of all connections together grow to the limit and no further, and what ends gives its part back.
func TestWindowMemory(t *testing.T) {
	tr, w, at := serve(t, Config{Loops: 1, WindowMemory: 1 << 10})
	other, mine := withKey(t, Config{Loops: 1}), newWatcher()
	if _, err := other.Start(mine, nil); err != nil {
		t.Fatal(err)
	}
	defer other.Stop()
	other.Dial(context.Background(), at, 1)
	mine.until(t, "the link", func() bool { return len(mine.links) == 1 })
	const size = 8 << 20
	b := make([]byte, size)
	for sent := 0; sent < size; {
		n, err := mine.links[0].Write(b[sent:])
		if err != nil {
			t.Fatal(err)
		}
		if sent += n; sent < size {
			<-mine.changed // Writable, most likely
		}
	}
	w.until(t, "all of it", func() bool { return len(w.links) == 1 && len(w.bytes[w.links[0]]) == size })
	tr.windows.mu.Lock()
	defer tr.windows.mu.Unlock()
	if tr.windows.total > 1<<10 {
		t.Errorf("windows have grown by %d bytes", tr.windows.total)
	}
}
