// Package broadcast brings a message to every node of the network: Component.Broadcast, beside Network.Broadcast, which
// reaches only who is connected.
//
//	c, err := broadcast.New(broadcast.Config{Deliver: func(m broadcast.Message) bool { ...; return true }})
//	err = net.AddComponent(c)
//	id, err := c.Broadcast(ctx, []byte("for everybody"))
//
// Every node has to run it. The machine is skad/spread: messages travel along a tree over the contacts of the overlay,
// and what the tree has lost is announced and asked for. This package is its way in and out:
//
//	loop of a peer ── Receive ─▶ ┌───────┐                             ┌─▶ PeerClient.TrySendRaw, dialled if need be
//	loop of a peer ── Receive ─▶ │ inbox │ ─▶ task on the home loop ───┼─▶ Config.Deliver
//	any goroutine ─ Broadcast ─▶ └───────┘     with the spread.Core    └─▶ Config.Blame
//
// # Who owns what
//
// The core, the dials and the deliveries belong to the home loop. The inbox has a lock, under which bytes are copied and
// nothing else happens. The task does a few hundred microseconds of work at a time, so that the peers of the home loop do
// not notice it.
//
// # Bounds
//
// Whatever peers send, the inbox, the messages that wait for the application and those that wait for a dial have limits
// (limits.go). What does not fit is dropped and counted in Stats; a message that was dropped is still announced by those
// who have it, and asked for again. A relayed message allocates its payload and nothing else.
//
// # Errors
//
// ErrTooLarge, ErrRate, ErrBusy, engine.ErrOnLoop, engine.ErrClosed and what ctx says. A peer that sends what is no
// message of its opcode is disconnected; one that breaks the rules of the broadcast is blamed.
package broadcast
