package proxy

import (
	"cmp"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/internal/fair"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// relay is what a Component does for others. Its maps are under mu; a circuit has a lock of its own, which is taken
// without mu.
type relay struct {
	c       *Component
	waiting atomic.Int64 // bytes that wait for peers that do not read
	task    *engine.Task // looks for what has expired; on the home loop

	mu       sync.RWMutex
	held     map[identity.ID]*reservation
	circuits map[uint32]*circuit
	byPeer   map[*engine.PeerClient]*visitor
	shares   fair.Memory[netip.Prefix, *circuit] // of circuits, by the network of whoever has asked for them
	last     uint32                              // number of the last circuit
	closed   bool
}

// A reservation is a node that this relay is reachable for.
type reservation struct {
	peer  *engine.PeerClient
	until time.Duration // engine time
}

// A visitor is a peer that has circuits through this relay. Under the relay's mu.
type visitor struct {
	legs    map[*circuit]side
	dialled int                                 // of these, those that it has asked for
	invited int                                 // those that lead to it
	shares  fair.Memory[netip.Prefix, *circuit] // of these, by the network of whoever has asked for them

	dials   bool          // it has asked for a circuit: it is remembered while it is connected
	askedAt time.Duration // when all it has asked for has been earned, at one in askEvery
}

// mayAsk reports whether the visitor may ask for another circuit already: each one is an invitation to somebody.
func (v *visitor) mayAsk(now time.Duration) bool {
	v.dials = true
	if v.askedAt > now+askAhead*askEvery {
		return false
	}
	v.askedAt = max(v.askedAt, now) + askEvery
	return true
}

func (s *relay) init(c *Component) {
	s.c = c
	s.held = map[identity.ID]*reservation{}
	s.circuits = map[uint32]*circuit{}
	s.byPeer = map[*engine.PeerClient]*visitor{}
}

func (s *relay) startup() {
	if !s.c.cfg.Serve {
		return
	}
	s.c.advertise()
	home := s.c.net.HomeLoop()
	s.task = home.NewTask("relay", s.sweep)
	home.Post(func() { s.task.WakeAt(home.Now() + sweepEvery) })
}

func (s *relay) cleanup() {
	s.mu.Lock()
	s.closed = true
	var open []*circuit
	for _, c := range s.circuits {
		open = append(open, c)
	}
	clear(s.held)
	s.mu.Unlock()
	for _, c := range open {
		c.end(Gone)
	}
	if s.task != nil {
		s.c.net.HomeLoop().Post(s.task.Stop)
	}
}

func (s *relay) counts() (reservations, circuits int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.held), len(s.circuits)
}

// reserve grants a reservation, renews it, or takes it back.
func (s *relay) reserve(ctx *engine.ComponentContext, r request) {
	p := ctx.Client()
	why, seconds := s.reserving(p, r.number)
	if why != None {
		s.c.count.refused.Add(1)
	} else if seconds > 0 {
		s.c.count.granted.Add(1)
	}
	reply(ctx, response{reason: why, number: seconds})
}

