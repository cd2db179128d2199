// Command peers lends p2pbench drivers of other peer-to-peer stacks, so that they are measured as carrier is: the same
// scenarios, a serving and a dialling process, every message checked on arrival, in turns with carrier.
//
//	name           what it is                                                        how it is set up
//	libp2p         go-libp2p: TCP, Noise, yamux; one long-lived stream               frames gathered in 64 KiB, as for carrier and TLS
//	libp2p-tls     go-libp2p: TCP, TLS 1.3, yamux; what two of its nodes agree on    frames gathered
//	libp2p-each    libp2p, each message a write and each request a stream       what its request examples do
//	libp2p-quic    go-libp2p over QUIC, one long-lived stream                        frames gathered
//	noise          perlin/noise: Node.Send and Node.Request                          one worker, or messages would arrive out of order
//	rlpx           go-ethereum's RLPx, without snappy                                a frame for each message: it has no batches
//	nats           NATS: a client each, a server in between, TLS                     subjects for messages, NATS requests for requests
//	memberlist     hashicorp/memberlist: reliable user messages, AES-256-GCM         a TCP connection for each message: it has no other
//	memberlist-udp the same: best-effort user messages                               a datagram for each message
//
// It is a module of its own, so that what these depend on never reaches who uses carrier. ./measure builds p2pbench and this
// program, runs all scenarios and prints the tables of ratios.
//
// # What was done to be fair
//
// Limits that would end a run are lifted: libp2p's resource and connection managers are off, noise may have as many
// connections as the run asks for. Frames are gathered wherever a library gives a stream. noise has a receive buffer of 4 MiB
// for each connection unless it is told less; it is told what the largest message of the benchmark needs, which is in its
// favour. noise and NATS queue what is sent without a bound or a word, so their one-way senders wait for a sign of the receiver
// every 256 KiB, with two such signs under way. The dialling process stands for many nodes: each connection has an identity, and
// for libp2p and noise a host or node, of its own.
//
// Three answers to what their maintainers would ask. perlin/noise, as all others here, accepts messages of 1
// MiB, and its buffer is as long as that. NATS tells everybody in its own way: one message is published and
// the server copies it to each subscriber, where the others send it over each connection; the subscribers are
// clients in the serving process, over loopback and TLS. memberlist's messages may overtake each other, and
// the driver puts them in order; its compression is off, as the pattern of the benchmark does not compress,
// and so few best-effort messages are under way that no socket's buffer loses any.
//
// What a library cannot do is n/a: memberlist has no connections, so none to hold or to count handshakes of,
// and a cluster of a thousand members in one process would be busy with itself.
package main
