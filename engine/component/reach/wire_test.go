package reach

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/opcode"
)

// A vector is one block of testdata/messages.txt.
type vector struct {
	name, op, expect string
	bytes            []byte
}

func readVectors(t testing.TB) (all []vector) {
	t.Helper()
	text, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(text), "\n\n")[1:] {
		value := map[string]string{}
		for _, line := range strings.Split(block, "\n") {
			k, v, _ := strings.Cut(line, "=")
			value[k] = v
		}
		b, err := hex.DecodeString(value["hex"])
		if err != nil {
			t.Fatalf("%s: %v", value["name"], err)
		}
		all = append(all, vector{value["name"], value["op"], value["expect"], b})
	}
	return all
}

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
	good, bad := 0, 0
	for _, v := range readVectors(t) {
		b, err := again(v.op, v.bytes)
		switch {
		case v.expect == "ok":
			good++
			if err != nil || !bytes.Equal(b, v.bytes) {
				t.Errorf("%s: %x, %v", v.name, b, err)
			}
		case v.expect != "not a message" || !errors.Is(err, errMessage):
			t.Errorf("%s: %v, expected %s", v.name, err, v.expect)
		default:
			bad++
		}
		if code := map[string]opcode.Opcode{"27": opcode.DialBackRequestCode, "28": opcode.DialBackResponseCode}[v.op]; code != 0 {
			if f, _ := opcode.FactsOf(code); v.expect == "ok" && len(v.bytes) > f.PayloadLimit {
				t.Errorf("%s: %d bytes are too many for its opcode", v.name, len(v.bytes))
			}
		}
	}
	if good < 6 || bad < good {
		t.Errorf("%d good vectors, %d bad ones", good, bad)
	}
}

// FuzzMessages: what is read is written as it came, and is an address that could be dialled; anything else is errMessage.
func FuzzMessages(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.op == "27", v.bytes)
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
