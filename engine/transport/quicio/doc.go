// Package quicio carries bytes over QUIC (RFC 9000), with quic-go. It is the one package that imports quic-go, and nothing
// imports it but programs that want QUIC:
//
//	node.New(node.Config{
//		Listen:     []string{"tcp://0.0.0.0:4001", "quic://0.0.0.0:4001"},
//		Transports: []transport.Transport{quicio.New(quicio.Config{})},
//	})
//
// # What is on the wire
//
// TLS 1.3 with a self-signed certificate of the node's Ed25519 key on both sides; ALPN "carrier/1"; no resumption and no
// 0-RTT. Then one stream for the whole life of the connection. The side that has dialled opens it and sends one byte, the
// version of what follows (1), since a stream of which nothing was sent does not exist for the other side. A second stream is
// a breach of the limits that both sides announce, and ends the connection. Datagrams (RFC 9221) carry what may get lost.
//
// TLS proves the keys and seals; so a link is a transport.ProvenLink, and the engine neither shakes hands with Noise nor seals
// over it. It does hold the peer's node record against the key.
//
// # Goroutines
//
// QUIC has no descriptor for each connection, and quic-go no event loop: each connection costs two goroutines of quic-go's,
// and two of ours that wait for its stream and its datagrams (one more while it is being written to faster than it sends).
// They never touch what the engine keeps: they post to the link's loop, and wait until what they have read has been taken.
// With 50 kB for each end of a link, whoever holds peers by the ten thousand listens on TCP or UDP.
//
//	UDP socket ─▶ quic-go ─▶ reader goroutine ── Post ──▶ loop ─▶ Sink.Bytes
//	            four for each connection                  a few
//
// # Where bytes wait
//
// On the way in: in quic-go, up to the stream's window (limits.go; all windows together up to
// Config.WindowMemory), then in one read buffer while the loop is at it. The reader reads again when the loop
// has done that, so a loop that is busy holds the sender up by QUIC's own flow control; a link that waits has
// no buffer. On the way out: in quic-go's queue, up to directBurst, then in two buffers of up to sendBuffer:
// see writer.go.
//
// Read and send buffers are the node's (transport.Borrower), and count in its Memory. What quic-go has sent
// and the other side has not confirmed it keeps by itself, as the kernel does for TCP: at most what the path
// is allowed to have under way.
//
// # A peer whose address changes
//
// A connection is known by its ids, not by addresses. When a peer's datagrams begin to come from elsewhere (a NAT that
// forgot, a phone that changed networks), quic-go proves the new address and goes on. Link.Remote stays what it was when the
// link was opened.
package quicio
