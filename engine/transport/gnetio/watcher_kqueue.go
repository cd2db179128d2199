//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package gnetio

import (
	"os"

	"golang.org/x/sys/unix"
)

// eventBatch is the number of events taken in one kevent call of the watcher.
const eventBatch = 128

// A poller is a kqueue with EVFILT_WRITE one-shot events, and a pipe that interrupts the waiting. Its events carry no
// ticket: the field for it differs between the systems. So a link may, very rarely, be told of room that the link
// before it under the same number had waited for; it then writes, is short again, and waits again.
type poller struct {
	set  int
	stop [2]int
}

func newPoller() (poller, error) {
	set, err := unix.Kqueue()
	if err != nil {
		return poller{}, os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(set)
	p := poller{set: set, stop: [2]int{-1, -1}}
	if err := unix.Pipe(p.stop[:]); err != nil {
		closeFD(set)
		return poller{}, os.NewSyscallError("pipe", err)
	}
	unix.CloseOnExec(p.stop[0])
	unix.CloseOnExec(p.stop[1])
	if err := p.change(p.stop[0], unix.EVFILT_READ, unix.EV_ADD); err != nil {
		p.close()
		return poller{}, err
	}
	return p, nil
}

func (p poller) change(fd, filter, flags int) error {
	ev := make([]unix.Kevent_t, 1)
	unix.SetKevent(&ev[0], fd, filter, flags)
	_, err := unix.Kevent(p.set, ev, nil, nil)
	return os.NewSyscallError("kevent", err)
}

// order asks for one event when fd is writable, in place of any order before.
func (p poller) order(fd int32, _ uint32, _ bool) error {
	return p.change(int(fd), unix.EVFILT_WRITE, unix.EV_ADD|unix.EV_ONESHOT)
}

// wait calls got for every event until interrupt.
func (p poller) wait(got func(fd int32, ticket uint32, hasTicket bool)) {
	events := make([]unix.Kevent_t, eventBatch)
	for {
		n, err := unix.Kevent(p.set, nil, events, nil)
		if err != nil && err != unix.EINTR {
			return // the queue is gone, which only close does
		}
		for _, ev := range events[:max(n, 0)] {
			if int(ev.Ident) == p.stop[0] {
				return
			}
			got(int32(ev.Ident), 0, false)
		}
	}
}

func (p poller) interrupt() { _, _ = unix.Write(p.stop[1], []byte{1}) }

func (p poller) close() {
	closeFD(p.set)
	closeFD(p.stop[0])
	closeFD(p.stop[1])
}
