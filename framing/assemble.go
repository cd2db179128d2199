package framing

import (
	"errors"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
)

// Why a fragment is refused. Each is the peer's fault and ends the connection; the Assembler is left as it was.
var (
	ErrMessageTooLarge  = errors.New("framing: message larger than its opcode allows")
	ErrFragmentNoID     = errors.New("framing: fragment without an id")
	ErrFragmentEmpty    = errors.New("framing: empty fragment that is not the last")
	ErrFragmentMismatch = errors.New("framing: fragment of another opcode or with other flags than the first")
	ErrFragmentsTooMany = errors.New("framing: more than FragmentedLimit messages in fragments at once")
	ErrFragmentsTooBig  = errors.New("framing: unfinished messages larger than GatheredLimit")
)

// An Assembler gathers the fragments of messages that are larger than a frame.
//
//	frame  id=7 more    frame id=7 more    frame id=9    frame id=7
//	       └─ first ────────┴── next ──────────│─────────────┴─ last: the message is whole
//	                                            └ a message of its own passes between
//
// All fragments of a message carry its id, its opcode and its flags; FlagMore is on all but the last. Requests and replies
// count ids apart (a reply carries the asker's number), so the reply flag is part of the name of a message.
//
// The zero value is ready and holds nothing; a nil *Assembler answers Held and Gathering and takes no fragment. It
// belongs to the peer's loop, one goroutine at a time. When no message is unfinished it holds no memory but itself.
type Assembler struct {
	unfinished []partial // in the order they began; at most FragmentedLimit
	held       int       // sum of the capacities of unfinished
}

// A partial is a message of which the last fragment has not come.
type partial struct {
	buf   []byte // what has come. Invariant: 0 < len(buf), cap(buf) <= 2*len(buf)
	op    opcode.Opcode
	id    uint32
	flags Flags // of every fragment, without FlagMore
}

// Add takes the next frame of a peer; limit is what the opcode of f allows a whole message to be. done says that a
// message is whole now, and msg is it:
//
//   - f was a whole message: msg is f.Payload, nothing is copied, and it lives as long as the record f came from;
//   - f was its last fragment: the caller owns msg, and the Assembler has forgotten it.
//
// The size is checked before a byte is kept. After an error the connection has to end.
func (a *Assembler) Add(f Frame, limit int) (msg []byte, done bool, err error) {
	i := a.find(f)
	if i < 0 && f.Flags&FlagMore == 0 {
		if len(f.Payload) > limit {
			return nil, false, ErrMessageTooLarge
		}
		return f.Payload, true, nil
	}
	if i < 0 {
		return nil, false, a.begin(f, limit)
	}
	return a.extend(i, f, limit)
}

// Held is the memory, in bytes, that unfinished messages take: at most twice what was received of them, and at most
// GatheredLimit.
func (a *Assembler) Held() int {
	if a == nil {
		return 0
	}
	return a.held
}

// Gathering reports how many messages are unfinished.
func (a *Assembler) Gathering() int {
	if a == nil {
		return 0
	}
	return len(a.unfinished)
}

// Reset forgets all unfinished messages and their memory.
func (a *Assembler) Reset() { *a = Assembler{} }

// find returns the index of the unfinished message f belongs to, or -1.
func (a *Assembler) find(f Frame) int {
	if a == nil {
		return -1
	}
	for i := range a.unfinished {
		if p := &a.unfinished[i]; p.id == f.ID && (p.flags^f.Flags)&FlagReply == 0 {
			return i
		}
	}
	return -1
}

// begin keeps the first fragment of a message.
func (a *Assembler) begin(f Frame, limit int) error {
	size := len(f.Payload)
	switch {
	case f.ID == 0:
		return ErrFragmentNoID
	case size == 0:
		return ErrFragmentEmpty
	case size > limit:
		return ErrMessageTooLarge
	case len(a.unfinished) >= FragmentedLimit:
		return ErrFragmentsTooMany
	case a.held+size > GatheredLimit:
		return ErrFragmentsTooBig
	}
	buf := make([]byte, size)
	copy(buf, f.Payload)
	a.unfinished = append(a.unfinished, partial{buf: buf, op: f.Op, id: f.ID, flags: f.Flags &^ FlagMore})
	a.held += cap(buf)
	return nil
}

// extend adds f to message i and takes the message out if that was its last fragment.
func (a *Assembler) extend(i int, f Frame, limit int) (msg []byte, done bool, err error) {
	p := &a.unfinished[i]
	last := f.Flags&FlagMore == 0
	size := len(p.buf) + len(f.Payload)
	switch {
	case p.op != f.Op || p.flags != f.Flags&^FlagMore:
		return nil, false, ErrFragmentMismatch
	case len(f.Payload) == 0 && !last:
		return nil, false, ErrFragmentEmpty
	case size > limit:
		return nil, false, ErrMessageTooLarge
	}
	before := cap(p.buf)
	room := grown(before, size, limit, last)
	if a.held-before+room > GatheredLimit {
		return nil, false, ErrFragmentsTooBig
	}
	buf := p.buf
	if room > before {
		buf = make([]byte, len(p.buf), room)
		copy(buf, p.buf)
	}
	buf = append(buf, f.Payload...)
	if last {
		a.drop(i)
		return buf, true, nil
	}
	p.buf = buf
	a.held += cap(buf) - before
	invariant.Check(cap(buf) <= 2*len(buf), "framing: bug: a partial message holds more than twice what came")
	return nil, false, nil
}

// grown returns the capacity for size bytes where room were enough until now: the same, or at least twice as much, so that
// every byte is copied a bounded number of times; never more than the message may become, and exactly size at the end.
func grown(room, size, limit int, last bool) int {
	switch {
	case size <= room:
		return room
	case last:
		return size
	}
	return max(size, min(2*room, limit))
}

// drop forgets message i, and the list with the last one.
func (a *Assembler) drop(i int) {
	a.held -= cap(a.unfinished[i].buf)
	last := len(a.unfinished) - 1
	copy(a.unfinished[i:], a.unfinished[i+1:])
	a.unfinished[last] = partial{}
	a.unfinished = a.unfinished[:last]
	if last == 0 {
		a.unfinished = nil
	}
}
