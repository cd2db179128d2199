// Package skad is one node of a secure Kademlia overlay (S/Kademlia, Baumgart and Mies 2007) as a machine without
// clock, socket, lock or goroutine: events and the time go in, actions come out.
//
//	           Receive SendFailed Dialing Connected Disconnected     what happened
//	           Lookup Route Bootstrap AskRecord SetSelf Restore      what is wanted
//	                 │
//	                 ▼                ┌─▶ Send      (a Message to a Contact, dialled if need be)
//	now, rnd ──▶  ┌──────┐            ├─▶ Lookup    (a Result)
//	              │ Core │ ── Next ───┼─▶ Deliver   (a routed message arrived), Routed
//	Expire ────▶  └──────┘            ├─▶ Blame     (a peer broke a rule)
//	   ▲             │                └─▶ Ready     (joined)
//	   └─ Deadline ──┘
//	                 └── View: the table at one moment, for other goroutines
//
// The same events at the same times with the same random numbers give the same actions in the same order: nothing is
// decided by the order of a map, an address in memory or the clock. So one Core serves a node, a script, a fuzzer, and
// a simulation of a hundred thousand of them.
//
// # What it knows
//
// A Contact is a signed node record. The table holds contacts in buckets by common prefix with the own ID, at most K in
// each, with stand-ins; and beside them the sibling list, the closest Eta*Siblings of all, which makes "the s nodes
// responsible for a key" something that each of them knows for certain. Only contacts that have answered a question of
// ours are in it, none that lives makes room in a bucket for a newcomer, and no IP group has more than its share.
//
//	own ID ●──────────────────────────────────────────────────────────▶ distance
//	       [ siblings: the closest 48            ]
//	       [ ...][bucket 9 ][ bucket 8 (K) ][ bucket 7 (K)     ][ ...  bucket 0: half of the network (K) ]
//
// # What it does
//
// A lookup asks its way towards a key over disjoint paths, so that one liar spoils one path, then asks the closest of
// all paths, and reports beside the contacts how many paths agree and whether the neighbourhood is suspiciously
// crowded. Route carries a message from hop to hop to the live node closest to a key. Pings, refreshes and the joining
// procedure keep the table true.
//
// # What it believes
//
// Peers are authenticated by the session that carries their messages; that is the caller's part, and what a Peer says.
// Records of third parties are checked here, puzzle before signature before anything is sent to them. What breaks a
// rule is dropped, counted in Stats and held against its sender: the score of a contact ends in a ban of an hour, and
// each case is an ActionBlame, because the session is not ours to close. Errors are returned only for arguments of the
// caller (ErrConfig, ErrOptions), limits (ErrBusy), and bytes (ErrMessage, ErrSnapshot).
//
// A Core belongs to one goroutine at a time. docs/skad.md says what was taken from the paper, what was changed, and
// why.
package skad
