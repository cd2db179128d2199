package proxy

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// What is written is read again, and nothing longer or shorter is.
func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := request{kind: kind(rapid.IntRange(1, int(kindEndDown)).Draw(t, "kind"))}
		if r.kind != kindConnect {
			r.number = rapid.Uint32().Draw(t, "number")
		}
		id := func() {
			copy(r.id[:], rapid.SliceOfN(rapid.Byte(), len(identity.ID{}), len(identity.ID{})).Draw(t, "id"))
		}
		switch r.kind {
		case kindConnect:
			id()
		case kindInvite:
			id()
			r.window = rapid.Uint32().Draw(t, "window")
		case kindUp, kindDown:
			r.data = rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "data")
		case kindRoom:
			r.total = rapid.Uint64().Draw(t, "total")
		case kindEndUp, kindEndDown:
			r.reason = Reason(rapid.Byte().Draw(t, "reason"))
		}
		b := r.append(nil)
		got, err := parseRequest(b)
		if err != nil || got.kind != r.kind || got.number != r.number || got.window != r.window || got.total != r.total ||
			got.reason != r.reason || got.id != r.id || !bytes.Equal(got.data, r.data) {
			t.Fatalf("%+v became %+v, %v", r, got, err)
		}
		if sizes[r.kind] != 0 {
			if _, err := parseRequest(append(b, 0)); !errors.Is(err, ErrMessage) {
				t.Fatalf("a byte more: %v", err)
			}
		}
		if _, err := parseRequest(b[:len(b)-1]); err == nil && len(r.data) < 2 {
			t.Fatalf("a byte less of kind %d is accepted", r.kind)
		}
	})
}

// Law: what parses, appends to the same bytes; its data aliases them and is not too long; what does not is ErrMessage.
func FuzzRequest(f *testing.F) {
	for _, r := range []request{{kind: kindReserve, number: 3600}, {kind: kindConnect, id: identity.ID{1}}, {kind: kindInvite, number: 3, window: 1 << 19, id: identity.ID{2}},
		{kind: kindUp, number: 2, data: []byte("hello")}, {kind: kindDown, number: 3, data: []byte("hello")}, {kind: kindRoom, number: 2, total: 1 << 20},
		{kind: kindEndUp, number: 2}, {kind: kindEndDown, number: 3, reason: Quota}} {
		f.Add(r.append(nil))
	}
	f.Add([]byte{})
	f.Add([]byte{9, 1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err != nil {
			if !errors.Is(err, ErrMessage) {
				t.Fatal(err)
			}
			return
		}
		if again := r.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
		if len(r.data) > dataLimit || len(r.data) > 0 && &r.data[0] != &b[dataHeaderSize] {
			t.Fatalf("%d bytes of data, or copied", len(r.data))
		}
		_ = r.reason.String()
	})
}

// Law: likewise.
func FuzzResponse(f *testing.F) {
	f.Add(response{reason: Full, number: 7, window: 1 << 19}.append(nil))
	f.Add([]byte{1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseResponse(b)
		if (err == nil) != (len(b) == responseSize) || err != nil && !errors.Is(err, ErrMessage) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err == nil && !bytes.Equal(r.append(nil), b) {
			t.Fatalf("%x became %+v", b, r)
		}
	})
}

// An idle circuit is small: this, and two entries of maps at each of its ends.
func TestCircuitSize(t *testing.T) {
	if size := unsafe.Sizeof(circuit{}); size > 320 {
		t.Errorf("a circuit is %d bytes, at most 320", size)
	}
}
