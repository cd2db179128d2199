package skad

// An ActionKind says what an Action asks for.
type ActionKind uint8

const (
	// ActionSend: send Message to To over its session, dial one of To.Addrs first if there is none. Report what does
	// not work with SendFailed.
	ActionSend ActionKind = iota + 1

	// ActionLookup: a lookup has ended; Result.
	ActionLookup

	// ActionDeliver: a routed message has arrived here, the live node closest to its key as far as is known. Message
	// holds Route, Origin (claimed), Key, Copy and Payload; To is the last hop, nil if we sent it ourselves. Copies of
	// one message are delivered once.
	ActionDeliver

	// ActionRouted: a copy of our own routed message (Message.Route, Message.Copy) was taken over by To; nil: by
	// nobody.
	ActionRouted

	// ActionBlame: To has broken a rule, Reason; Banned says that it has lost its place here for an hour. Whoever owns
	// the session decides what else follows.
	ActionBlame

	// ActionRecord: To has answered AskRecord, and is what is known of it now: a newer record if the answer was a good one.
	ActionRecord

	// ActionReady: the node has joined, and its neighbourhood is known.
	ActionReady
)

// An Action is what the core wants done. Message.Contacts and, with ActionDeliver, Message.Payload are good until the
// next call of any other method than Next; the contacts themselves stay good for ever.
type Action struct {
	Kind    ActionKind
	Reason  Reason
	Banned  bool
	To      *Contact
	Message Message
	Result  *Result
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

func (c *Core) send(to *Contact, m Message) { c.emit(Action{Kind: ActionSend, To: to, Message: m}) }
