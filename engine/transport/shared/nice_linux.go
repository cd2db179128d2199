package shared

import "golang.org/x/sys/unix"

// lowerPriority makes the calling thread nicer by 10, as the engine does with its workers: loops come first.
func lowerPriority() { _ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10) }
