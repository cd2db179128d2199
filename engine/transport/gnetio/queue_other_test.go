//go:build dragonfly || freebsd || netbsd || openbsd

package gnetio

// queueLimitOf knows nothing: there is no such option.
func queueLimitOf(int) (n int, ok bool) { return 0, false }
