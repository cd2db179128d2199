// Package proxy connects nodes that cannot reach each other, through a third that both can reach: a relay.
//
//	a ── connection ──▶ relay ◀── connection ── b
//	└──────────── circuit: a's and b's own ─────────┘
//
// A node that nobody can dial keeps a reservation with a relay: it stays connected to it, and shows
// "relay://<its id>@<the relay's address>" in its record. Whoever dials that address asks the same relay for a circuit. The
// relay asks the node, and from then on passes bytes between the two.
//
// What travels in a circuit is an ordinary connection of the engine's, handshake first. So both ends prove to each other who
// they are, and the relay sees that they talk and how much, but no word of it. It can drop, delay and cut off; what it alters,
// repeats or invents ends the connection at the first wrong byte. Applications see a PeerClient like any other; Relayed tells
// the difference.
//
// # Use
//
// A Component is both a component and, through Transport, a transport, which its Network needs to be told:
//
//	p, err := proxy.New(proxy.Config{Relays: …})  // or Serve: true
//	net, err := engine.New(engine.Config{…, MoreTransports: []transport.Transport{p.Transport()}})
//	err = net.AddComponent(p)
//
// # Flow control
//
// The relay gives each end of a circuit a window: how many bytes may have come from it that have not been put into the other
// end's send buffer. A peer that does not read stops its own circuits and costs the relay no more than their windows; other
// circuits over the same connections go on. What an end sends beyond its window ends the circuit.
//
// # Who owns what
//
// Links live on the loop of the peer that carries them, and report to the engine in functions posted there: a message within
// a message would mix the two up. A relay's circuits have a lock each, taken for the time of one message. The machine
// that keeps reservations belongs to the home loop. There is no goroutine.
package proxy
