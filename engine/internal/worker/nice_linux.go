package worker

import "golang.org/x/sys/unix"

// lowerPriority makes the calling thread nicer by 10, which needs no privilege. On Linux a niceness belongs to a thread,
// although POSIX gives it to the process (setpriority(2), NOTES).
func lowerPriority() { _ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10) }
