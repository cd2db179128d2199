package simnet

import (
	"context"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A dial is a connection being made:
//
//	asking ──request arrives──▶ answered ──answer arrives──▶ a Link, and its first word to the other end
//	   ▲  └──nobody there───────▶ refused ───answer arrives──▶ DialFailed
//	   └──lost, parted, vanished: again after 1 s, 2 s, 4 s, … until Weather.DialTimeout
//	failing: the host itself has a reason; nothing travels
type dial struct {
	host   *Host // fixed, as all down to giveUpAt
	to     transport.Addr
	tag    any
	ctx    context.Context
	giveUp time.Duration

	// Under the Net's lock.
	state  dialState
	target *Host // once answered
	err    error // once failing
	again  time.Duration
	index  int     // in host.dials
	ev     pending // the next step
	look   pending // whether ctx has ended
}

type dialState uint8

const (
	dialAsking dialState = iota
	dialAnswered
	dialRefused
	dialFailing
)

// Dial implements transport.Transport. Whether ctx has ended is looked at every 50 ms of virtual time and at every step of
// the dial: a deadline in package time means nothing in virtual time, except in a bubble with Serve. On a crashed host
// nothing happens, as nobody is there to be told.
func (h *Host) Dial(ctx context.Context, to transport.Addr, tag any) {
	if h.udp != nil && h.sink != nil {
		h.dialUDP(ctx, to, tag)
		return
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.tick()
	switch h.state {
	case hostNew:
		invariant.Bug("simnet: bug: host %v dials before Start", h.machine.addr)
	case hostCrashed:
		return
	}
	to.AddrPort = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	w := n.climateOf(h.machine.addr, to.Addr())
	d := &dial{host: h, to: to, tag: tag, ctx: ctx, giveUp: now + w.dialTimeout, again: connectAfter, index: len(h.dials)}
	d.ev.owner = d
	d.look = pending{owner: d, background: true}
	h.dials = append(h.dials, d)
	switch {
	case h.state == hostStopped:
		d.failAt(now+turnAfterMin, transport.ErrClosed)
	case to.Proto != h.proto:
		d.failAt(now+turnAfterMin, ErrProto)
	case ctx.Err() != nil:
		d.failAt(now+turnAfterMin, ctx.Err())
	default:
		d.travel(dialAsking, now)
		if ctx.Done() != nil {
			n.schedule(&d.look, now+contextEvery)
		}
	}
}

// travel sends the request to the far place, or an answer back.
func (d *dial) travel(s dialState, now time.Duration) {
	n, from, to := d.host.net, d.host.machine.addr, d.to.Addr()
	if s != dialAsking {
		from, to = to, from
	}
	d.state = s
	d.step(now + n.travel(n.climateOf(from, to), 0, connectAfter))
}

// step orders the next step: at the latest when the dial gives up.
func (d *dial) step(at time.Duration) {
	d.host.net.schedule(&d.ev, min(at, d.giveUp))
}

func (d *dial) failAt(at time.Duration, err error) {
	d.state, d.err = dialFailing, err
	d.host.net.schedule(&d.ev, at)
}

// fire is the next step of the dial.
// runs: the request at the far place is its kernel's affair.
func (d *dial) runs(*Net, *pending) *Host {
	if d.state == dialAsking {
		return nil
	}
	return d.host
}

func (d *dial) fire(n *Net, ev *pending) {
	now := n.time()
	switch {
	case d.state == dialFailing:
		d.fail(n, d.err)
	case d.ctx.Err() != nil:
		d.fail(n, d.ctx.Err())
	case ev == &d.look:
		n.schedule(&d.look, now+contextEvery)
	case now >= d.giveUp:
		d.fail(n, ErrTimeout)
	case n.severed(d.host.machine.addr, d.to.Addr()):
		d.retry(now)
	case d.state == dialAsking:
		d.arrive(n, now)
	case d.state == dialRefused:
		d.fail(n, ErrRefused)
	default:
		d.open(n, now)
	}
}

// arrive is the request at the far place.
func (d *dial) arrive(n *Net, now time.Duration) {
	far, at := n.machines[d.to.Addr()], port{d.to.Proto, d.to.Port()}
	switch {
	case far != nil && far.silent:
		d.retry(now)
	case far == nil || far.listeners[at] == nil:
		d.travel(dialRefused, now)
	default:
		d.target = far.listeners[at]
		d.travel(dialAnswered, now)
	}
}

// retry sends the request again, later and later.
func (d *dial) retry(now time.Duration) {
	d.state = dialAsking
	d.step(now + d.again)
	d.again *= 2
}

// open makes the two links. The far one is told by the first thing to arrive there.
func (d *dial) open(n *Net, now time.Duration) {
	h := d.host
	d.remove()
	local := transport.Addr{Proto: h.proto, AddrPort: netip.AddrPortFrom(h.machine.addr, h.machine.freePort(h.proto))}
	near := newLink(h, local, d.to)
	far := newLink(d.target, d.to, local)
	near.peer, far.peer = far, near
	near.state = linkOpen
	near.hold()

	p := &near.out
	p.syn = true
	p.synAt = now + n.travel(p.weather(), 0, retransmitAfter)
	p.arm()
	n.call.kind, n.call.host, n.call.loop, n.call.link, n.call.tag = Opened, h, near.loop, near, d.tag
}

func (d *dial) fail(n *Net, err error) {
	d.remove()
	n.call.kind, n.call.host, n.call.tag, n.call.err = DialFailed, d.host, d.tag, err
}

// remove takes the dial out of the queue and of its host's list, whose order is the order of dialling but for removals.
func (d *dial) remove() {
	n, h := d.host.net, d.host
	n.queue.stop(&d.ev)
	n.queue.stop(&d.look)
	last := h.dials[len(h.dials)-1]
	h.dials[d.index], last.index = last, d.index
	h.dials[len(h.dials)-1] = nil
	h.dials = h.dials[:len(h.dials)-1]
}
