package handshake

import (
	"bytes"
	"errors"
	"testing"
)

func TestNextMessage(t *testing.T) {
	longest := append([]byte{MessageLimit & 0xff, MessageLimit >> 8}, make([]byte, MessageLimit)...)
	tests := []struct {
		name string
		b    []byte
		msg  []byte
		n    int
		err  error
	}{
		{"nothing", nil, nil, 0, nil},
		{"half a length", []byte{1}, nil, 0, nil},
		{"length alone", []byte{1, 0}, nil, 0, nil},
		{"all but one", []byte{3, 0, 1, 2}, nil, 0, nil},
		{"whole", []byte{2, 0, 1, 2}, []byte{1, 2}, 4, nil},
		{"whole and more", []byte{2, 0, 1, 2, 9, 9}, []byte{1, 2}, 4, nil},
		{"longest", longest, longest[2:], 2 + MessageLimit, nil},
		{"too long, told by the length", []byte{(MessageLimit + 1) & 0xff, (MessageLimit + 1) >> 8}, nil, 0, ErrMessageTooLong},
		{"far too long", []byte{0xff, 0xff}, nil, 0, ErrMessageTooLong},
		{"empty", []byte{0, 0, 1}, nil, 0, ErrMessage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			msg, n, err := NextMessage(tt.b)
			if !bytes.Equal(msg, tt.msg) || n != tt.n || !errors.Is(err, tt.err) {
				t.Errorf("%d bytes, n = %d, %v, want %d bytes, n = %d, %v", len(msg), n, err, len(tt.msg), tt.n, tt.err)
			}
			if cap(msg) != len(msg) {
				t.Error("appending to the message would write into what follows it")
			}
		})
	}
}

// Law: a stream in any two pieces gives the same messages as whole, ends at the same place with the same error; n is 0 or
// more than the message.
func FuzzNextMessage(f *testing.F) {
	f.Add([]byte{2, 0, 1, 2, 1, 0, 7}, 3)
	f.Add([]byte{2, 0, 1, 2, 0xff, 0xff}, 5)
	f.Add([]byte{1, 0, 1, 0, 0}, 1)
	all := func(b []byte) (msgs [][]byte, used int, err error) {
		for {
			msg, n, err := NextMessage(b[used:])
			if n == 0 || err != nil {
				return msgs, used, err
			}
			msgs, used = append(msgs, msg), used+n
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = min(max(cut, 0), len(b))
		want, usedWhole, errWhole := all(b)
		got, used, err := all(b[:cut])
		if err == nil {
			var rest [][]byte
			var more int
			rest, more, err = all(b[used:])
			got, used = append(got, rest...), used+more
		}
		if used != usedWhole || (err == nil) != (errWhole == nil) || len(got) != len(want) {
			t.Fatalf("cut at %d: %d messages, %d bytes, %v; whole: %d messages, %d bytes, %v", cut, len(got), used, err, len(want), usedWhole, errWhole)
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) || len(got[i]) == 0 || len(got[i]) > MessageLimit {
				t.Fatalf("message %d: %x, whole %x", i, got[i], want[i])
			}
		}
	})
}
