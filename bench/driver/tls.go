package driver

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// errNoIdentity refuses a peer without an Ed25519 certificate.
var errNoIdentity = errors.New("driver: the other side shows no Ed25519 certificate")

// newTLSConfig is for both sides: TLS 1.3, one key exchange, a fresh self-signed Ed25519 certificate shown
// and one demanded, no tickets. As in peer-to-peer use there is no authority: that the other side holds the
// key in its certificate, which TLS itself proves, is its identity.
func newTLSConfig(exchange tls.CurveID) (*tls.Config, error) {
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       []tls.CurveID{exchange},
		Certificates:           []tls.Certificate{certificate},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // no authority to check against; VerifyConnection takes its place
		VerifyConnection:       hasIdentity,
		SessionTicketsDisabled: true,
	}, nil
}

func hasIdentity(state tls.ConnectionState) error {
	if len(state.PeerCertificates) != 1 {
		return errNoIdentity
	}
	if _, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey); !ok {
		return errNoIdentity
	}
	return nil
}

func newCertificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("driver: %w", err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, public, private)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("driver: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, nil
}
