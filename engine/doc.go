// Package engine is a peer-to-peer node on event loops: every peer is authenticated and encrypted, costs about a kilobyte
// while it is idle and no goroutine at all, and every buffer has a limit.
//
//	net, err := engine.New(engine.Config{Transport: …, Identity: …})
//	engine.Handle(net, opChat, func(ctx *engine.ComponentContext, m *Chat) error { … })
//	err = net.Start(ctx)
//	peer, err := net.Dial(ctx, "tcp://<id>@198.51.100.7:4001")
//	err = peer.Send(ctx, &Chat{…})
//
// engine/node puts the same together with TCP and the stock components.
//
// # The route
//
// Bytes come in on one road and leave on one. Each stage returns to its caller; only recv.go and flush.go know the order.
//
//	readable ─▶ open.go (until proven) ─▶ recv.go ─▶ session.Receiver.Next ─▶ framing.NextFrame ─▶ dispatch.go ─▶ Receive
//	Send ─▶ send.go: a lane ─▶ flush.go: seal, write ─▶ the kernel
//
// # Who owns what
//
// A peer belongs to one event loop, and so do its handshake, its receiving side and its timers: see PeerClient. Its
// sending side is under the peer's mutex. What belongs to the node is either fixed by Start, atomic, or has a small lock
// of its own, named in the type: pairs, door, dials, the ConnMgr, events. docs/threads.md has the table.
//
// Time is engine time, from the transport's clock; nothing here reads another, except the calls that wait, which use
// timers of the runtime.
//
// # Errors
//
// What a peer does wrong is a *Fault with a Fate, counted in Stats, and harms that peer only. A call tells what happened
// with the sentinels in errors.go, a *LimitError or a *CloseError; a panic "engine: bug" is ours.
package engine
