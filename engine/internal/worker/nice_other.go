//go:build !linux

package worker

// lowerPriority does nothing where a priority belongs to the whole process.
func lowerPriority() {}
