package quicio

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A watcher is a Sink that writes down what it is told, and closes nothing.
type watcher struct {
	mu         sync.Mutex
	changed    chan struct{}
	links      []transport.Link
	closed     map[transport.Link]error
	bytes      map[transport.Link][]byte
	unreliable [][]byte
	room       int // how often there was room again
	refused    []error
	failed     []error
}

func newWatcher() *watcher {
	return &watcher{changed: make(chan struct{}, 1), closed: map[transport.Link]error{}, bytes: map[transport.Link][]byte{}}
}

func (w *watcher) note(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *watcher) Opened(l transport.Link, _ any) { w.note(func() { w.links = append(w.links, l) }) }
func (w *watcher) DialFailed(_ any, err error)    { w.note(func() { w.failed = append(w.failed, err) }) }
func (w *watcher) Bytes(l transport.Link, b []byte) {
	w.note(func() { w.bytes[l] = append(w.bytes[l], b...) })
}
func (w *watcher) Unreliable(_ transport.Link, b []byte) {
	w.note(func() { w.unreliable = append(w.unreliable, bytes.Clone(b)) })
}
func (w *watcher) Writable(transport.Link)            { w.note(func() { w.room++ }) }
func (w *watcher) Closed(l transport.Link, err error) { w.note(func() { w.closed[l] = err }) }
func (w *watcher) Turn(transport.Loop)                {}
func (w *watcher) Refused(_ transport.Addr, err error) {
	w.note(func() { w.refused = append(w.refused, err) })
}
func (w *watcher) Failed(err error) { panic(err) }

// until waits for a condition on what has been written down.
func (w *watcher) until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	giveUp := time.After(patience)
	for {
		w.mu.Lock()
		ok := cond()
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-w.changed:
		case <-giveUp:
			t.Fatalf("still waiting: %s", what)
		}
	}
}

// serve starts a transport that listens on loopback.
func serve(t testing.TB, cfg Config) (*Transport, *watcher, transport.Addr) {
	t.Helper()
	tr := withKey(t, cfg)
	w, at := started(t, tr, loopback())
	return tr, w, at[0]
}

// started starts a transport for the length of the test.
func started(t testing.TB, tr *Transport, listen ...transport.Addr) (*watcher, []transport.Addr) {
	t.Helper()
	w := newWatcher()
	bound, err := tr.Start(w, listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Stop() })
	return w, bound
}

// goodTLS is what an honest peer would show.
func goodTLS(t testing.TB) *tls.Config {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := newCertificate(key)
	if err != nil {
		t.Fatal(err)
	}
	return newTLS(own)
}

// certificateOf makes a self-signed certificate of any key.
func certificateOf(t testing.TB, key crypto.Signer) tls.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// attack dials with quic-go itself.
func attack(t testing.TB, to transport.Addr, config *tls.Config, q *quic.Config) (*quic.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, to.AddrPort.String(), config, q)
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	}
	return conn, err
}

// alive holds that an honest peer still gets through.
func alive(t testing.TB, to transport.Addr, w *watcher) {
	t.Helper()
	w.mu.Lock()
	before := len(w.links)
	w.mu.Unlock()
	tr, mine := withKey(t, Config{Loops: 1}), newWatcher()
	if _, err := tr.Start(mine, nil); err != nil {
		t.Fatal(err)
	}
	defer tr.Stop()
	tr.Dial(context.Background(), to, 1)
	mine.until(t, "an honest link", func() bool { return len(mine.links) == 1 || len(mine.failed) > 0 })
	if len(mine.failed) > 0 {
		t.Fatalf("an honest dial failed: %v", mine.failed)
	}
	w.until(t, "its other end", func() bool { return len(w.links) == before+1 })
}

