package gnetio

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// eventBatch is the number of events taken in one epoll_wait or kevent call of the watcher.
const eventBatch = 128

// stopEvent is the descriptor field of the watcher's own wake-up event; no link has it.
const stopEvent = -1

// A poller is an epoll set with EPOLLOUT one-shot events, and an eventfd that interrupts the waiting.
type poller struct {
	set, stop int
}

func newPoller() (poller, error) {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return poller{}, os.NewSyscallError("epoll_create1", err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		closeFD(set)
		return poller{}, os.NewSyscallError("eventfd", err)
	}
	p := poller{set, stop}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: stopEvent}
	if err := unix.EpollCtl(set, unix.EPOLL_CTL_ADD, stop, &ev); err != nil {
		p.close()
		return poller{}, os.NewSyscallError("epoll_ctl", err)
	}
	return p, nil
}

// order asks for one event when fd is writable, in place of any order before.
func (p poller) order(fd int32, ticket uint32, first bool) error {
	ev := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: fd, Pad: int32(ticket)}
	op := unix.EPOLL_CTL_MOD
	if first {
		op = unix.EPOLL_CTL_ADD
	}
	return unix.EpollCtl(p.set, op, int(fd), &ev)
}

// wait calls got for every event until interrupt.
func (p poller) wait(got func(fd int32, ticket uint32, hasTicket bool)) {
	events := make([]unix.EpollEvent, eventBatch)
	for {
		n, err := unix.EpollWait(p.set, events, -1)
		if err != nil && err != unix.EINTR {
			return // the set is gone, which only close does
		}
		for _, ev := range events[:max(n, 0)] {
			if ev.Fd == stopEvent {
				return
			}
			got(ev.Fd, uint32(ev.Pad), true)
		}
	}
}

func (p poller) interrupt() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(p.stop, one[:]) // an eventfd with one count takes another
}

func (p poller) close() {
	closeFD(p.set)
	closeFD(p.stop)
}
