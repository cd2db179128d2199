// Package datagram makes links out of datagrams: connection ids, proof of addresses, moving peers and the size of the path.
// It has no socket, goroutine or clock, and no key: what it carries is sealed and judged above.
// It is for transports that carry datagrams, as udpio and simnet do and one of yours may.
//
//	udpio, simnet ── Receive, Advance ─▶ Mux ── Opened, Bytes, Closed ─▶ Sink
//	      ▲                               │
//	      └────────── Carrier.Send ───────┘◀── Link.Write (any goroutine)
//
// # The wire
//
//	offset size field
//	0      1    kind
//	1      8    id the receiver has given to this link; its first byte is the number of the receiver's loop
//	9      …    by kind:
//
//	kind 1 Knock    id 8 of the sender | version 1 | zeros, 1200 bytes in all     initiator, first word
//	kind 2 Cookie   cookie 20                                                     answer, nothing is kept
//	kind 3 Open     id 8 of the sender | cookie 20 | payload                      initiator, until an Answer was authentic
//	kind 4 Answer   id 8 of the sender | payload                                  responder, until a Data was authentic
//	kind 5 Data     payload                                                       everything after
//	kind 6 Probe    token 8 | zeros                                               is this address yours? does this size arrive?
//	kind 7 Probed   token 8                                                       yes
//
//	initiator                                   responder
//	  Knock ──────────────────────────────────▶  nothing kept
//	  ◀─────────────────────────────────────── Cookie
//	Opened                                      a Link is made: Opened
//	  Open, payload ──────────────────────────▶ Bytes
//	  Bytes, authentic ◀─────────────── Answer, payload
//	  Data ───────────────────────────────────▶ Bytes, authentic
//	  ◀───────────────────────────────────────── Data
//
// # What a stranger can do
//
// An address that has not returned a cookie gets 29 bytes for each 1200 it sends, and costs no memory. A cookie opens one
// link of a loop: what repeats it there goes to that link or nowhere. A datagram for an id nobody has is dropped after
// one table lookup.
//
// One who sees a dial, and answers first, can make up a Cookie, which is answered by nobody: the link knocks again after two
// seconds. An Answer he makes up is shown to the Sink, and what it claims counts if the Sink calls it authentic.
//
// A datagram from a new address moves nothing by itself. If the Sink calls it authentic and the newest, both addresses are
// asked (Probe); the link moves only if the new one answers and the old one does not. So whoever copies a peer's datagrams
// and sends them faster from elsewhere gains nothing while the peer is where it was.
//
// # Who owns what
//
// A Mux and its Links belong to one loop. Write, Close and what they touch (Mux.mu, atomics) are for any goroutine.
package datagram
