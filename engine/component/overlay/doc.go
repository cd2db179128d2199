// Package overlay carries messages over the overlay instead of over a connection of one's own: to the live node closest
// to a key, whoever that is (Route), and to a node by its ID, also where it cannot be dialled (SendTo).
//
//	o, err := overlay.New(overlay.Config{Discovery: d, Deliver: func(m overlay.Message) bool { ...; return true }})
//	err = net.AddComponent(d)
//	err = net.AddComponent(o)
//	err = o.Route(ctx, overlay.KeyOf("users/42"), payload)   // taken over by the first hop
//	err = o.SendTo(ctx, id, payload)                      // received: the node itself says so
//
// A message goes from hop to hop (skad: Route, 24), each strictly closer to the key and each acknowledged, in several
// copies over distinct first hops. It is there when a lookup would know whom to dial, and costs no connection to a
// stranger.
//
//	Route   origin ─▶ hop ─▶ hop ─▶ the closest: Deliver
//	SendTo  origin ─▶ hop ─▶ hop ─▶ a neighbour of the node ─▶ the node: Deliver
//	        origin ◀──────────── hop ◀──── receipt ◀──────────────────┘         sent again until it comes
//
// A node that cannot be dialled, or only asks (identity.FlagClient), is in nobody's table. It keeps connections to its
// neighbours, the nodes with the IDs closest to its own; messages for it end at one of them, which hands them over.
//
// # What is believed
//
// Every message is signed by its origin, with its key, the number of the message and its proof of work, under a domain
// that names the network: see Message. Nodes on the way can drop a message and read it, so what is secret must be
// encrypted by the application; they cannot change it, nor send one in another's name. Repeated ones are recognised for as
// long as they are among some thousand; of whoever sends most the oldest are forgotten first, so that others' stay known. Whoever
// has sent as many can have an old one of his own delivered again. Where that does harm, the application looks at
// Message.Number.
//
// # Who owns what
//
// The state belongs to the home loop, where discovery calls this component with what its core has delivered. How long its
// own task holds the loop is in engine.Stats.Tasks under "overlay".
//
// # Errors
//
// ErrTooLarge, ErrBusy, ErrUnreachable, ErrConfig, engine.ErrOnLoop, what Discovery returns, and what ctx says.
package overlay
