package framed

// A Carry puts frames together that reads have cut. Only what is cut is copied.
type Carry struct{ held []byte }

// Feed shows every whole frame of what is held and b, in order, until each says no. The payload is good during the call.
func (c *Carry) Feed(b []byte, each func(id uint32, payload []byte) bool) error {
	for len(c.held) > 0 && len(b) > 0 {
		want := HeaderSize
		if len(c.held) >= HeaderSize {
			_, size, err := ParseHeader(c.held)
			if err != nil {
				return err
			}
			want += size
		}
		take := min(want-len(c.held), len(b))
		c.held, b = append(c.held, b[:take]...), b[take:]
		id, payload, n, err := Next(c.held)
		if err != nil {
			return err
		}
		if n > 0 {
			c.held = c.held[:0]
			if !each(id, payload) {
				return ErrFrame
			}
		}
	}
	for {
		id, payload, n, err := Next(b)
		if err != nil {
			return err
		}
		if n == 0 {
			c.held = append(c.held, b...)
			return nil
		}
		if !each(id, payload) {
			return ErrFrame
		}
		b = b[n:]
	}
}
