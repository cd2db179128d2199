//go:build !linux

package gnetio

// yield gives the claims up, since the reactor can only bind what is free. For an instant the addresses are anyone's.
func (c *claims) yield() { c.release() }

// deafen has no counterpart here: what connects to a claim is reset when the claim is released, and the hidden
// listener's connections are closed by OnOpen.
func deafen(int) {}
