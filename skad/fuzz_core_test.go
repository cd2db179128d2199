package skad

import (
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A tape is the input of a fuzz test, read as numbers. It ends in zeros.
type tape []byte

func (p *tape) next(n int) int {
	if len(*p) == 0 {
		return 0
	}
	v := int((*p)[0])
	*p = (*p)[1:]
	return v % n
}

// population makes contacts of every kind for one core: many at each prefix, some that share a /24, clients, private
// addresses, newer and forged records of the same nodes.
func population(self ID) (list []*Contact) {
	rnd := newRand(77)
	for i := range 160 {
		id := self.randomIn(i%12+i%3*(i%70), rnd)
		ip := netip.AddrFrom4([4]byte{11, byte(i), 1, 1})
		if i%4 == 0 {
			ip = netip.AddrFrom4([4]byte{12, byte(i % 3), 1, byte(i)}) // three crowded /24
		}
		flags := identity.Flags(0)
		switch i % 20 {
		case 5:
			flags = identity.FlagClient
		case 9:
			ip = netip.AddrFrom4([4]byte{192, 168, 1, byte(i)})
		}
		d := fakeAt(id, ip, 1, flags)
		list = append(list, d)
		switch i % 10 {
		case 1:
			list = append(list, resigned(d, func(r *identity.Record) { r.Seq = 2 }))
		case 2:
			list = append(list, forged(d, 1000+i))
		case 3:
			list = append(list, resigned(d, func(r *identity.Record) { r.Seq, r.Addrs = 3, fakeContact(id, 2000+i).Record.Addrs }))
		case 4:
			list = append(list, resigned(d, func(r *identity.Record) { r.Seq, r.Flags = 4, identity.FlagClient }))
		case 6:
			list = append(list, resigned(d, func(r *identity.Record) { r.Solution[31] = 1 }))
		}
	}
	return list
}

// FuzzCore feeds a core with any events in any order. Law: no panic, and after every event all invariants of check
// hold. Answers to what the core really asked are frequent, so that the deep states are reached.
func FuzzCore(f *testing.F) {
	rnd := newRand(3)
	for n := range 6 {
		b := make([]byte, 60<<n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		c := newCore(t, 1, func(cfg *Config) { cfg.K, cfg.Siblings, cfg.Eta = 4, 4, 2 })
		people := population(c.self.ID)
		playTape(t, c, people, tape(b), func() {
			verify(t, c)
			c.Warm()
			c.WarmFor(&people[0].ID, uint64(len(c.calls)))
			c.WarmFor(nil, 0)
		})
	})
}

// playTape turns a tape into events.
func playTape(t testing.TB, c *Core, people []*Contact, p tape, after func()) {
	var now time.Duration
	var asked []Action
	keys := []ID{c.self.ID, people[0].ID, people[50].ID, people[90].ID}
	person := func() *Contact { return people[(p.next(256)*3+p.next(3))%len(people)] }
	for len(p) > 0 {
		switch op := p.next(16); op {
		case 0, 1, 2, 3, 4, 5: // an answer to something that the core asked
			if len(asked) == 0 {
				c.Connected(now, Peer{person(), p.next(4) != 0})
				break
			}
			k := p.next(len(asked))
			a := asked[k]
			asked = append(asked[:k], asked[k+1:]...)
			m := Message{Op: a.Message.Op + 1, Nonce: a.Message.Nonce}
			switch a.Message.Op {
			case opcode.LookupNodeRequestCode:
				for range p.next(20) {
					m.Contacts = append(m.Contacts, person())
				}
			case opcode.RouteCode:
				m.Refused = p.next(2) == 0
			case opcode.RecordCode:
				m.Op, m.Contacts = opcode.RecordCode, []*Contact{person()}
				if p.next(2) == 0 {
					m.Contacts[0] = a.To
				}
			}
			c.Receive(now, Peer{a.To, p.next(8) != 0}, &m)
		case 6: // time passes
			now += time.Duration(p.next(256)) * time.Duration(p.next(256)) * 20 * time.Millisecond
			c.Expire(now)
		case 7:
			_, _ = c.Lookup(now, keys[p.next(len(keys))], LookupOptions{Paths: p.next(6), Width: p.next(4), Count: p.next(12), StopAtKey: p.next(2) == 0, Unfinished: p.next(3) == 0})
		case 8:
			switch p.next(8) {
			case 0:
				c.Lost(now, person())
			case 1:
				_ = c.LookAround(now)
			default:
				c.SendFailed(now, person())
			}
		case 9:
			c.Dialing(now, person())
		case 10:
			_, _ = c.Route(now, keys[p.next(len(keys))], make([]byte, p.next(256)), p.next(9))
		case 11:
			c.Bootstrap(now, []*Contact{fakeContact(people[p.next(40)].ID, 5000)})
		case 12: // a question, or an answer to nothing
			m := Message{Op: opcode.PingCode + opcode.Opcode(p.next(4)), Nonce: uint64(p.next(256)), Key: keys[p.next(len(keys))], Count: uint8(p.next(256))}
			if m.Op == opcode.LookupNodeResponseCode {
				m.Contacts = []*Contact{person(), nil, person()}
			}
			if m.Op == opcode.LookupNodeRequestCode {
				m.Payload = c.known(m.Nonce, &m.Key, m.Count, nil)
			}
			c.Receive(now, Peer{person(), p.next(3) != 0}, &m)
		case 13:
			m := Message{Op: opcode.RouteCode + opcode.Opcode(p.next(3)), Nonce: uint64(p.next(256)), Route: uint64(p.next(8)), Key: keys[p.next(len(keys))],
				TTL: uint8(p.next(20)), Copy: uint8(p.next(10)), Payload: make([]byte, p.next(256))}
			from := person()
			if m.Op == opcode.RecordCode && p.next(4) != 0 {
				m.Contacts = []*Contact{from}
				if m.Nonce = 0; p.next(4) == 0 {
					m.Contacts[0] = person()
				}
			}
			c.Receive(now, Peer{from, p.next(3) != 0}, &m)
		case 14:
			_ = c.AskRecord(now, person())
		case 15:
			switch p.next(4) {
			case 0:
				c.SetSelf(now, c.self)
			case 1:
				_, _ = c.Restore(now, c.Snapshot(now, nil), time.Duration(p.next(256))*time.Hour)
			default:
				c.Adopt(now, fakeContact(people[p.next(160)].ID, 6000+p.next(256)))
			}
		}
		for _, a := range drain(c) {
			if a.Kind == ActionSend && len(asked) < 64 {
				switch a.Message.Op {
				case opcode.PingCode, opcode.LookupNodeRequestCode, opcode.RouteCode, opcode.RecordCode:
					asked = append(asked, a)
				}
			}
		}
		after()
	}
}
