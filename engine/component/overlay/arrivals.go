package overlay

import "github.com/carrier-p2p/carrier/skad"

// arrivals are messages whose way has ended here and that wait to be looked at: arrivalsLimit and arrivalsBytes at most, and of
// these an arrivalsShare-th from one last hop, so that nobody keeps the messages of all others out. The zero value is empty.
type arrivals struct {
	list  []arrival
	bytes int
	hops  map[skad.ID]load
}

// An arrival is one of them, and who has handed it over; the zero ID for this node's own.
type arrival struct {
	msg skad.Message // Payload is ours
	hop skad.ID
}

// A load is what waits of one last hop.
type load struct{ messages, bytes int }

// put takes in what the core has delivered, whose payload is lent, and reports whether there was room.
func (s *arrivals) put(a *skad.Action) bool {
	size := len(a.Message.Payload)
	var hop skad.ID
	if a.To != nil {
		hop = a.To.ID
	}
	of := s.hops[hop]
	if len(s.list) == arrivalsLimit || s.bytes+size > arrivalsBytes ||
		a.To != nil && (of.messages == arrivalsLimit/arrivalsShare || of.bytes+size > arrivalsBytes/arrivalsShare) {
		return false
	}
	m := a.Message
	m.Payload = append([]byte(nil), m.Payload...) // and the application's code must not run in discovery's turn
	if s.hops == nil {
		s.hops = map[skad.ID]load{}
	}
	s.list = append(s.list, arrival{m, hop})
	s.bytes += size
	s.hops[hop] = load{of.messages + 1, of.bytes + size}
	return true
}

// take takes the oldest out.
func (s *arrivals) take() (skad.Message, bool) {
	if len(s.list) == 0 {
		return skad.Message{}, false
	}
	a := s.list[0]
	s.list[0] = arrival{}
	if s.list = s.list[1:]; len(s.list) == 0 {
		s.list = nil
	}
	size := len(a.msg.Payload)
	s.bytes -= size
	if of := s.hops[a.hop]; of.messages > 1 {
		s.hops[a.hop] = load{of.messages - 1, of.bytes - size}
	} else {
		delete(s.hops, a.hop)
	}
	return a.msg, true
}
