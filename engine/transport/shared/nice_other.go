//go:build !linux

package shared

// lowerPriority: a thread has no priority of its own here.
func lowerPriority() {}
