package skad

// Who drives thousands of cores from one goroutine, as package sim does, has more of them than any cache
// holds, and what a turn costs there is mostly waiting for memory. Warm and WarmFor read what a turn is about
// to read and do nothing else: called for several cores before the first of them has its turn, they wait for
// all of them at once. What they return means nothing; it is there so that the reads are not left out.

// Warm reads the core itself.
func (c *Core) Warm() (sum int) {
	return len(c.out) + len(c.slots) + len(c.index) + len(c.wake.heap) + len(c.due.heap) + len(c.ends.heap) + len(c.calls) +
		int(c.join.refreshAt) + int(c.cfg.PingLeast) + int(c.stats.Asked)
}

// WarmFor reads what the core leads to, which is waited for if Warm was not called before. A message of that
// node with that nonce is expected; nil and 0 if none is.
func (c *Core) WarmFor(from *ID, nonce uint64) (sum int) {
	if out := c.out[:cap(c.out)]; len(out) > 0 {
		sum += int(out[0].Kind) + len(out[0].Message.Payload)
	}
	sum += c.wake.warm() + c.due.warm()
	switch k := int(nonce & (callLimit - 1)); {
	case from == nil:
		if len(c.wake.heap) > 0 {
			sum += int(c.slots[c.wake.heap[0]].contact.ID[0])
		}
	case nonce != 0 && k < len(c.calls):
		sum += int(c.slots[c.calls[k].slot].marks)
	case len(c.index) > 0:
		sum += int(c.slots[c.index[c.home(from)]].marks)
	}
	return sum
}

// warm reads what first and set read.
func (s *schedule[T]) warm() (sum int) {
	if len(s.heap) > 0 {
		i := s.heap[0]
		sum = int(s.pos[i])
		if s.at[i] == s.at[0] {
			sum++
		}
	}
	return sum
}
