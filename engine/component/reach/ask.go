package reach

import (
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path: deadline, answers, peers -> [turn] -> judge -> DialBackRequest, the record. The only place that touches the judge.

// asks are the questions whose answers are waited for, and of whom. Any goroutine.
type asks struct {
	mu   sync.Mutex
	open map[uint64]identity.ID
}

func (a *asks) add(nonce uint64, id identity.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[nonce] = id
}

// take reports whether an answer is this peer's and waited for. It is for once.
func (a *asks) take(nonce uint64, id identity.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[nonce] != id || id.IsZero() {
		return false
	}
	delete(a.open, nonce)
	return true
}

// clear forgets them all: their round is over.
func (a *asks) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.open)
}

// turn does what is due.
func (c *Component) turn() {
	if c.over {
		return
	}
	now := c.loop.Now()
	c.watch(now)
	if c.voters.count() >= quorum {
		c.judge.fed(now)
	}
	c.judge.expire(now)
	if !c.judge.running && c.judge.nextAt <= now {
		c.begin(now)
	}
	for c.judge.running && c.step(now) {
	}
	if !c.judge.running {
		c.asks.clear()
	}
	c.conclude(now)
	c.task.WakeAt(min(c.judge.deadline(), now+watchEvery))
}

// begin begins a round, if there are networks enough for a verdict and anything to ask them.
func (c *Component) begin(now time.Duration) {
	switch enough := c.voters.count() >= quorum; {
	case !enough:
		c.judge.alone(now)
	case len(c.addrs) == 0:
		c.judge.nothing(now)
	default:
		c.judge.begin(c.addrs)
	}
}

// step asks one peer more, or counts what is there. It reports false if only time or answers can bring more.
func (c *Component) step(now time.Duration) bool {
	at, more := c.judge.wanted()
	if more {
		if v, ok := c.voters.pick(at.Addr(), c.judge.polled(), c.judge.before, c.judge.rnd); ok {
			c.ask(now, v, at)
			return true
		}
	}
	return c.judge.settle(now, more)
}

// ask has a peer dial this node back. One that has no room for the question abstains.
func (c *Component) ask(now time.Duration, v voter, at transport.Addr) {
	nonce := c.judge.rnd.Uint64() | 1 // never 0
	c.judge.ask(now, v.id, v.group, nonce)
	var room [40]byte
	c.asks.add(nonce, v.id)
	if err := v.peer.TrySendRaw(opcode.DialBackRequestCode, request{nonce, at}.append(room[:0])); err != nil {
		c.asks.take(nonce, v.id)
		c.judge.answered(nonce, Abstained)
	}
	c.asked.Add(1)
}

// conclude says in the record and to the subscribers of events what has been decided.
func (c *Component) conclude(now time.Duration) {
	j, was := c.judge, c.shown.Load()
	switch {
	case c.cfg.Mode != Auto:
	case j.verdict == Unreachable:
		c.mark(true)
	case j.verdict == Reachable:
		c.mark(false)
	}
	r := &Report{
		Mode: c.cfg.Mode, Verdict: j.verdict, Client: c.net.Record().Flags&identity.FlagClient != 0, Addr: j.addr, Votes: slices.Clone(j.votes),
		Networks: c.voters.count(), Rounds: j.rounds, Since: j.decided, Asking: j.running, Next: j.nextAt,
	}
	c.shown.Store(r)
	if r.Verdict != was.Verdict || r.Addr != was.Addr {
		c.net.Publish(engine.Event{Kind: engine.Reachability, Addr: r.Addr, Text: r.String()})
	}
}
