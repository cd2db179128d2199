package quicio

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// ErrCertificate is wrapped by every complaint about the other side's certificate.
var ErrCertificate = errors.New("quicio: certificate")

// alpn says which protocol the connection is for.
const alpn = "carrier/1"

// newCertificate makes the self-signed certificate of a node. Whoever asks TLS for no more than the key needs no names and no
// dates, so it says as little as a certificate can, and the same each time.
func newCertificate(key crypto.Signer) (tls.Certificate, error) {
	if _, ok := key.Public().(ed25519.PublicKey); !ok {
		return tls.Certificate{}, fmt.Errorf("%w: own key is a %T", ErrCertificate, key.Public())
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, 4.1.2.5: no end
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// newTLS is the configuration of both sides. Nothing of a certificate counts but its key, which the handshake proves.
func newTLS(own tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       []tls.CurveID{tls.X25519}, // as the engine's own handshake
		Certificates:           []tls.Certificate{own},
		NextProtos:             []string{alpn},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // there is no authority; VerifyConnection is called all the same
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := keyOf(&s)
			return err
		},
	}
}

// keyOf is the key that the other side has shown to have.
func keyOf(s *tls.ConnectionState) (key [ed25519.PublicKeySize]byte, err error) {
	if len(s.PeerCertificates) != 1 {
		return key, fmt.Errorf("%w: %d of them, want one", ErrCertificate, len(s.PeerCertificates))
	}
	public, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || len(public) != len(key) {
		return key, fmt.Errorf("%w: its key is a %T, want Ed25519", ErrCertificate, s.PeerCertificates[0].PublicKey)
	}
	return [ed25519.PublicKeySize]byte(public), nil
}
