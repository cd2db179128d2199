// Package spread brings a message to every node of the overlay, as a machine without clock, socket, lock or goroutine
// that stands beside a skad.Core: events and the time go in, actions come out.
//
//	Broadcast Receive SendFailed Disconnected
//	           │               ┌─▶ Send     (a Message to a Contact, dialled if need be)
//	now, rnd   ▼               │
//	        ┌──────┐           ├─▶ Deliver  (a message for the application, once)
//	Expire ▶│ Core │── Next ───┤
//	        └──────┘           └─▶ Blame    (a peer broke a rule)
//	         │    ▲
//	  Deadline    Table: the verified contacts of the skad.Core
//
// # How a message travels
//
// First by delegation along the routing table (as in Kadcast, Rohrer and Tschorsch 2019): the origin gives the message
// to some contacts of every bucket, and each of them is then responsible for the part of the network that its bucket
// stood for. Origin's delegates are 8 to a bucket, their own 4, all further ones 2: where a loss would cut off much,
// more of them stand in for each other. A delegate that cannot be reached is replaced at once.
//
// Then by repair: whoever has a message tells nine random nodes of the network, three in each of three rounds, and who
// has missed it asks for it.
//
//	duty of a delegate: whoever shares more bits with it than the sender does
//
//	sender    0110...   ──Broadcast hop 1 height 0──▶   1...          its duty: 1*, split anew into 10*, 110*, ... by its own bits
//	          0110...   ──Broadcast hop 1 height 1──▶   00..          its duty: 00*
//
// # What is believed
//
// Nothing of a message before its origin's signature, under a domain that names the network, and the origin's proof of
// work: only then it is delivered, passed on, or counted against the origin's rate. The height is compared with the
// common prefix of the two IDs, and hop 1 comes from the origin itself; so nobody can give others more to do than the
// tree does: a node sends a message at most beta times for each bucket, beta * log2 N in all, whatever it is told. What
// breaks a rule is dropped, counted in Stats, and an ActionBlame. Errors are returned only for arguments of the caller
// (ErrTooLarge, ErrRate, ErrConfig) and for bytes (ErrMessage).
//
// # What it is not
//
// It is no reliable channel: nobody acknowledges, nothing is kept for those who were away for longer than seconds, and
// there is no order between messages. Nodes in client mode are in nobody's table; they can broadcast, but are not
// broadcast to.
//
// A Core belongs to one goroutine at a time, the one that its Table belongs to. docs/broadcast.md has the laws and
// figures.
package spread
