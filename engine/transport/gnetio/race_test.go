//go:build race

package gnetio

const raceEnabled = true
