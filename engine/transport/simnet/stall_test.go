package simnet_test

import (
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// A host that is stalled is told of nothing, and then of everything, in its order: alarms, turns and datagrams; the others go on.
func TestStall(t *testing.T) {
	n := simnet.New(1, simnet.Weather{Latency: 10 * time.Millisecond})
	near, far, a, b, l := pairOver(t, n)
	n.Run(time.Second)
	before := far.got
	if _, err := l.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	b.Stall(time.Minute)
	n.Run(59 * time.Second)
	if _, err := l.Write([]byte("second")); err != nil {
		t.Fatal(err)
	}
	if far.got != before {
		t.Fatalf("told of %d datagrams while stalled", far.got-before)
	}
	n.Run(time.Second - time.Microsecond)
	if far.got != before {
		t.Fatalf("told of %d datagrams while stalled", far.got-before)
	}
	n.Run(time.Microsecond)
	if far.got != before+2 {
		t.Errorf("told of %d of 2 datagrams", far.got-before)
	}
	heard := near.got
	if _, err := far.links[0].Write([]byte("an answer")); err != nil {
		t.Fatal(err)
	}
	a.Stall(0) // no stall
	n.Run(time.Second)
	if near.got != heard+1 {
		t.Errorf("the other side is told of %d datagrams", near.got-heard)
	}
}

// What was due first comes first, an alarm before the bytes that came after it.
func TestStallKeepsTheOrder(t *testing.T) {
	n := simnet.New(1, simnet.Weather{Latency: 10 * time.Millisecond})
	a := newNode(t, n, ipA)
	lp := a.Loops()[0]
	var rang []time.Duration
	a.onTurn = func(lp transport.Loop) {
		if rang = append(rang, lp.Now()); len(rang) == 1 {
			lp.WakeAt(5 * time.Second)
		}
	}
	lp.Wake()
	n.Run(time.Second)
	a.Stall(time.Minute)
	n.Run(2 * time.Minute)
	if want := []time.Duration{time.Minute + time.Second}; len(rang) != 2 || !slices.Equal(rang[1:], want) {
		t.Errorf("turns at %v, the second one wanted at %v", rang, want)
	}
}
