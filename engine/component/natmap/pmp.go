package natmap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"
)

// A dialect makes calls in one protocol to one gateway. do returns within the protocol's time-out, in this file pmpTimeout
// whatever becomes of ctx. One call at a time.
type dialect interface {
	do(ctx context.Context, act action) result
}

// pmp speaks NAT-PMP. It keeps nothing between calls.
type pmp struct{ client *natpmp.Client }

func newPMP(g Gateway) *pmp {
	return &pmp{natpmp.NewClientWithLocalAndTimeout(g.Addr.AsSlice(), g.Local.AsSlice(), pmpTimeout)}
}

func (d *pmp) do(_ context.Context, act action) result {
	r := result{Action: act}
	switch act.Verb {
	case verbProbe:
		d.probe(&r)
	case verbMap:
		d.mapPort(&r)
	case verbUnmap: // RFC 6886, section 3.4: a lifetime of 0, and of the external port
		_, err := d.client.AddPortMapping(act.Port.network(), int(act.Port.Number), 0, 0)
		r.Err = pmpError(err)
	}
	return r
}

func (d *pmp) probe(r *result) {
	answer, err := d.client.GetExternalAddress()
	if r.Err = pmpError(err); r.Err == nil {
		r.Address = netip.AddrFrom4(answer.ExternalIPAddress)
		r.Epoch, r.HasEpoch = seconds(answer.SecondsSinceStartOfEpoc), true
	}
}

func (d *pmp) mapPort(r *result) {
	port := r.Action.Port
	answer, err := d.client.AddPortMapping(port.network(), int(port.Number), int(r.Action.External), int(r.Action.Lifetime/time.Second))
	if r.Err = pmpError(err); r.Err != nil {
		return
	}
	if answer.InternalPort != port.Number || answer.PortMappingLifetimeInSeconds == 0 {
		r.Err = fmt.Errorf("%w: it says that it has mapped port %d, for %d s, and %v was asked for",
			ErrNonsense, answer.InternalPort, answer.PortMappingLifetimeInSeconds, port)
		return
	}
	r.External, r.Lifetime = answer.MappedExternalPort, seconds(answer.PortMappingLifetimeInSeconds)
	r.Epoch, r.HasEpoch = seconds(answer.SecondsSinceStartOfEpoc), true
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// pmpError turns the library's errors, most of which are texts, into ours. The result codes are those of RFC 6886, section 3.5.
func pmpError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	kind := ErrNonsense
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		kind = ErrGone
	case text == "Timed out trying to contact gateway",
		errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EPERM):
		kind = ErrSilent
	case text == "Non-zero result code 3", strings.HasPrefix(text, "Non-zero result code 3 "):
		kind = ErrNoAddress
	case strings.HasPrefix(text, "Non-zero result code"):
		kind = ErrRefused
	}
	return fmt.Errorf("%w: %w", kind, err)
}
