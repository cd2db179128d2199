package natmap

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"
)

// All the verbs, against a gateway that behaves.
func TestPMP(t *testing.T) {
	f := newFake(t)
	d := newPMP(f.gateway())
	r := d.do(t.Context(), action{Verb: verbProbe})
	if r.Err != nil || r.Address != outside1 || !r.HasEpoch || r.Epoch != 256*time.Second {
		t.Fatalf("probe: %+v", r)
	}
	r = d.do(t.Context(), action{Verb: verbMap, Port: udp4001, External: 4002, Lifetime: 10 * time.Minute})
	if r.Err != nil || r.External != 4002 || r.Lifetime != 10*time.Minute || f.mapped("udp 4002") != 4001 || r.Epoch != 256*time.Second {
		t.Fatalf("map: %+v", r)
	}
	r = d.do(t.Context(), action{Verb: verbUnmap, Port: udp4001, External: 4002})
	if r.Err != nil || f.mapped("udp 4002") != 0 {
		t.Fatalf("unmap: %+v", r)
	}
}

// answer is a response to a mapping request.
func mapAnswer(version, op byte, code, internal, external uint16, lifetime uint32) func([]byte) []byte {
	return func([]byte) []byte {
		out := []byte{version, op}
		out = binary.BigEndian.AppendUint16(out, code)
		out = binary.BigEndian.AppendUint32(out, 256)
		out = binary.BigEndian.AppendUint16(out, internal)
		out = binary.BigEndian.AppendUint16(out, external)
		return binary.BigEndian.AppendUint32(out, lifetime)
	}
}

// Answers of a hostile or broken gateway, and what each is taken for.
func TestPMPHostile(t *testing.T) {
	for _, c := range []struct {
		name string
		pmp  func([]byte) []byte
		want error
	}{
		{"good", mapAnswer(0, 130, 0, 4001, 4005, 60), nil},
		{"refused", mapAnswer(0, 130, 2, 4001, 0, 0), ErrRefused},
		{"no network", mapAnswer(0, 130, 3, 4001, 0, 0), ErrNoAddress},
		{"no resources", mapAnswer(0, 130, 4, 4001, 0, 0), ErrRefused},
		{"a code that nobody knows", mapAnswer(0, 130, 999, 4001, 0, 0), ErrRefused},
		{"a code that begins like another", mapAnswer(0, 130, 30, 4001, 0, 0), ErrRefused},
		{"another version", mapAnswer(2, 130, 1, 4001, 4005, 60), ErrNonsense},
		{"another operation", mapAnswer(0, 129, 0, 4001, 4005, 60), ErrNonsense},
		{"another port", mapAnswer(0, 130, 0, 22, 4005, 60), ErrNonsense},
		{"for no time", mapAnswer(0, 130, 0, 4001, 4005, 0), ErrNonsense},
		{"too short", func([]byte) []byte { return []byte{0, 130, 0} }, ErrNonsense},
		{"cut off", func(b []byte) []byte { return mapAnswer(0, 130, 0, 4001, 4005, 60)(b)[:12] }, ErrNonsense},
		{"too long", func(b []byte) []byte {
			return slices.Concat(mapAnswer(0, 130, 0, 4001, 4005, 60)(b), make([]byte, 1400))
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.set(func() { f.pmp = c.pmp })
			r := newPMP(f.gateway()).do(t.Context(), action{Verb: verbMap, Port: tcp4001, External: 4001, Lifetime: time.Minute})
			if !errors.Is(r.Err, c.want) || c.want == nil && (r.External != 4005 || r.Lifetime != time.Minute) {
				t.Errorf("%+v, want %v", r, c.want)
			}
		})
	}
}

// Nobody listens, and nobody answers.
func TestPMPAbsent(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	nobody := f.gateway()
	nobody.Addr = loopback()
	if r := newPMP(nobody).do(t.Context(), action{Verb: verbProbe}); !errors.Is(r.Err, ErrGone) {
		t.Errorf("nobody there: %v", r.Err)
	}
	f.set(func() { f.deaf = true })
	if r := newPMP(f.gateway()).do(t.Context(), action{Verb: verbMap, Port: tcp4001}); !errors.Is(r.Err, ErrSilent) {
		t.Errorf("no answer: %v", r.Err)
	}
}
