package reach

import (
	"bytes"
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/vectors"
	"github.com/carrier-p2p/carrier/opcode"
)

const vectorsFile = "testdata/messages.txt"

// again reads a message and writes it anew.
func again(op string, b []byte) ([]byte, error) {
	if op == "27" {
		m, err := parseRequest(b)
		if err != nil {
			return nil, err
		}
		return m.append(nil), nil
	}
	m, err := parseResponse(b)
	if err != nil {
		return nil, err
	}
	return m.append(nil), nil
}

// TestVectors holds the messages against the file.
func TestVectors(t *testing.T) {
	file := vectors.Read(t, vectorsFile)
	file.Weigh(t, 6)
	for _, v := range file.Blocks {
		in := v.Bytes(t, "hex")
		out, err := again(v.Value["op"], in)
		switch {
		case v.Good():
			if err != nil || !bytes.Equal(out, in) {
				t.Errorf("%s: %x, %v", v.Name(), out, err)
			}
		case v.Value["expect"] != "not a message" || !errors.Is(err, errMessage):
			t.Errorf("%s: %v, expected %s", v.Name(), err, v.Value["expect"])
		}
		if f, known := opcode.FactsOf(opcode.Opcode(v.Number(t, "op"))); v.Good() && (!known || len(in) > f.PayloadLimit) {
			t.Errorf("%s: %d bytes are too many for its opcode", v.Name(), len(in))
		}
	}
}

// FuzzMessages: what is read is written as it came, and is an address that could be dialled; anything else is errMessage.
func FuzzMessages(f *testing.F) {
	for _, v := range vectors.Read(f, vectorsFile).Blocks {
		f.Add(v.Value["op"] == "27", v.Bytes(f, "hex"))
	}
	f.Fuzz(func(t *testing.T, question bool, b []byte) {
		op := "28"
		if question {
			op = "27"
		}
		back, err := again(op, b)
		if err != nil {
			if !errors.Is(err, errMessage) {
				t.Fatalf("%v", err)
			}
			return
		}
		if !bytes.Equal(back, b) {
			t.Fatalf("%x is written as %x", b, back)
		}
		if m, err := parseRequest(b); question && (err != nil || m.nonce == 0 || m.addr.Port() == 0 || m.addr.Proto == transport.Proto(0) || !m.addr.IsValid()) {
			t.Fatalf("%+v, %v", m, err)
		}
	})
}
