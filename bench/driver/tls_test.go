package driver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/carrier-p2p/carrier/bench/load"
)

// The baseline is what it says: TLS 1.3, the key exchange in its name, certificates on both sides, AES-GCM, no resumption.
func TestTLSIsWhatItSays(t *testing.T) {
	for _, test := range []struct {
		driver   load.Driver
		exchange tls.CurveID
	}{{TLS(), tls.X25519}, {TLSMLKEM(), tls.X25519MLKEM768}} {
		sink := load.NewSink(load.NewPattern())
		server, err := test.driver.Serve("127.0.0.1:0", load.Shape{}, sink)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		d, err := test.driver.NewDialer(load.Shape{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second would resume if it could
			conn, err := d.(*streamDialer).connect(context.Background(), server.Addr())
			if err != nil {
				t.Fatal(err)
			}
			state := conn.(*tls.Conn).ConnectionState()
			if state.Version != tls.VersionTLS13 || state.CurveID != test.exchange || state.DidResume || len(state.PeerCertificates) != 1 {
				t.Errorf("%s: version %x, key exchange %v, resumed %v, %d certificates",
					test.driver.Name(), state.Version, state.CurveID, state.DidResume, len(state.PeerCertificates))
			}
			if s := state.CipherSuite; s != tls.TLS_AES_128_GCM_SHA256 && s != tls.TLS_AES_256_GCM_SHA384 {
				t.Errorf("%s: %s, want AES-GCM", test.driver.Name(), tls.CipherSuiteName(s))
			}
			_ = conn.Close()
		}
		if err := withoutCertificate(server.Addr()); err == nil {
			t.Errorf("%s serves somebody without a certificate", test.driver.Name())
		}
	}
}

func withoutCertificate(addr string) error {
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1)) // in TLS 1.3 the refusal comes after our side is done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Somebody who accepts and never answers does not hold a dial for ever: it ends with its context.
func TestDialEndsWithContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	d, err := TLS().NewDialer(load.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		conn, err := listener.Accept()
		cancel()
		if err == nil {
			_ = conn.Close()
		}
	}()
	if _, err := d.Dial(ctx, listener.Addr().String(), 0); err == nil {
		t.Error("dialled somebody who does not answer")
	}
}
