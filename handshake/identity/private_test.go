package identity

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

// Whatever prints, encodes or logs an identity, alone or inside something, must not show its secrets.
func TestIdentityIsPrivate(t *testing.T) {
	seed := [32]byte{0xAB, 0xCD, 0xEF, 0x12, 0x34, 0x56}
	id, err := FromSeed(context.Background(), seed, Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	type exported struct{ ID, Value any }
	type hidden struct {
		p *Identity
		v Identity
	}
	holders := map[string]any{
		"pointer": id, "value": *id, "exported": exported{id, *id}, "hidden": hidden{id, *id}, "slice": []*Identity{id}, "values": []Identity{*id},
		"map": map[string]Identity{"id": *id},
	}
	var texts []string
	for name, h := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T"} {
			s := fmt.Sprintf(verb, h)
			texts = append(texts, s)
			if shows := name == "pointer" || name == "value"; shows && verb != "%p" && verb != "%T" && s != private {
				t.Errorf("%s of the %s prints %q, want %q", verb, name, s, private)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "h", h)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "h", h)
		texts = append(texts, log.String())
		if j, err := json.Marshal(h); err == nil {
			texts = append(texts, string(j))
		}
		if x, err := xml.Marshal(h); err == nil {
			texts = append(texts, string(x))
		}
	}
	if j, err := json.Marshal(id); err != nil || string(j) != `"(private)"` {
		t.Errorf("JSON: %s, %v", j, err)
	}
	if id.String() != private {
		t.Errorf("String: %q", id.String())
	}
	static, key := id.StaticKey(), id.s().key.Seed()
	for _, secret := range [][]byte{seed[:], key, static[:]} {
		for _, form := range []string{hex.EncodeToString(secret[:4]), string(secret[:4]), strings.Trim(fmt.Sprint(secret[:4]), "[]"), "0xab, 0xcd"} {
			for _, s := range texts {
				if strings.Contains(strings.ToLower(s), strings.ToLower(form)) {
					t.Errorf("secret %q shows in %q", form, s)
				}
			}
		}
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(id); err == nil {
		t.Error("gob encodes an identity")
	}
}

func TestIdentityDoesNotCompare(t *testing.T) {
	if reflect.TypeFor[Identity]().Comparable() {
		t.Error("two identities compare with ==")
	}
}

// Signatures count under their own domain, for their own message and key, and for no other way to cut the same bytes.
func TestSign(t *testing.T) {
	id, other := generate(t, 1, Puzzle{}), generate(t, 2, Puzzle{})
	sig := id.Sign("domain", []byte("message"))
	key := id.PublicKey()
	if !key.Verify("domain", []byte("message"), &sig) {
		t.Fatal("own signature does not verify")
	}
	for name, ok := range map[string]bool{
		"other domain":  key.Verify("domaim", []byte("message"), &sig),
		"other message": key.Verify("domain", []byte("massage"), &sig),
		"cut elsewhere": key.Verify("domai", []byte("nmessage"), &sig),
		"other key":     other.PublicKey().Verify("domain", []byte("message"), &sig),
		"changed":       key.Verify("domain", []byte("message"), &[64]byte{}),
	} {
		if ok {
			t.Errorf("%s: verifies", name)
		}
	}
	for _, domain := range []string{"", strings.Repeat("x", 256)} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "identity: bug:") {
					t.Errorf("domain of %d bytes: %v, want a bug", len(domain), r)
				}
			}()
			id.Sign(domain, nil)
		}()
	}
}

func TestHashIsID(t *testing.T) {
	k := generate(t, 1, Puzzle{}).PublicKey()
	if ID(Hash(k[:])) != k.ID() {
		t.Error("an ID is not the Hash of its key")
	}
}
