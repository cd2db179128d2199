package overlay

// Asked is how many nodes are being asked for their records. Only while no loop runs.
func (c *Component) Asked() int { return len(c.asks) }
