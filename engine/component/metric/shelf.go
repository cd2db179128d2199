package metric

import (
	"time"

	"github.com/carrier-p2p/carrier/engine"
)

// A gauge is what is kept of a peer that is asked. It belongs to the peer's loop.
type gauge struct {
	peer  *engine.PeerClient
	place int // in the shelf's list

	last, least, jitter time.Duration
	asked, lost         int64
	asking              bool

	lookedAt        time.Duration // when the bytes were looked at
	in, out         uint64
	rateIn, rateOut float64
}

// observe adds a round trip.
func (g *gauge) observe(rtt time.Duration) {
	if g.last > 0 {
		g.jitter += ((rtt - g.last).Abs() - g.jitter) / 16
	}
	if g.last = rtt; g.least == 0 || rtt < g.least {
		g.least = rtt
	}
}

// look takes the bytes that went each way since it looked last.
func (g *gauge) look(now time.Duration) {
	in, out := g.peer.Traffic()
	if d := (now - g.lookedAt).Seconds(); d > 0 {
		g.rateIn, g.rateOut = float64(in-g.in)/d, float64(out-g.out)/d
	}
	g.in, g.out, g.lookedAt = in, out, now
}

// A shelf is what one loop keeps: its peers' gauges and the task that visits them. It belongs to the loop.
type shelf struct {
	owner  *Component
	loop   engine.Loop
	task   *engine.Task // nil: peers are not asked
	gauges map[*engine.PeerClient]*gauge
	order  []*gauge
	cursor int
}

func (s *shelf) init(c *Component) {
	s.owner, s.gauges = c, map[*engine.PeerClient]*gauge{}
	s.task = s.loop.NewTask("metric", s.visit)
}

// PeerConnect begins to ask a peer.
func (c *Component) PeerConnect(p *engine.PeerClient) {
	s := &c.loops[p.Loop().Index()]
	if s.task == nil {
		return
	}
	g := &gauge{peer: p, place: len(s.order), lookedAt: s.loop.Now()}
	s.gauges[p] = g
	if s.order = append(s.order, g); len(s.order) == 1 {
		s.task.WakeAt(s.loop.Now() + s.tick())
	}
}

// PeerDisconnect ends that.
func (c *Component) PeerDisconnect(p *engine.PeerClient) {
	s := &c.loops[p.Loop().Index()]
	g := s.gauges[p]
	if g == nil {
		return
	}
	delete(s.gauges, p)
	last := len(s.order) - 1
	s.order[g.place], s.order[last].place = s.order[last], g.place
	s.order[last] = nil
	s.order = s.order[:last]
}

// tick is the time between two visits.
func (s *shelf) tick() time.Duration { return max(s.owner.cfg.Every/rounds, tickLeast) }

// visit asks the next part of the peers.
func (s *shelf) visit() {
	if len(s.order) == 0 {
		return
	}
	now, every := s.loop.Now(), s.owner.cfg.Every
	for range int(int64(len(s.order))*int64(s.tick())/int64(every)) + 1 {
		if s.cursor++; s.cursor >= len(s.order) {
			s.cursor = 0
		}
		g := s.order[s.cursor]
		if g.asking || now-g.lookedAt < every-s.tick()/2 && g.asked > 0 {
			break // all have been asked in this time
		}
		g.look(now)
		s.ask(g)
	}
	s.task.WakeAt(now + s.tick())
}

// ask asks one peer. One that has no room for a question is busy enough, and asked next time.
func (s *shelf) ask(g *gauge) {
	err := s.owner.AskAsync(g.peer, func(rtt time.Duration, err error) {
		if g.asking = false; err != nil {
			g.lost++
			return
		}
		g.observe(rtt)
	})
	if err == nil {
		g.asked++
		g.asking = true
	}
}

// tell makes Peers of connections of this loop that are still open.
func (s *shelf) tell(peers []*engine.PeerClient) []Peer {
	told := make([]Peer, 0, len(peers))
	for _, p := range peers {
		if !p.Connected() {
			continue
		}
		t := Peer{Client: p, RTT: p.RTT()}
		t.BytesIn, t.BytesOut = p.Traffic()
		if g := s.gauges[p]; g != nil {
			t.RTTLast, t.RTTMin, t.Jitter, t.Asked, t.Lost = g.last, g.least, g.jitter, g.asked, g.lost
			t.RateIn, t.RateOut = g.rateIn, g.rateOut
		}
		told = append(told, t)
	}
	return told
}
