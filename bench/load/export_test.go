package load

import "time"

// InRuntime makes a run sleep in the runtime, where virtual time passes, and not in the kernel.
func InRuntime(b *Bench) *Bench {
	b.sleep = func(d time.Duration) { time.Sleep(max(d, 1)) } // a moment that was rounded down may be now and not yet due
	return b
}
