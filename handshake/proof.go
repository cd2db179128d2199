package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
)

// A proof is the payload of messages 2 and 3. Noise proves that the sender has the static key; the record, that the
// owner of the identity has chosen this static key. Neither says anything without the other. In a statement the link has
// proven that the sender has the identity's own key, and the record must be that identity's.

func (m *Machine) appendProof(dst []byte) []byte {
	params := m.c.Params
	if !m.observed.IsZero() {
		params.Observed = m.observed
	}
	dst = slices.Grow(dst, 2+len(m.c.Record)+paramsRoom+len(params.Agent))
	dst = wire.AppendBytes16(dst, m.c.Record)
	return params.Append(dst)
}

// checkKey holds a record against the key that its sender has shown to have: the link's, or in Noise static.
func (m *Machine) checkKey(claimed *identity.Record, static []byte) error {
	switch {
	case m.linked != nil && claimed.PublicKey != *m.linked:
		return fmt.Errorf("%w: record is of another identity than the link", ErrAuthentication)
	case m.linked == nil && !bytes.Equal(claimed.Static[:], static):
		return fmt.Errorf("%w: record is for another static key", ErrAuthentication)
	}
	return nil
}

// checkID refuses whom this side does not want.
func (m *Machine) checkID(id identity.ID) error {
	switch {
	case id == m.c.Identity.ID():
		return ErrSelf
	case !m.expect.IsZero() && id != m.expect:
		return fmt.Errorf("%w: %s, expected %s", ErrPeerMismatch, id.Short(), m.expect.Short())
	}
	return nil
}

// checkProof decides whether the sender of payload, who has shown to have a private key (checkKey), is who it claims
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
	if err := m.checkKey(&claimed, static); err != nil {
		return nil, err
	}
	claimedID := claimed.ID()
	if err := m.checkID(claimedID); err != nil {
		return nil, err
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
