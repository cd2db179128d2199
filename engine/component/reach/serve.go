package reach

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   DialBackRequest -> [serve] -> engine.Network.Probe -> DialBackResponse.
// Bounds: the meter, probesLimit. An asker can have its own IP address dialled and nobody else's.

// served counts what was asked. Any goroutine.
type served struct {
	running                                              atomic.Int64
	asked, probes, reached, missed, foreign, hasty, busy atomic.Int64
}

// serve takes a question, on the peer's loop.
func (c *Component) serve(p *engine.PeerClient, m request, now time.Duration) {
	c.served.asked.Add(1)
	if !c.may(p, m.addr, now) {
		answer(p, m.nonce, Abstained)
		return
	}
	slow := now + slowAnswer
	err := c.net.Probe(engine.Target{Addr: m.addr, ID: p.ID()}, probeTimeout, func(err error) { c.probed(p, m.nonce, slow, err) })
	if err != nil {
		c.served.running.Add(-1)
		answer(p, m.nonce, Abstained)
		return
	}
	c.served.probes.Add(1)
}

// may decides whether an address is dialled for a peer, and takes the place for it.
func (c *Component) may(p *engine.PeerClient, at transport.Addr, now time.Duration) bool {
	from := p.RemoteAddr().Addr().Unmap()
	switch {
	case !own(p, from, at) || !c.cfg.Scope.Dialable(from):
		c.served.foreign.Add(1)
		return false
	case !c.meter.take(now, from):
		c.served.hasty.Add(1)
		return false
	case c.served.running.Add(1) > probesLimit:
		c.served.running.Add(-1)
		c.served.busy.Add(1)
		return false
	}
	return true
}

// own reports whether an address is the peer's own, as this node sees it. A relay's is not.
func own(p *engine.PeerClient, from netip.Addr, at transport.Addr) bool {
	return !p.Relayed() && at.Proto == transport.TCP && at.Addr() == from
}

// probed answers, on the home loop: at once if the asker was there, else when it is time for all other answers.
func (c *Component) probed(p *engine.PeerClient, nonce uint64, slow time.Duration, err error) {
	end := func(a Answer) {
		c.served.running.Add(-1)
		answer(p, nonce, a)
	}
	if err == nil {
		c.served.reached.Add(1)
		end(Reached)
		return
	}
	a := Abstained
	if !ours(err) {
		c.served.missed.Add(1)
		a = NotReached
	}
	c.loop.After(slow-c.loop.Now(), func() { end(a) })
}

// ours reports whether a dial has failed before anything was heard of the other side's network.
func ours(err error) bool {
	var limit *engine.LimitError
	var fault *engine.Fault
	for _, e := range []error{engine.ErrBusy, engine.ErrNoTransport, syscall.ENETUNREACH, syscall.EMFILE, syscall.ENFILE,
		syscall.ENOBUFS, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EPERM, syscall.EACCES} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, &limit) || errors.As(err, &fault) && fault.Whose == engine.Ours
}

// answer never waits. A peer that does not read its answers has to do without.
func answer(p *engine.PeerClient, nonce uint64, a Answer) {
	var room [9]byte
	_ = p.TrySendRaw(opcode.DialBackResponseCode, response{nonce, a}.append(room[:0]))
}
