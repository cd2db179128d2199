//go:build dragonfly || freebsd || netbsd || openbsd

package gnetio

// setQueueLimit does nothing: these systems have no such option, and the limit is a hint.
func setQueueLimit(int, int) {}
