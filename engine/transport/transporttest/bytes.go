package transporttest

import "fmt"

// testOrder: both ends write at once, in writes of every length and more than any buffer holds, and each gets exactly
// what the other wrote.
func testOrder(k *kit) {
	a, b := k.node("a"), k.node("b")
	pumps := make(map[*end]*pump) // written before the pumps run, read on the loops after
	writable := func(e *end) { pumps[e].run() }
	a.onWritable, b.onWritable = writable, writable
	k.startPair(a, b)
	var ends [][2]*end
	sizes := []int64{1, 2, 1000, 16 << 10, 65537, 1 << 20, 8 << 20}
	for range sizes {
		ea, eb := k.connect(a, b)
		ends = append(ends, [2]*end{ea, eb})
	}
	for i, size := range sizes {
		for way := range 2 {
			from, to := ends[i][way], ends[i][1-way]
			p := pattern{seed: uint64(i*2 + way)}
			to.mu.Lock()
			to.expect = &p
			to.mu.Unlock()
			pumps[from] = &pump{e: from, p: p, size: size}
		}
	}
	for _, p := range pumps {
		p.run()
	}
	for i, size := range sizes {
		for way := range 2 {
			from, to := ends[i][way], ends[i][1-way]
			k.await(fmt.Sprintf("%d bytes at %s", size, to.rec.name), func() bool { return to.received() >= size })
			if got := to.received(); got != size {
				k.Errorf("%d bytes arrived of %d", got, size)
			}
			if sent, _, err := pumps[from].state(); sent != size || err != nil {
				k.Errorf("wrote %d of %d, %v", sent, size, err)
			}
		}
	}
}

// testShortWrites: more than a transport can hold, offered in one piece, is taken in parts, each announced by Writable.
func testShortWrites(k *kit) {
	const size = 24 << 20
	a, b := k.node("a"), k.node("b")
	p := new(pump)
	a.onWritable = func(*end) { p.run() }
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	eb.mu.Lock()
	eb.expect = &pattern{seed: 5}
	eb.mu.Unlock()
	*p = pump{e: ea, p: pattern{seed: 5}, size: size, whole: make([]byte, size)}
	p.p.fill(0, p.whole)
	p.run()
	k.await("all bytes", func() bool { return eb.received() >= size })
	sent, shorts, err := p.state()
	if got := eb.received(); got != size || sent != size || err != nil {
		k.Errorf("%d bytes arrived of %d, %d written, %v", got, size, sent, err)
	}
	if shorts == 0 {
		k.Errorf("%d bytes without one short write: nothing bounds this transport", size)
	}
}

// testQueueLimit: the hint may be given at any time and changes no bytes.
func testQueueLimit(k *kit) {
	a, b := k.node("a"), k.node("b")
	p := new(pump)
	limits := []int{16 << 10, 16 << 10, 0, 128 << 10}
	turn := 0
	a.onWritable = func(e *end) {
		p.mu.Lock() // not together with Write
		e.SetQueueLimit(limits[turn%len(limits)])
		turn++
		p.mu.Unlock()
		p.run()
	}
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	eb.mu.Lock()
	eb.expect = &pattern{}
	eb.mu.Unlock()
	ea.SetQueueLimit(64 << 10)
	*p = pump{e: ea, size: 4 << 20}
	p.run()
	k.await("all bytes", func() bool { return eb.received() == 4<<20 })
}

// testManyLinks: an echo on many links at once; each gets its own bytes back, on a loop of its transport.
func testManyLinks(k *kit) {
	const links, size = 64, 10 << 10
	a, b := k.node("a"), k.node("b")
	b.onBytes = func(e *end, in []byte) {
		if n, err := e.write(in); n != len(in) || err != nil {
			k.Errorf("echo: wrote %d of %d, %v", n, len(in), err)
		}
	}
	k.startPair(a, b)
	var ends []*end
	for i := range links {
		ea, _ := k.connect(a, b)
		ea.mu.Lock()
		ea.expect = &pattern{seed: uint64(i) << 20}
		ea.mu.Unlock()
		ends = append(ends, ea)
	}
	for i, e := range ends {
		out := make([]byte, size)
		pattern{seed: uint64(i) << 20}.fill(0, out)
		if n, err := e.write(out); n != size || err != nil {
			k.Fatalf("wrote %d of %d, %v", n, size, err)
		}
	}
	k.await("every echo", func() bool {
		for _, e := range ends {
			if e.received() < size {
				return false
			}
		}
		return true
	})
}
