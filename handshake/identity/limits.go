package identity

const (
	// AddrLimit bounds the addresses of a record. 16: a node with TCP, UDP and QUIC on IPv4 and IPv6, at home and behind
	// a NAT, has 12. More would let one record send a dialler to that many places.
	AddrLimit = 16

	// RecordSizeLimit is the size of a record with AddrLimit IPv6 addresses: 467 bytes. A handshake message of 4 KiB
	// has room for one and its parameters, and a lookup's answer of 32 KiB for 69; it is proved below to stay under 1 KiB.
	RecordSizeLimit = recordHeadSize + AddrLimit*addrSizeLimit + signatureSize

	// PuzzleBitsLimit bounds c1 and c2. 48 bits are 1.7 years of hashing on one core, longer than any honest node
	// waits; and 2^(48+tryMargin) still fits the counter of the search and the eight free bytes of a solution.
	PuzzleBitsLimit = 48

	// tryMargin makes the default bound of a search 2^6 = 64 times the mean number of tries. A search that could have
	// succeeded misses it with probability e^-64.
	tryMargin = 6

	// workerLimit bounds the goroutines of a search. Past the number of cores they only add switching; 256 is more cores
	// than machines of today have.
	workerLimit = 256

	// fileSizeLimit bounds what Load reads. An identity file has 280 bytes; a wrong path may be a disk image.
	fileSizeLimit = 1024
)

const (
	signatureSize  = 64
	recordHeadSize = 1 + 1 + 8 + 32 + 8 + 32 + 1
	addrSizeLimit  = 1 + 1 + 16 + 2
	addrSizeLeast  = 1 + 1 + 4 + 2
)

const _ = uint(1<<10 - RecordSizeLimit) // does not compile if a record can be longer than 1 KiB
