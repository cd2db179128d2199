package load

// A SizeShare is a size of messages and how many of them there are, compared with the other shares.
type SizeShare struct {
	Bytes int `json:"bytes"`
	Share int `json:"share"`
}

// sizes picks the size of each message. It never changes; any number of goroutines may share one.
type sizes struct {
	shares []SizeShare
	total  uint64
}

func oneSize(n int) sizes { return sizes{shares: []SizeShare{{n, 1}}, total: 1} }

func (c Config) sizes() sizes {
	if len(c.Sizes) == 0 {
		return oneSize(c.Size)
	}
	s := sizes{shares: c.Sizes}
	for _, share := range c.Sizes {
		s.total += uint64(share.Share)
	}
	return s
}

// pick returns the size of a message: the same in every run, and mixed well within every stream.
func (s sizes) pick(seq uint64, stream uint32) int {
	if len(s.shares) == 1 {
		return s.shares[0].Bytes
	}
	x := (seq + 1) * 0x9E3779B97F4A7C15
	x ^= uint64(stream+1) * 0xD6E8FEB86659FD93
	x ^= x >> 32
	x *= 0xD6E8FEB86659FD93
	x ^= x >> 32
	at := x % s.total
	for _, share := range s.shares {
		if at < uint64(share.Share) {
			return share.Bytes
		}
		at -= uint64(share.Share)
	}
	return s.shares[0].Bytes
}

func (s sizes) largest() (n int) {
	for _, share := range s.shares {
		n = max(n, share.Bytes)
	}
	return n
}
