// Package discovery makes a node one of an overlay: it runs the S/Kademlia core of package skad on the engine, finds
// nodes by their IDs, and knows the neighbourhood.
//
//	d, err := discovery.New(discovery.Config{Bootstrap: []string{"tcp://198.51.100.7:4001"}})
//	err = net.AddComponent(d)
//	err = net.Start(ctx)
//	err = d.Wait(ctx)                          // joined
//	peer, err := d.FindPeer(ctx, id)           // found, dialled, proven
//	result, err := d.Closest(ctx, key, skad.LookupOptions{})
//
// # One home
//
// The core belongs to the network's home loop and to nobody else. Other loops hand over what they hear; callers hand
// over functions; one task works it all off, a little at a time, and leaves a picture of the table for whoever wants
// to look: View takes no lock and asks nobody.
//
//	a peer's loop            workers                       home loop
//	Receive ─ question ──────────────────────────▶ inbox ─▶ task ─▶ skad.Core ─▶ Send ─▶ TrySend, or dial first
//	        └ answer ─▶ parse, check signatures ─▶   │        ▲ │
//	Do, Find, Closest: any goroutine ────────────────┘  timer ┘ └─▶ View, for everybody
//
// Signatures of contacts in answers are checked by the workers that compute handshakes before the home loop sees them,
// because an answer may hold 96 of them, which are five milliseconds of arithmetic. How long the task holds the loop is
// in engine.Stats.Tasks under "discovery".
//
// # For components on top
//
// The core is one for lookups, routed messages and node records alike, so this component carries all of its messages:
// LookupNodeRequest to Record (12, 13, 24 to 26) and the Pings that the core asks for. What builds on it uses
//
//   - Do, to have a function run on the home loop with the core: Route, AskRecord, Closest, NetworkSize;
//   - OnAction, to get what the core says that is not discovery's own affair: ActionDeliver, ActionRouted, ActionBlame,
//     ActionReady;
//   - View, for the neighbours, from anywhere; Table, for the same from the home loop without making a picture first;
//   - Connect, to reach a contact through the same bounded dials.
//
// # Connections
//
// What the core wants to say to a node that is not connected waits for a dial. Connections that were dialled for a lookup
// end again when they are idle, unless the node is one of the table and there is room (Config.Connections), or somebody
// protects it (engine.ConnMgr.Protect): whoever wants to keep using a peer that FindPeer returned does that. Members of
// the table are protected by this component, so that a crowd of strangers does not push them out of a full node.
//
// The overlay's dials push nobody out: they fill free places (engine.Network.DialSpareAsync), and keep a quarter of Peers.All at
// most. In a full node one of the overlay's own connections that is not in use makes room for the next; where there is none, the
// dial is not made (Stats.NoRoom), and nothing is held against the contact. FindPeer alone dials as the application does.
//
// # Errors
//
// Calls return ErrNotFound, ErrBusy, ErrClosed, ErrConfig, engine.ErrOnLoop, what the context says, or wrap
// skad.ErrOptions. What peers do wrong is dropped and counted, in Stats and in the core's own counters, and
// held against them by the core.
package discovery
