//go:build !race

package skad

const raceEnabled = false
