package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestIDText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := ID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "id"))
		for _, s := range []string{id.String(), strings.ToUpper(id.String())} {
			if got, err := ParseID(s); err != nil || got != id {
				t.Fatalf("ParseID(%q) = %v, %v", s, got, err)
			}
		}
		if !strings.HasPrefix(id.String(), id.Short()) || len(id.Short()) != 16 {
			t.Fatalf("Short is %q", id.Short())
		}
		var back ID
		j, err := json.Marshal(id)
		if err == nil {
			err = json.Unmarshal(j, &back)
		}
		if err != nil || back != id {
			t.Fatalf("through JSON: %v, %v", back, err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "id", id)
		if !strings.Contains(log.String(), "id="+id.Short()+"\n") {
			t.Fatalf("log: %s", log.String())
		}
	})
}

func TestParseIDRejects(t *testing.T) {
	good := strings.Repeat("0f", 32)
	for _, s := range []string{"", good[:63], good[:62], good + "0", good + "00", " " + good[:63], good[:63] + "g", strings.Repeat("é", 32)} {
		if id, err := ParseID(s); !errors.Is(err, ErrID) || !id.IsZero() {
			t.Errorf("ParseID(%q) = %v, %v, want the zero ID and ErrID", s, id, err)
		}
	}
	id := ID{7}
	if err := id.UnmarshalText([]byte("nonsense")); !errors.Is(err, ErrID) || id != (ID{7}) {
		t.Errorf("UnmarshalText of nonsense: %v, %v, want ErrID and no change", id, err)
	}
}

func TestIDLess(t *testing.T) {
	order := []ID{{}, {31: 1}, {31: 0xff}, {30: 1}, {0: 1}, {0: 1, 31: 1}, {0: 0x80}}
	for i, a := range order {
		for j, b := range order {
			if a.Less(b) != (i < j) {
				t.Errorf("%s < %s: %v", a.Short(), b.Short(), a.Less(b))
			}
		}
	}
	if !order[0].IsZero() || order[1].IsZero() {
		t.Error("IsZero")
	}
}

func TestPublicKeyText(t *testing.T) {
	k := PublicKey{0xab, 31: 0x01}
	want := "ab" + strings.Repeat("00", 30) + "01"
	if k.String() != want || k.LogValue().String() != want {
		t.Errorf("%s, %s, want %s", k, k.LogValue(), want)
	}
}