// Who does not prove an Ed25519 key never becomes a link.
func TestHostileCertificates(t *testing.T) {
	_, w, at := serve(t, Config{Loops: 1})
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	good, stolen := certificateOf(t, key), certificateOf(t, other)
	stolen.PrivateKey = key // the certificate of another, without its key
	chain := good
	chain.Certificate = append([][]byte{}, good.Certificate[0], certificateOf(t, other).Certificate[0])
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
	}{
		{"no certificate", func(c *tls.Config) { c.Certificates = nil }},
		{"another kind of key", func(c *tls.Config) { c.Certificates = []tls.Certificate{certificateOf(t, elliptic)} }},
		{"two certificates", func(c *tls.Config) { c.Certificates = []tls.Certificate{chain} }},
		{"a stolen certificate", func(c *tls.Config) {
			c.Certificates = nil
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stolen, nil }
		}},
		{"another protocol", func(c *tls.Config) { c.NextProtos = []string{"h3"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := goodTLS(t)
			config.VerifyConnection = nil
			c.change(config)
			conn, err := attack(t, at, config, &quic.Config{})
			if err == nil { // TLS 1.3 tells a client only afterwards that it is not wanted
				<-conn.Context().Done()
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.links) != 0 {
				t.Error("it has become a link")
			}
		})
	}
	alive(t, at, w)
}

// A responder without the right kind of key is not dialled.
func TestHostileListener(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config := goodTLS(t)
	config.VerifyConnection = nil
	config.Certificates = []tls.Certificate{certificateOf(t, key)}
	ln, err := quic.ListenAddr("127.0.0.1:0", config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	tr, w := withKey(t, Config{Loops: 1}), newWatcher()
	if _, err := tr.Start(w, nil); err != nil {
		t.Fatal(err)
	}
	defer tr.Stop()
	tr.Dial(context.Background(), addrOf(ln.Addr()), 1)
	w.until(t, "the dial to fail", func() bool { return len(w.failed) == 1 })
	if len(w.links) != 0 || !errors.Is(w.failed[0], ErrCertificate) && !bytes.Contains([]byte(w.failed[0].Error()), []byte("certificate")) {
		t.Errorf("%d links, %v", len(w.links), w.failed[0])
	}
}

// Who opens more streams than the one is cut off by QUIC's own limits, and who opens none, or says nonsense, has five
// seconds. Others do not notice.
func TestHostileStreams(t *testing.T) {
	t.Parallel()
	_, w, at := serve(t, Config{Loops: 1})
	t.Run("many", func(t *testing.T) {
		conn, err := attack(t, at, goodTLS(t), &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		opened := 0
		for range 1000 {
			s, err := conn.OpenStream()
			if err != nil {
				break
			}
			opened++
			_, _ = s.Write([]byte{streamVersion})
			_ = s.Close()
		}
		if u, err := conn.OpenUniStream(); err == nil {
			t.Errorf("a unidirectional stream %v is allowed", u.StreamID())
		}
		if opened != 1 {
			t.Errorf("%d streams are allowed", opened)
		}
		w.until(t, "the one stream's end", func() bool { return len(w.closed) == 1 })
		// A stream that has ended does not make room for another.
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-conn.Context().Done(); cancel() }()
		if _, err := conn.OpenStreamSync(ctx); err == nil {
			t.Error("another stream after the first")
		}
	})
	t.Run("another version", func(t *testing.T) {
		conn, err := attack(t, at, goodTLS(t), &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := conn.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write([]byte{streamVersion + 1})
		w.until(t, "a refusal", func() bool { return len(w.refused) == 1 })
		if !errors.Is(w.refused[0], errVersion) {
			t.Errorf("refused for %v", w.refused[0])
		}
		<-conn.Context().Done()
	})
	t.Run("none", func(t *testing.T) {
		conn, err := attack(t, at, goodTLS(t), &quic.Config{KeepAlivePeriod: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		<-conn.Context().Done() // after handshakeTimeout
		w.until(t, "a refusal", func() bool { return len(w.refused) == 2 })
	})
	alive(t, at, w)
}

// Handshakes that begin and go no further hold their places for a while and no longer; above the limit newcomers are refused,
// and counted; all of it costs no link.
func TestHostileHandshakes(t *testing.T) {
	t.Parallel()
	tr, w, at := serve(t, Config{Loops: 1, Handshakes: 8})
	// A relay that swallows everything but the first datagrams of each client.
	server, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at.AddrPort))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var hello []byte
	catcher, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer catcher.Close()
	for range 40 {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = quic.DialAddr(ctx, catcher.LocalAddr().String(), goodTLS(t), nil)
		}()
		buf := make([]byte, 2048)
		n, err := catcher.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		<-done
		hello = buf[:n]
		for { // what else the client has sent is dropped
			_ = catcher.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := catcher.Read(buf); err != nil {
				_ = catcher.SetReadDeadline(time.Time{})
				break
			}
		}
		if _, err := server.Write(hello); err != nil {
			t.Fatal(err)
		}
	}
	tr.visits.mu.Lock()
	held := tr.visits.all
	tr.visits.mu.Unlock()
	if held > 8 {
		t.Errorf("%d handshakes are under way, the limit is 8", held)
	}
	alive(t, at, w) // by a Retry: the honest one proves its address
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for giveUp := time.After(patience); held > 0; {
		tr.visits.mu.Lock()
		held = tr.visits.all
		tr.visits.mu.Unlock()
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("%d handshakes still hold their places", held)
		}
	}
	if n := tr.links.Load(); n > 1 {
		t.Errorf("%d links", n)
	}
}

