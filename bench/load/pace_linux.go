package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleepPrecisely sleeps for d or a little less, and is late by no more than the kernel's timer slack of 50 us.
func sleepPrecisely(d time.Duration) {
	if d <= 0 {
		return
	}
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // a signal ends it early, and the caller looks at the clock
}
