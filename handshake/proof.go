package handshake

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/framing/wire"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A proof is the payload of messages 2 and 3. Noise proves that the sender has the static key; the record, that the
// owner of the identity has chosen this static key. Neither says anything without the other.

func (m *Machine) appendProof(dst []byte) []byte {
	params := m.c.Params
	if !m.observed.IsZero() {
		params.Observed = m.observed
	}
	dst = wire.AppendBytes16(dst, m.c.Record)
	return params.Append(dst)
}

// checkProof decides whether the sender of payload, who has shown to have the private key of static, is who it claims
// to be. What costs nothing comes first, the signature last.
func (m *Machine) checkProof(payload, static []byte) (*Result, error) {
	raw, n := wire.ConsumeBytes16(payload, identity.RecordSizeLimit)
	if n < 0 {
		return nil, fmt.Errorf("%w: record is cut off or too long", ErrMessage)
	}
	params, err := ParseParams(payload[n:])
	if err != nil {
		return nil, err
	}
	claimed, err := identity.ParseRecord(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if !bytes.Equal(claimed.Static[:], static) {
		return nil, fmt.Errorf("%w: record is for another static key", ErrAuthentication)
	}
	claimedID := claimed.ID()
	if claimedID == m.c.Identity.ID() {
		return nil, ErrSelf
	}
	if !m.expect.IsZero() && claimedID != m.expect {
		return nil, fmt.Errorf("%w: %s, expected %s", ErrPeerMismatch, claimedID.Short(), m.expect.Short())
	}
	proven, err := m.c.Cache.Verify(raw, m.c.Puzzle)
	switch {
	case errors.Is(err, identity.ErrPuzzle):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrAuthentication, err)
	}
	// A copy, or the record would keep the whole payload alive for as long as the peer.
	return &Result{Remote: proven, RemoteRaw: bytes.Clone(raw), ID: claimedID, Params: params}, nil
}
