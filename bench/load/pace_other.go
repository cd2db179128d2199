//go:build !linux

package load

import "time"

// sleepPrecisely sleeps for d, as precisely as the runtime can.
func sleepPrecisely(d time.Duration) { time.Sleep(d) }
