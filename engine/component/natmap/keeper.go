package natmap

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A keeper drives a machine: it makes the calls, keeps the time and looks after the routing table. One goroutine, run, owns it.
type keeper struct {
	m       *machine
	place   func() (Gateway, error)
	dial    func(Gateway) [protocols]dialect
	want    func(local netip.Addr) []Port
	changed func(Report) // after every step in which something may have
	event   func(event)

	began    time.Time
	gateway  Gateway
	dialects [protocols]dialect // of the gateway
	problem  error              // why there is no gateway
	results  chan result
	underWay int
}

// dial makes the dialects for a gateway.
func dial(g Gateway) [protocols]dialect {
	return [protocols]dialect{PMP: newPMP(g), UPnP: newUPnP(g)}
}

func newKeeper(lifetime time.Duration, place func() (Gateway, error), dial func(Gateway) [protocols]dialect) *keeper {
	return &keeper{
		m: newMachine(lifetime), place: place, dial: dial, began: time.Now(),
		// Room for all that can be under way when run has ended, so that nobody waits for a reader: one call for each
		// protocol, and those to gateways that have been left.
		results: make(chan result, protocols*(portLimit+1)),
	}
}

func (k *keeper) now() time.Duration { return time.Since(k.began) }

// run keeps the mappings until ctx ends, then removes them.
func (k *keeper) run(ctx context.Context) {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	look := time.NewTicker(routeEvery)
	defer look.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	k.look()
	for ctx.Err() == nil {
		k.step(calls)
		due.Reset(k.untilDue())
		select {
		case <-ctx.Done():
		case r := <-k.results:
			k.underWay--
			k.m.Receive(k.now(), r)
		case <-look.C:
			k.look()
		case <-due.C:
			k.m.Expire(k.now())
		}
	}
	k.farewell(calls)
}

// farewell removes what is mapped, for as long as that may take.
func (k *keeper) farewell(calls context.Context) {
	late := time.NewTimer(farewellTimeout)
	defer late.Stop()
	k.m.Stop(k.now())
	for k.step(calls); !k.m.Done() || k.underWay > 0; k.step(calls) {
		select {
		case r := <-k.results:
			k.underWay--
			k.m.Receive(k.now(), r)
		case <-late.C:
			return
		}
	}
}

// untilDue is how long the machine can wait.
func (k *keeper) untilDue() time.Duration {
	at := k.m.Deadline()
	if at == never {
		return routeEvery
	}
	return max(at-k.now(), 0)
}

// look asks where the host stands; it may have moved to another network, or got another address.
func (k *keeper) look() {
	g, err := k.place()
	if k.problem = err; err != nil {
		g = Gateway{}
	}
	if g != k.gateway {
		k.gateway = g
		k.m.Gateway(k.now(), g)
		if !g.isZero() {
			k.dialects = k.dial(g)
		}
	}
	var ports []Port
	if !g.isZero() {
		ports = k.want(g.Local)
	}
	if !slices.Equal(ports, k.m.ports) {
		k.m.Want(k.now(), ports)
	}
}

// call asks the gateway. What it answers is read by libraries; an answer that one of them panics at is nonsense, not the
// node's end.
func call(ctx context.Context, d dialect, act action) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{Action: act, Err: fmt.Errorf("%w: %v", ErrNonsense, p)}
		}
	}()
	return d.do(ctx, act)
}

// step starts the calls that the machine wants made and tells what has happened.
func (k *keeper) step(calls context.Context) {
	for act, ok := k.m.Next(); ok; act, ok = k.m.Next() {
		if act.turn != k.m.turn && k.underWay >= cap(k.results)-protocols {
			continue // to a gateway that was left, with many such calls under way: the mapping ends by itself
		}
		d := k.dialects[act.Via]
		if act.Gateway != k.gateway {
			d = k.dial(act.Gateway)[act.Via]
		}
		k.underWay++
		go func() { k.results <- call(calls, d, act) }()
	}
	k.changed(k.m.report(k.problem)) // first: who hears of an event may look
	for e, ok := k.m.NextEvent(); ok; e, ok = k.m.NextEvent() {
		k.event(e)
	}
}
