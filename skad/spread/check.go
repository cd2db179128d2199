package spread

import "fmt"

// check returns what is wrong with the state of the core, nil if nothing is.
func (c *Core) check() error {
	if err := c.cache.check(); err != nil {
		return err
	}
	if err := c.census.check(); err != nil {
		return err
	}
	if len(c.wants) > wantLimit {
		return fmt.Errorf("%d wants", len(c.wants))
	}
	for i := range c.wants {
		w := &c.wants[i]
		if i > 0 && w.until < c.wants[i-1].until {
			return fmt.Errorf("want %d is due before the one in front of it", i)
		}
		if w.n == 0 || w.sources[0] == nil || c.cache.find(&w.id) != nil {
			return fmt.Errorf("want of %v: %d sources, known: %t", w.id, w.n, c.cache.find(&w.id) != nil)
		}
	}
	if _, due := c.cache.oldestDue(); due && c.beatAt == Never {
		return fmt.Errorf("rounds of repair to go and no beat")
	}
	return nil
}

func (c *cache) check() error {
	bytes := 0
	for n := c.first; n < c.next; n++ {
		e := c.at(n)
		if at, ok := c.index[e.id]; !ok || at != n {
			return fmt.Errorf("entry %d is indexed as %d", n, at)
		}
		if n > c.first && e.at < c.at(n-1).at {
			return fmt.Errorf("entry %d is older than the one before", n)
		}
		if e.held == nil {
			continue
		}
		if n < c.heldFrom || n < c.dueFrom && e.held.rounds > 0 {
			return fmt.Errorf("entry %d holds, heldFrom %d, dueFrom %d", n, c.heldFrom, c.dueFrom)
		}
		bytes += e.held.size()
	}
	if bytes != c.bytes || bytes > heldLimit || c.len() > seenLimit || len(c.index) != c.len() {
		return fmt.Errorf("%d bytes, counted as %d, in %d entries, %d indexed", bytes, c.bytes, c.len(), len(c.index))
	}
	return nil
}

func (s *census) check() error {
	if len(s.list) > originLimit || len(s.index) != len(s.list) {
		return fmt.Errorf("%d origins, %d indexed", len(s.list), len(s.index))
	}
	n, newer := 0, uint32(0)
	for i := s.newest; i != 0; i = s.list[i-1].older {
		o := &s.list[i-1]
		if at, ok := s.index[o.key]; !ok || at != i-1 || o.newer != newer {
			return fmt.Errorf("origin %d is linked wrongly", i-1)
		}
		if n++; n > len(s.list) {
			return fmt.Errorf("origins in a circle")
		}
		newer = i
	}
	if n != len(s.list) || s.oldest != newer {
		return fmt.Errorf("%d of %d origins in order", n, len(s.list))
	}
	return nil
}
