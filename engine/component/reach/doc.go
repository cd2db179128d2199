// Package reach finds out whether others can dial its node, and so whether the node is a server of the overlay or a client.
//
//	r, err := reach.New(reach.Config{})
//	err = net.AddComponent(r)
//	…
//	fmt.Println(r.Reachability())      // reachable at tcp://25.64.0.10:4001, 3 of 3 networks came in
//
// Nobody can see that of himself: a router that lets nothing in lets everything out. So the node asks some of its peers,
// each of another network, to dial it back:
//
//	asker                                             asked
//	  ── DialBackRequest: nonce, address ─────────────▶  is it the asker's own IP address? has it asked too often?
//	  ◀ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ a connection of its own ─  engine.Network.Probe: proven to be the asker, or not; closed
//	  ◀──────────────── DialBackResponse: nonce, verdict
//
// # What decides
//
// A network is a /16 of IPv4 or a /32 of IPv6, and has one vote. Four are asked, those first that this node has dialled
// itself; three have to answer, and more than half to agree. So neither a liar nor any number of them in one network turns
// the node, and a verdict that stands is turned only when a second round says the same as the first, unless the addresses have
// changed in between. Where there are not three networks to ask, on one machine or in one LAN, nothing is decided, and the
// node stays what it was: a server, if nobody has said otherwise.
//
// It is decided again when the addresses in the node record change, when half of the connections have gone, and now and then.
//
// # What follows
//
// The verdict goes into the node record, as identity.FlagClient, which every handshake shows; component/discovery tells the
// peers that are connected. A client asks and is in nobody's table. Config.Mode has the node be a server or a client whatever
// the verdict is.
//
// # Whom it could be used against
//
// The asked node dials the IP address that it sees the asker at, and no other: so nobody can have a third one dialled, and it
// needs none of the proof of work that protocols with a choice of addresses ask for. It dials once, over TCP, for an asker that
// has asked little lately, as has its network, and everybody together. Whether a port is closed, silent, or somebody
// else's, the answer and the time it takes are the same. The dial is a whole handshake up to the asker's proof, so it answers for
// nobody else's port, and it ends there: it takes no place among the peers of either.
//
// Over UDP a router lets in whoever the node has sent something to, as all peers have been that it could ask:
// their vote would be worth nothing. So UDP and QUIC are not asked about. A node that listens on these alone
// is not judged.
//
// # Where it lives
//
// The verdict belongs to the network's home loop. Peers that can be asked are in a table with a lock, at most 256 of them; the
// limits for those who ask are in another. Messages that are none end their connection (engine.Fault), what nobody waits for
// is dropped; both are counted in Stats. New wraps ErrConfig.
package reach