func (s *relay) reserving(p *engine.PeerClient, wanted uint32) (Reason, uint32) {
	switch {
	case !s.c.cfg.Serve:
		return NotARelay, 0
	case p.Relayed():
		return Loop, 0
	case !p.Reliable():
		return Lossy, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.held[p.ID()]
	switch {
	case wanted == 0:
		delete(s.held, p.ID())
		return None, 0
	case s.closed, have == nil && len(s.held) >= s.c.cfg.Limits.Reservations:
		return Full, 0
	}
	granted := min(wanted, uint32(s.c.cfg.Limits.Lifetime/time.Second))
	s.held[p.ID()] = &reservation{peer: p, until: s.c.net.Now() + time.Duration(granted)*time.Second}
	return None, granted
}

// connect makes a circuit to a node that has a reservation here, if that wants it.
func (s *relay) connect(ctx *engine.ComponentContext, r request) {
	p := ctx.Client()
	c, why := s.begin(p, r.id)
	if why != None {
		s.c.count.refused.Add(1)
		reply(ctx, response{reason: why})
		return
	}
	kept := ctx.Retain()
	invite := request{kind: kindInvite, number: c.number(callee), window: uint32(s.c.cfg.Limits.Window), id: p.ID()}
	err := c.legs[callee].peer.RequestRawAsync(opcode.ProxyRequestCode, invite.append(nil), inviteTimeout, func(answer *engine.ComponentContext, err error) {
		s.answered(kept, c, answer, err)
	})
	if err != nil {
		s.answered(kept, c, nil, err)
	}
}

// answered: the node that was asked for has said yes or no, or nothing.
func (s *relay) answered(asked *engine.ComponentContext, c *circuit, answer *engine.ComponentContext, err error) {
	why := Gone
	if err == nil {
		if r, bad := parseResponse(answer.Payload()); bad != nil || r.reason != None {
			why = Declined
		} else {
			why = None
		}
	}
	if why != None || !c.open() {
		s.c.count.refused.Add(1)
		s.forget(c)
		reply(asked, response{reason: max(why, Declined)})
		return
	}
	s.c.count.opened.Add(1)
	reply(asked, response{number: c.number(caller), window: uint32(s.c.cfg.Limits.Window)})
}

// begin makes a circuit that is not open yet, if there may be one. Where there is no room, one makes room of
// the network that has most, if that has more than this one would: or a handful of identities at one place
// could keep all others out.
func (s *relay) begin(p *engine.PeerClient, to identity.ID) (*circuit, Reason) {
	switch {
	case !s.c.cfg.Serve:
		return nil, NotARelay
	case p.Relayed():
		return nil, Loop
	case !p.Reliable():
		return nil, Lossy
	case to == p.ID(), to == s.c.net.ID():
		return nil, Self
	}
	now := s.c.net.Now()
	s.mu.Lock()
	c, crowd, why := s.enterLocked(now, p, to, false)
	s.mu.Unlock()
	if crowd != nil {
		crowd.until.Store(int64(now)) // so that it is not waited for if it does not read this
		crowd.end(Full)
		s.mu.Lock()
		c, _, why = s.enterLocked(now, p, to, true)
		s.mu.Unlock()
	}
	return c, why
}

// enterLocked puts a circuit into the books if there is room, or finds the one that is to make room. again:
// it has been asked already.
func (s *relay) enterLocked(now time.Duration, p *engine.PeerClient, to identity.ID, again bool) (c, crowd *circuit, why Reason) {
	limits := &s.c.cfg.Limits
	have := s.held[to]
	switch {
	case have == nil, have.until <= now:
		return nil, nil, Unknown
	case s.closed:
		return nil, nil, Full
	}
	from, target, network := s.visitorLocked(p), s.visitorLocked(have.peer), engine.Subnet(p.Origin().Addr())
	defer s.tidyLocked(p)
	defer s.tidyLocked(have.peer)
	switch {
	case !again && !from.mayAsk(now), from.dialled >= limits.CircuitsPerNode, from.circuitsTo(have.peer) >= pairLimit:
		return nil, nil, Full
	case target.invited >= limits.CircuitsPerNode:
		return nil, crowded(&target.shares, network), Full
	case len(s.circuits) >= limits.Circuits:
		return nil, crowded(&s.shares, network), Full
	}
	for s.last++; s.circuits[s.last&numberMask] != nil; s.last++ {
	}
	c = newCircuit(s, s.last&numberMask, p, have.peer, now+limits.Duration)
	s.circuits[c.index] = c
	from.legs[c], target.legs[c] = caller, callee
	from.dialled++
	target.invited++
	c.places = [...]*share{s.shares.Add(network, c), target.shares.Add(network, c)}
	return c, nil, None
}

// A share is a circuit's place among those of its network.
type share = fair.Item[netip.Prefix, *circuit]

// crowded is the circuit that is to make room for one from a network: the oldest of the network that has
// most, as its ends have had time to find a direct way. nil: that one has hardly more, or is the same.
func crowded(shares *fair.Memory[netip.Prefix, *circuit], network netip.Prefix) *circuit {
	if most := shares.Victim(); most != nil && shares.Of(shares.Owner(most)) > shares.Of(network)+1 {
		return most.Value
	}
	return nil
}

// makeRoom ends the circuit in which most waits, where Limits.Memory is used up. It reports false if that is c.
func (s *relay) makeRoom(c *circuit) bool {
	most := s.fullest()
	if most == nil || most == c {
		return false
	}
	most.end(Busy)
	return true
}

// fullest is the circuit in which most waits, of those that the network in whose circuits most waits has asked
// for: or a few identities at one place could have the circuits of all others end. nil: nothing waits.
func (s *relay) fullest() (most *circuit) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sums := map[netip.Prefix]int64{}
	for _, c := range s.circuits {
		if n := c.waits.Load(); n > 0 {
			sums[s.networkOf(c)] += n
		}
	}
	for _, c := range s.circuits {
		if c.waits.Load() > 0 && (most == nil || s.fuller(c, most, sums)) {
			most = c
		}
	}
	return most
}

