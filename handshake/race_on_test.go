//go:build race

package handshake

// raceEnabled skips allocation counts: the detector allocates by itself.
const raceEnabled = true
