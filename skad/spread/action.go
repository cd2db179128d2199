package spread

import (
	"slices"

	"github.com/carrier-p2p/carrier/skad"
)

// An ActionKind says what an Action asks for.
type ActionKind uint8

const (
	// ActionSend: send Message to To over its session, dial one of To.Addrs first if there is none. Report what does
	// not go out with SendFailed and Message.ID, which is also set in a Have that delegates one message.
	ActionSend ActionKind = iota + 1

	// ActionDeliver: a message has arrived, for the application. Its signature is good and Config.Validate has accepted
	// it. To is who it came from. Every message is delivered once; own ones are not.
	ActionDeliver

	// ActionBlame: To has broken a rule, Reason. Whoever owns the session decides what follows; Reason.Weight says how
	// bad it is.
	ActionBlame
)

// An Action is what the core wants done. Message.IDs is good until the next call of any other method than Next;
// Message.Payload is never changed and may be kept.
type Action struct {
	Kind    ActionKind
	Reason  skad.Reason
	To      *skad.Contact
	Message Message
}

// Next takes the next action, in the order in which they were decided. Call it until it returns false after every call
// that may have caused some.
func (c *Core) Next() (a Action, ok bool) {
	if c.outNext == len(c.out) {
		return Action{}, false
	}
	a = c.out[c.outNext]
	c.out[c.outNext] = Action{}
	c.outNext++
	return a, true
}

func (c *Core) emit(a Action) { c.out = append(c.out, a) }

func (c *Core) send(to *skad.Contact, m Message) {
	c.emit(Action{Kind: ActionSend, To: to, Message: m})
}

// keepIDs returns a copy of ids in memory that lives as long as the actions of this turn.
func (c *Core) keepIDs(ids ...MessageID) []MessageID {
	from := len(c.ids)
	c.ids = append(slices.Grow(c.ids, len(ids)), ids...)
	return c.ids[from:len(c.ids):len(c.ids)]
}
