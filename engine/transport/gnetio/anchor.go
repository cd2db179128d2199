package gnetio

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// An anchor is a descriptor in a loop's poller set that is not a link: its inner end is a connection of the reactor's,
// its outer end makes the inner one readable.
type anchor struct {
	lp    *loop // the loop it rings; nil if that loop has another anchor already
	outer int   // the end that is written to
}

// anchorLoops gives every loop of the reactor an anchor, and so makes all loops known.
//
// The reactor hands out a loop only with a connection, and chooses it itself: the one with the fewest connections. So
// anchors are enrolled until every loop has one. Those beyond the first of a loop stay until the end of the search, since
// it is they that make the reactor choose another loop.
func (t *Transport) anchorLoops() error {
	var surplus []gnet.Conn
	defer func() { t.closeSurplus(surplus) }()
	anchored := 0
	for range t.cfg.Loops * anchorTries {
		a, c, err := t.enrolAnchor()
		if err != nil {
			return err
		}
		if a.lp == nil {
			surplus = append(surplus, c)
			continue
		}
		if anchored++; anchored == t.cfg.Loops {
			return nil
		}
	}
	return fmt.Errorf("gnetio: the reactor showed %d of %d loops", anchored, t.cfg.Loops)
}

// closeSurplus closes anchors that no loop took, unless the reactor has ended and closed them: then its task queue is not
// to be touched any more.
func (t *Transport) closeSurplus(surplus []gnet.Conn) {
	select {
	case <-t.over:
		return
	default:
	}
	for _, c := range surplus {
		_ = c.Close()
	}
}

// enrolAnchor makes an anchor and gives it to the reactor; OnOpen attaches it to its loop.
func (t *Transport) enrolAnchor() (*anchor, gnet.Conn, error) {
	inner, outer, err := newAnchor()
	if err != nil {
		return nil, nil, fmt.Errorf("gnetio: anchor: %w", err)
	}
	a := &anchor{outer: outer}
	results, err := t.engine.Register(gnet.NewNetConnContext(gnet.NewContext(context.Background(), a), inner))
	if err != nil {
		_ = inner.Close()
		closeFD(outer)
		return nil, nil, fmt.Errorf("gnetio: anchor: %w", err)
	}
	select {
	case r := <-results:
		if r.Err != nil {
			closeFD(outer)
			return nil, nil, fmt.Errorf("gnetio: anchor: %w", r.Err)
		}
		return a, r.Conn, nil
	case <-t.over:
		return nil, nil, t.endError()
	}
}

// newSocketPair returns a connected pair: one end as the reactor wants it, the other as a descriptor.
func newSocketPair() (inner *net.UnixConn, outer int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range pair {
		unix.CloseOnExec(fd)
		if err = unix.SetNonblock(fd, true); err != nil {
			closeFD(pair[0])
			closeFD(pair[1])
			return nil, -1, os.NewSyscallError("fcntl", err)
		}
	}
	f := os.NewFile(uintptr(pair[0]), "anchor")
	c, err := net.FileConn(f) // duplicates
	_ = f.Close()
	if err != nil {
		closeFD(pair[1])
		return nil, -1, err
	}
	return c.(*net.UnixConn), pair[1], nil
}

// closeFD closes a descriptor of ours. Its error says nothing that could be acted on: the number is free afterwards.
func closeFD(fd int) { _ = unix.Close(fd) }
