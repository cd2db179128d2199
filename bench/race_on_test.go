//go:build race

package bench_test

// raceDetector says that the race detector is on: it allocates, and what it measures is itself.
const raceDetector = true
