package discovery_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/discovery"
)

// sent is what a node has sent, in the mean.
func (w *world) sent() float64 {
	var sum int64
	for _, n := range w.alive() {
		sum += n.Network.Stats().BytesOut
	}
	return float64(sum) / float64(len(w.alive()))
}

// What nodes send while nobody wants anything falls with the time since they have joined: they look around less and less,
// and only where there is news ask everybody; and they ping whom they have known for long ever more rarely.
func TestIdleTraffic(t *testing.T) {
	w := simWorld(t, 1)
	w.swarm(40, setting{})
	began, last := time.Duration(0), w.sent()
	for _, x := range []struct {
		until time.Duration
		most  float64 // bytes a second
	}{{30 * time.Second, 200}, {time.Minute, 125}, {2 * time.Minute, 75}, {5 * time.Minute, 35}, {20 * time.Minute, 15}} {
		w.Pass(x.until - began)
		now := w.sent()
		got := (now - last) / (x.until - began).Seconds()
		t.Logf("%v to %v: %.0f B/s", began, x.until, got)
		if got > x.most {
			t.Errorf("%.0f B/s from %v to %v after the join, want %v", got, began, x.until, x.most)
		}
		began, last = x.until, now
	}
}

// Where a node may keep fewer connections than it has contacts, it does not dial each of them for every ping: those that it
// has kept for longest it keeps.
func TestFewConnectionsAreNotShared(t *testing.T) {
	w := simWorld(t, 1)
	w.swarm(24, setting{disc: func(c *discovery.Config) {
		c.Connections = 8
		c.Overlay.PingLeast, c.Overlay.PingMost = 20*time.Second, 20*time.Second
	}})
	w.Pass(5 * time.Minute)
	count := func() (dials int64, pings uint64) {
		for _, n := range w.nodes {
			s := n.Stats()
			dials, pings = dials+s.Dials, pings+s.Core.Answered
		}
		return dials, pings
	}
	d0, p0 := count()
	w.Pass(5 * time.Minute)
	d1, p1 := count()
	if share := float64(d1-d0) / float64(p1-p0); share > .25 {
		t.Errorf("%d dials for %d pings", d1-d0, p1-p0)
	} else {
		t.Logf("%d dials for %d pings", d1-d0, p1-p0)
	}
}
