package ack

import (
	"bytes"
	"testing"

	"github.com/carrier-p2p/carrier/internal/vectors"
)

// Every vector parses, and is written back to the same bytes, or is refused, as it says.
func TestVectors(t *testing.T) {
	file := vectors.Read(t, "testdata/messages.txt")
	file.Weigh(t, 5)
	for _, v := range file.Blocks {
		b := v.Bytes(t, "hex")
		m, err := parse(b)
		switch v.Value["expect"] {
		case "ok":
			if err != nil || !bytes.Equal(m.append(nil), b) {
				t.Errorf("%s: %v, written back as %x", v.Name(), err, m.append(nil))
			}
		case "malformed":
			if err != ErrMalformed {
				t.Errorf("%s: %v", v.Name(), err)
			}
		default:
			t.Errorf("%s expects %s", v.Name(), v.Value["expect"])
		}
	}
}