// Datagrams: what is too long is refused here, and what the other side sends is handed over as it is.
func TestHostileDatagrams(t *testing.T) {
	_, w, at := serve(t, Config{Loops: 1})
	conn, err := attack(t, at, goodTLS(t), &quic.Config{EnableDatagrams: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte{streamVersion}); err != nil {
		t.Fatal(err)
	}
	w.until(t, "the link", func() bool { return len(w.links) == 1 })
	l := w.links[0].(transport.UnreliableLink)
	if err := l.WriteUnreliable(make([]byte, l.UnreliableLimit()+1)); !errors.Is(err, transport.ErrTooLong) {
		t.Errorf("a datagram above the limit: %v", err)
	}
	if err := l.WriteUnreliable(make([]byte, l.UnreliableLimit())); err != nil {
		t.Errorf("a datagram of the limit: %v", err)
	}
	if b, err := conn.ReceiveDatagram(context.Background()); err != nil || len(b) != l.UnreliableLimit() {
		t.Errorf("of the limit arrive %d bytes, %v", len(b), err)
	}
	// A flood: none is lost of the engine's making, and memory is quic-go's queue of 128.
	for range 5000 {
		if err := conn.SendDatagram(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.SendDatagram(nil); err != nil {
		t.Fatal(err)
	}
	w.until(t, "some of the flood", func() bool { return len(w.unreliable) > 100 })
	alive(t, at, w)
}

// One who reads nothing keeps what a link holds bounded, and is closed in time.
func TestHostileReader(t *testing.T) {
	tr, m := withKey(t, Config{Loops: 1}), &ledger{limit: 1 << 30}
	tr.Borrow(m)
	w, bound := started(t, tr, loopback())
	conn, err := attack(t, bound[0], goodTLS(t), &quic.Config{
		InitialStreamReceiveWindow: 1 << 30, MaxStreamReceiveWindow: 1 << 30, InitialConnectionReceiveWindow: 1 << 30, MaxConnectionReceiveWindow: 1 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte{streamVersion}); err != nil {
		t.Fatal(err)
	}
	w.until(t, "the link", func() bool { return len(w.links) == 1 })
	l := w.links[0].(*link)
	// Small writes and large ones, as long as they are taken.
	taken := 0
	for _, size := range []int{100, directWrite, sendBuffer} {
		for range 1 << 20 / size {
			n, err := l.Write(make([]byte, size))
			if err != nil {
				t.Fatal(err)
			}
			taken += n
			if held := m.lent(); held > 2*sendBuffer {
				t.Fatalf("the link holds %d bytes", held)
			}
		}
	}
	if taken == 0 {
		t.Error("nothing was taken")
	}
	if err := tr.Stop(); err != nil {
		t.Error(err)
	}
	if len(w.closed) != 1 || m.lent() != 0 {
		t.Errorf("%d links closed, %d bytes never given back", len(w.closed), m.lent())
	}
}

// Who proves a key and then opens no stream is counted as one in the handshake, so that no address takes all links.
func TestHostileSilence(t *testing.T) {
	tr, w, at := serve(t, Config{Loops: 1, Handshakes: 4})
	var conns []*quic.Conn
	for range 12 {
		if conn, err := attack(t, at, goodTLS(t), &quic.Config{EnableDatagrams: true}); err == nil {
			conns = append(conns, conn)
		}
	}
	if n := tr.links.Load(); len(conns) == 0 || n > 4 {
		t.Errorf("%d connections without a stream hold %d links", len(conns), n)
	}
	for _, conn := range conns {
		_ = conn.CloseWithError(0, "")
	}
	w.until(t, "all of them to be let go", func() bool { return len(w.refused) >= 12 })
	alive(t, at, w)
}