// fuller reports whether c is to end rather than most. The number decides between equals, for runs that repeat.
func (s *relay) fuller(c, most *circuit, sums map[netip.Prefix]int64) bool {
	return cmp.Or(cmp.Compare(sums[s.networkOf(c)], sums[s.networkOf(most)]),
		cmp.Compare(c.waits.Load(), most.waits.Load()), cmp.Compare(most.index, c.index)) > 0
}

// networkOf is the network that has asked for a circuit, which is in the books.
func (s *relay) networkOf(c *circuit) netip.Prefix { return s.shares.Owner(c.places[0]) }

func (s *relay) visitorLocked(p *engine.PeerClient) *visitor {
	v := s.byPeer[p]
	if v == nil {
		v = &visitor{legs: map[*circuit]side{}}
		s.byPeer[p] = v
	}
	return v
}

// circuitsTo counts the circuits that v has dialled to p.
func (v *visitor) circuitsTo(p *engine.PeerClient) (n int) {
	for c, at := range v.legs {
		if at == caller && c.legs[callee].peer == p {
			n++
		}
	}
	return n
}

// tidyLocked forgets a visitor without circuits.
func (s *relay) tidyLocked(p *engine.PeerClient) {
	if v := s.byPeer[p]; v != nil && len(v.legs) == 0 && !v.dials {
		delete(s.byPeer, p)
	}
}

// forget takes a circuit out of the books.
func (s *relay) forget(c *circuit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.circuits[c.index] != c {
		return
	}
	delete(s.circuits, c.index)
	s.shares.Remove(c.places[0])
	if v := s.byPeer[c.legs[callee].peer]; v != nil {
		v.shares.Remove(c.places[1])
	}
	for at := range c.legs {
		p := c.legs[at].peer
		v := s.byPeer[p]
		if v == nil {
			continue
		}
		delete(v.legs, c)
		if side(at) == caller {
			v.dialled--
		} else {
			v.invited--
		}
		s.tidyLocked(p)
	}
}

// up passes on what an end of a circuit sends.
func (s *relay) up(ctx *engine.ComponentContext, r request) {
	s.mu.RLock()
	c := s.circuits[r.number>>1]
	s.mu.RUnlock()
	at := side(r.number & 1)
	if c == nil || c.legs[at].peer != ctx.Client() { // ended just now, or somebody else's
		s.c.count.stray.Add(1)
		return
	}
	if r.kind == kindEndUp {
		c.ended(at, r.reason)
		return
	}
	c.forward(ctx.Now(), at, ctx.Payload())
}

// peerGone ends everything of a peer that has gone.
func (s *relay) peerGone(p *engine.PeerClient) {
	s.mu.Lock()
	if have := s.held[p.ID()]; have != nil && have.peer == p {
		delete(s.held, p.ID())
	}
	var legs map[*circuit]side
	if v := s.byPeer[p]; v != nil {
		legs = make(map[*circuit]side, len(v.legs))
		for c, at := range v.legs {
			legs[c] = at
		}
		v.dials = false
		s.tidyLocked(p)
	}
	s.mu.Unlock()
	for c, at := range legs {
		c.gone(at)
	}
}

// sweep ends what has expired. On the home loop.
func (s *relay) sweep() {
	now := s.c.net.Now()
	s.task.WakeAt(now + sweepEvery)
	var late []*circuit
	s.mu.Lock()
	for id, r := range s.held {
		if r.until <= now {
			delete(s.held, id)
		}
	}
	for _, c := range s.circuits {
		if c.until.Load() <= int64(now) {
			late = append(late, c)
		}
	}
	s.mu.Unlock()
	for _, c := range late {
		c.end(Expired)
	}
}
