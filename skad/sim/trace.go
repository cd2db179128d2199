package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
)

// note adds to the history of n what has just reached it: a message of another node, or, from itself, a
// deadline. Every event is in the history of one node, and only what that node sees has an order there: which
// of two nodes is first in the same instant nobody can tell, the nodes as little as whoever reads the trace.
func (n *Node) note(at time.Duration, from *Node, op opcode.Opcode, nonce uint64) {
	h := mix(n.history ^ uint64(at))
	h = mix(h ^ uint64(from.index)<<32 ^ uint64(op))
	n.history = mix(h ^ nonce)
}

// TraceHash returns the hash of everything that has happened: every arrival and every deadline, with its
// time, in the order in which each node has seen them. It is the SHA-256 of the histories of all nodes.
func (w *Network) TraceHash() string {
	sum := sha256.New()
	var b [8]byte
	for _, n := range w.nodes {
		binary.LittleEndian.PutUint64(b[:], n.history)
		sum.Write(b[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}
