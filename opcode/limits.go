package opcode

// Limits of application messages.
const (
	// DefaultPayloadLimit is the largest payload of an application code that asks for nothing else. 1 MiB: as much as
	// a new peer may send before it needs fresh credit, so one message of the default size can always be on its way.
	DefaultPayloadLimit = 1 << 20

	// MaxPayloadLimit is the most an application may ask for. 16 MiB: a message is put together in memory before it
	// is delivered, so a peer can make the receiver hold that much. Larger things belong into a stream (BytesCode).
	MaxPayloadLimit = 16 << 20
)

// Largest payloads of the library's own codes, in bytes. A frame whose header says more is refused before a byte of it is
// kept; each number is therefore what a stranger may make us read and hold for that code.
const (
	// frameLimit: one frame, so nothing is ever put together from fragments: neither for a stream, which has no use
	// for larger pieces, nor for a message that is relayed for others (fragments of strangers are memory held for
	// strangers).
	frameLimit = 64 << 10

	// probeLimit: a time stamp, a number and some room. Keepalives and pings bypass flow control and are answered
	// unasked, so they must be worth nothing as a way of moving bytes.
	probeLimit = 64

	// reasonLimit: a code and a text for a log line. Sent when a connection ends, outside flow control.
	reasonLimit = 1 << 10

	// creditLimit: a number of bytes granted; over datagrams two numbers of records.
	creditLimit = 16

	// relayLimit: bytes of a relayed connection, as many as fill a record with their header. Larger pieces would keep other
	// circuits over the same connection waiting, and be held for strangers.
	relayLimit = 16 << 10

	// questionLimit: a 32-byte target, a nonce, how many answers are wanted, and 2 bytes for each of 96 that the asker has;
	// asked by anybody, so kept small.
	questionLimit = 256

	// contactsLimit: a full answer of 16 contacts and as many siblings, each a signed record that stays below 1 KiB.
	contactsLimit = 32 << 10

	// samplesLimit: payload with which throughput is measured; one frame, so that a measurement occupies no more.
	samplesLimit = frameLimit

	// ackLimit: a bit for each of the 4096 numbers that a window has, and a head: 521 bytes.
	ackLimit = 1 << 10

	// idsLimit: some 250 message ids of 16 bytes, more than one round of repair asks for.
	idsLimit = 4 << 10

	// hopLimit: a message id, the ID of the node that took the message over, and its verdict.
	hopLimit = 256

	// dialBackLimit: a number and one address, or a verdict; asked by anybody, so kept small.
	dialBackLimit = 64

	// noReplyLimit: empty; room for a reason that a later version may give, and that this one does not look at.
	noReplyLimit = 16

	// recordLimit: a few signed node records of less than 1 KiB.
	recordLimit = 4 << 10
)
