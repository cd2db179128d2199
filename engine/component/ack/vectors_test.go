package ack

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// Every vector parses, and is written back to the same bytes, or is refused, as it says.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for block := range strings.SplitSeq(string(text), "\n\n") {
		value := map[string]string{}
		for line := range strings.Lines(block) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			value[k] = v
		}
		if value["name"] == "" {
			continue
		}
		b, err := hex.DecodeString(value["hex"])
		if err != nil {
			t.Fatal(err)
		}
		m, err := parse(b)
		switch {
		case value["expect"] == "ok" && (err != nil || !bytes.Equal(m.append(nil), b)):
			t.Errorf("%s: %v, written back as %x", value["name"], err, m.append(nil))
		case value["expect"] == "malformed" && err != ErrMalformed:
			t.Errorf("%s: %v", value["name"], err)
		case value["expect"] == "ok":
			good++
		default:
			bad++
		}
	}
	if good < 5 || bad < good {
		t.Errorf("%d good vectors and %d bad ones", good, bad)
	}
}
