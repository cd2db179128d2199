//go:build race

package skad

const raceEnabled = true
