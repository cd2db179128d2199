//go:build !linux

package engine

// lowerPriority does nothing where a priority belongs to the whole process.
func lowerPriority() {}
