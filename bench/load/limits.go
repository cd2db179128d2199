package load

import "time"

const (
	// SizeLimit is the longest message. 1 MiB: carrier's default for an application's opcode, and what the pattern covers.
	SizeLimit = 1 << 20

	// publishEvery is how many messages a Receiver counts by itself before it tells the Sink. 256: an atomic addition costs
	// as much as checking a 64-byte message, and a live display is late by no more than 256 messages for each connection.
	publishEvery = 256

	// dialsLimit bounds how many connections are being set up at once before a run. 64: enough to hide the round
	// trips of loopback and below any server's cap on half-open handshakes.
	dialsLimit = 64

	// dialSoon is what a dial may take before fewer are made at once. 500 ms: 256 at once, of four processes,
	// take 150 ms where both sides have a processor to themselves, and three questions of a keepalive fit
	// into its patience 30 times.
	dialSoon = 500 * time.Millisecond

	// fleetEvery is how often the serving side is asked how many connections it has. 100 ms: a look takes about 0.3 ms.
	fleetEvery = 100 * time.Millisecond

	// dialersLimit bounds the dialling processes. 64: more than processors that would run them.
	dialersLimit = 64

	// waitLimit is how long a run waits for what should have happened already: the last message to arrive, workers to come
	// back from a call. 10 s: a busy machine drains a full megabyte for a thousand connections in less.
	waitLimit = 10 * time.Second

	// latencyLimit is the longest latency told apart; longer ones count as this. 60 s: longer than any time-out here.
	latencyLimit = 60 * time.Second

	// shardLimit bounds the histograms of one Recorder. Each is about 200 KiB; 16 keep 1000 workers from waiting for each other.
	shardLimit = 16

	// probeLimit is how many idle connections must answer after a hold. 50: if one in fifty were dead, 50 random ones would
	// miss that with a chance of a third, and 10 in 50 with less than 1 in 60,000.
	probeLimit = 50

	// descriptorReserve is how many open files a process needs besides its connections. 600: a reactor's reserve of 512, pipes,
	// epoll sets, and some.
	descriptorReserve = 600

	// lineLimit is the longest control line. 4 MiB: a latency histogram as JSON is below 1 MiB.
	lineLimit = 4 << 20

	// windowLeast is the shortest window of a series. 200 ms: a look at both sides takes about 0.3 ms, so it costs below 0.2 %.
	windowLeast = 200 * time.Millisecond

	// windowsLimit bounds the windows of a run. 600: a point on every second or third pixel of a wide plot.
	windowsLimit = 600

	// sizesLimit bounds the sizes of a mix, and shareLimit each one's share. 16 and a million: more tell nothing apart.
	sizesLimit = 16
	shareLimit = 1_000_000

	// rateLimit is the highest rate. A thousand million a second: a planned time each nanosecond.
	rateLimit = 1_000_000_000

	// stagesLimit and stageLimit bound a timetable. 100 stages of up to a week.
	stagesLimit = 100
	stageLimit  = 7 * 24 * time.Hour

	// dripEvery is how often made-up handshakes are begun at a rate, and dripBatch the most at once. 400 us:
	// eight at 20,000 a second, which is less than a receiver takes in one system call, for 2,500 short
	// wake-ups.
	dripEvery = 400 * time.Microsecond
	dripBatch = 64

	// dripBehind is how many batches late they may be before what was missed is forgiven. 8: 3 ms, a slice of
	// another's processor time.
	dripBehind = 8

	// spoofTurn is how long made-up handshakes come, or do not, before it is another's turn. 2 s: as long as
	// other parts are unless told otherwise, and short against what neighbours of a machine do.
	spoofTurn = 2 * time.Second

	// spoofTurns is how many turns there are at least: of five, two may be disturbed and the median is not.
	spoofTurns = 5

	// lateAfter is when a planned sending counts as late. 1 ms: ten times what a timer of the system is off by.
	lateAfter = time.Millisecond
)
