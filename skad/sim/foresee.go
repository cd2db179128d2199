package sim

// ahead is how many events are foreseen at a time: processors wait for some sixteen reads at once.
const ahead = 16

// foresee reads the memory that the next events will need, see skad.Core.Warm. In a network of 10,000 nodes
// every event is in another node, whose memory no cache holds any more; one after the other they would each
// wait for it some ten times. It changes nothing, and what is foreseen need not come.
func (s *shard) foresee(events []event) {
	var soon [ahead]struct {
		to, from *Node
		nonce    uint64
	}
	for i, e := range events {
		switch e.kind {
		case arrival:
			f := &s.flights[e.what]
			soon[i].to, soon[i].from, soon[i].nonce = f.to, f.from, f.message.Nonce
		case deadline:
			if s.alarms[e.what].due <= e.at {
				soon[i].to = s.nodes[e.what]
			}
		}
	}
	read := 0
	for i := range soon {
		if n := soon[i].to; n != nil && n.core != nil {
			read += n.core.Warm()
		} else {
			soon[i].to = nil
		}
		if n := soon[i].from; n != nil {
			read += int(n.index)
		}
	}
	for i := range soon {
		n, from := soon[i].to, soon[i].from
		switch {
		case n == nil:
		case from == nil:
			read += n.core.WarmFor(nil, 0)
		default:
			read += n.core.WarmFor(&from.contact.ID, soon[i].nonce)
		}
	}
	for i := range soon { // whoever answers needs the address
		if n, from := soon[i].to, soon[i].from; n != nil && from != nil {
			read += int(from.contact.Addrs[0].Proto)
		}
	}
	s.foreseen += read
}
