package enginetest

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// A dice is a node's randomness from a seed, for any goroutine.
type dice struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func newDice(seed, life uint64) *dice {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], life)
	return &dice{src: rand.NewChaCha8(key)}
}

func (d *dice) Read(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.src.Read(b)
}
