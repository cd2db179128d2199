package udpio

import "time"

const (
	// loopLimit is what one byte of a link's id can number.
	loopLimit = 256

	// defaultBuffer is what a socket asks for: at 1 Gbit/s it is 32 ms of datagrams, and the kernel takes it from the memory
	// it has for all sockets only while it is used.
	defaultBuffer = 4 << 20
	bufferLimit   = 1 << 30

	// receiveBatch is how many runs one recvmmsg takes; each may be 64 KiB of datagrams, so a loop's buffers are 2 MiB.
	receiveBatch = 32
	receiveSize  = 64 << 10

	// drainBatches is how many batches a turn takes of a socket before it does what else is due. 128 small
	// datagrams are a millisecond of work, about as much as the timers of a turn may be; with one batch the
	// timers of very many nodes kept a loop from reading.
	drainBatches = 4

	// overrunAfter is how far behind with reading a loop has no time for strangers. 50 ms is 100 batches of datagrams, each its
	// turn: its peers notice, and a stranger knocks again after 200 ms.
	overrunAfter = 50 * time.Millisecond

	// sendBatch is how many runs one sendmmsg gives.
	sendBatch = 64

	// runLimit and runBytes bound a run: the kernel cuts at most 64 datagrams out of one buffer of at most 64 KiB.
	runLimit = 64
	runBytes = 65000

	// queueBytes is what waits for one turn of a loop, and for room in the kernel. It holds eight of the largest runs.
	queueBytes = 512 << 10

	// forwardLimit and forwardBytes bound datagrams that came to the wrong loop: some hundred microseconds of work, and 1 MiB.
	forwardLimit = 1024
	forwardBytes = 1 << 20
)
