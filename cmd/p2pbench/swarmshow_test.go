package main

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
)

// What nothing fell into is not shown: a line of it would be too wide for most terminals.
func TestBars(t *testing.T) {
	var held [len(engine.TaskBounds) + 1]int64
	if got := bars(0, held, 0); got != "none ran" {
		t.Error(got)
	}
	held[1], held[len(held)-1] = 3, 1
	if got, want := bars(4, held, 12_345_678*time.Nanosecond), "<100µs 75.00 %, more 25.00 %; longest 12.346ms of 4"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
