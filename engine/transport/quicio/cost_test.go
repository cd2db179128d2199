package quicio

import (
	"context"
	"runtime"
	"testing"
)

// TestCostOfALink holds what limits.go and docs/transports.md say of one idle link: memory, stacks included, and goroutines.
func TestCostOfALink(t *testing.T) {
	if testing.Short() {
		t.Skip("200 handshakes")
	}
	_, w, at := serve(t, Config{Loops: 1})
	tr, mine := withKey(t, Config{Loops: 1}), newWatcher()
	if _, err := tr.Start(mine, nil); err != nil {
		t.Fatal(err)
	}
	defer tr.Stop()
	count := 0
	open := func(n int) {
		for range n / 20 { // quic-go lets 32 wait to be accepted, and refuses more
			for range 20 {
				tr.Dial(context.Background(), at, count)
				count++
			}
			w.until(t, "twenty links", func() bool { return len(w.links) == count })
			mine.until(t, "twenty links", func() bool { return len(mine.links) == count })
		}
	}
	inUse := func() (bytes, goroutines int) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()
	}
	open(20)
	before, had := inUse()
	const links = 200
	open(links)
	after, have := inUse()
	const ends = 2 * links
	t.Logf("one end of a link: %d bytes, %.1f goroutines", (after-before)/ends, float64(have-had)/ends)
	if size := (after - before) / ends; size > 80<<10 {
		t.Errorf("one end of an idle link takes %d bytes, promised 80 KiB at most", size)
	}
	if n := float64(have-had) / ends; n > 5 {
		t.Errorf("one end of an idle link takes %.1f goroutines, promised 5 at most", n)
	}
}
