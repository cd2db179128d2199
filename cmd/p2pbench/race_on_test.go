//go:build race

package main

// raceDetector says that the race detector is on, with which a process begins slower.
const raceDetector = true
