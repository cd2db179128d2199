package opcode_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/opcode"
)

type (
	chat   struct{ Text string }
	vote   struct{ Yes bool }
	silent struct{}
)

// texts is a codec for *chat alone; it says so when asked beforehand.
type texts struct{}

func (texts) Name() string { return "texts" }

func (texts) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case chat:
		return append(dst, v.Text...), nil
	case *chat:
		return append(dst, v.Text...), nil
	}
	return dst, fmt.Errorf("texts: %w", opcode.ErrType)
}

func (texts) Parse(b []byte, v any) error {
	if bytes.Contains(b, []byte{0}) {
		return fmt.Errorf("texts: %w", opcode.ErrPayload)
	}
	v.(*chat).Text = string(b)
	return nil
}

func (texts) Check(t reflect.Type) error {
	if t != reflect.TypeFor[chat]() {
		return fmt.Errorf("texts: %v: %w", t, opcode.ErrType)
	}
	return nil
}

// empty is a codec for everything that cannot be asked beforehand.
type empty struct{}

func (empty) Name() string                             { return "empty" }
func (empty) Append(dst []byte, _ any) ([]byte, error) { return dst, nil }
func (empty) Parse([]byte, any) error                  { return nil }

func TestRegister(t *testing.T) {
	var pointer *chat
	for _, c := range []struct {
		name      string
		prototype any
		limit     int
		wantLimit int
	}{
		{"value", chat{}, 0, opcode.DefaultPayloadLimit},
		{"pointer", &chat{}, 1, 1},
		{"nil pointer", pointer, opcode.MaxPayloadLimit, opcode.MaxPayloadLimit},
		{"value that is not empty", chat{"ignored"}, 7, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opcode.NewRegistry()
			e, err := r.Register(1000, c.prototype, texts{}, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			if e.Code != 1000 || e.Type != reflect.TypeFor[chat]() || e.Codec != (texts{}) || e.Limit != c.wantLimit {
				t.Errorf("entry %+v", e)
			}
			for name, v := range map[string]any{"value": chat{}, "pointer": &chat{}, "nil pointer": pointer} {
				if got, ok := r.ByType(v); !ok || got != e {
					t.Errorf("by %s: %v, %t", name, got, ok)
				}
			}
			if got, ok := r.ByCode(1000); !ok || got != e {
				t.Errorf("by code: %v, %t", got, ok)
			}
		})
	}
}

// TestRegisterRefuses: every wrong registration is told apart, says what is wrong, and leaves the registry as it was.
func TestRegisterRefuses(t *testing.T) {
	var pointer *chat
	for _, c := range []struct {
		name      string
		code      opcode.Opcode
		prototype any
		codec     opcode.Codec
		limit     int
		want      error
		says      string
	}{
		{"code 0", 0, vote{}, empty{}, 0, opcode.ErrReserved, "0;"},
		{"code of the library", opcode.PingCode, vote{}, empty{}, 0, opcode.ErrReserved, "10;"},
		{"code that is not assigned", 5, vote{}, empty{}, 0, opcode.ErrReserved, "5;"},
		{"last reserved code", 999, vote{}, empty{}, 0, opcode.ErrReserved, "999; applications start at 1000"},
		{"code twice", 1000, vote{}, empty{}, 0, opcode.ErrDuplicate, "code 1000, for opcode_test.chat"},
		{"type twice", 1001, chat{}, texts{}, 0, opcode.ErrDuplicate, "type opcode_test.chat, under code 1000"},
		{"type twice, as a pointer", 1001, &chat{}, texts{}, 0, opcode.ErrDuplicate, "under code 1000"},
		{"both twice", 1000, chat{}, texts{}, 0, opcode.ErrDuplicate, "code 1000"},
		{"no prototype", 1001, nil, empty{}, 0, opcode.ErrType, "prototype is nil"},
		{"pointer to pointer", 1001, &pointer, empty{}, 0, opcode.ErrType, "**opcode_test.chat"},
		{"pointer to interface", 1001, new(any), empty{}, 0, opcode.ErrType, "*interface {}"},
		{"no codec", 1001, vote{}, nil, 0, opcode.ErrType, "no codec given for opcode_test.vote"},
		{"type the codec refuses", 1001, vote{}, texts{}, 0, opcode.ErrType, "code 1001 with codec texts: texts: opcode_test.vote"},
		{"negative limit", 1001, vote{}, empty{}, -1, opcode.ErrLimit, "-1"},
		{"limit too large", 1001, vote{}, empty{}, opcode.MaxPayloadLimit + 1, opcode.ErrLimit, "16777217"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opcode.NewRegistry()
			first, err := r.Register(1000, chat{}, texts{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			e, err := r.Register(c.code, c.prototype, c.codec, c.limit)
			if e != nil || !errors.Is(err, c.want) {
				t.Fatalf("got %v, %v; want %v", e, err, c.want)
			}
			if !strings.HasPrefix(err.Error(), "opcode: ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
			if got, ok := r.ByCode(1000); !ok || got != first {
				t.Errorf("code 1000 is now %v", got)
			}
			if _, ok := r.ByCode(1001); ok {
				t.Error("code 1001 is registered although it was refused")
			}
			if _, ok := r.ByType(vote{}); ok {
				t.Error("the type is registered although it was refused")
			}
		})
	}
}

func TestNotRegistered(t *testing.T) {
	r := opcode.NewRegistry()
	dst := []byte("kept")
	code, b, err := r.Append(dst, &vote{})
	if code != opcode.UnregisteredCode || string(b) != "kept" || !errors.Is(err, opcode.ErrNotRegistered) {
		t.Errorf("append: %v, %q, %v", code, b, err)
	}
	if !strings.Contains(fmt.Sprint(err), "*opcode_test.vote") {
		t.Errorf("%q does not name the type", err)
	}
	if _, _, err := r.Append(nil, nil); !errors.Is(err, opcode.ErrNotRegistered) {
		t.Errorf("append nil: %v", err)
	}
	v, err := r.Parse(1003, nil)
	if v != nil || !errors.Is(err, opcode.ErrNotRegistered) || !strings.Contains(fmt.Sprint(err), "1003") {
		t.Errorf("parse: %v, %v", v, err)
	}
	if _, ok := r.ByType(nil); ok {
		t.Error("nil has an entry")
	}
	if _, ok := r.ByCode(opcode.PingCode); ok {
		t.Error("a library code has an entry")
	}
}

func TestAppendAndParse(t *testing.T) {
	r := opcode.NewRegistry()
	if _, err := r.Register(1000, chat{}, texts{}, 5); err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{chat{"hello"}, &chat{"hello"}} {
		code, b, err := r.Append([]byte(">"), v)
		if code != 1000 || string(b) != ">hello" || err != nil {
			t.Errorf("%T: %v, %q, %v", v, code, b, err)
		}
	}
	v, err := r.Parse(1000, []byte("hello"))
	if got, ok := v.(*chat); !ok || got.Text != "hello" || err != nil {
		t.Errorf("parse: %#v, %v", v, err)
	}
}

// TestLimit: the limit holds in both directions, to the byte, and before the codec sees what came.
func TestLimit(t *testing.T) {
	r := opcode.NewRegistry()
	e, err := r.Register(1000, chat{}, texts{}, 5)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Append([]byte("123456"), &chat{"hello!"})
	if string(b) != "123456" || !errors.Is(err, opcode.ErrTooLarge) {
		t.Errorf("append: %q, %v", b, err)
	}
	if b, err = e.Append([]byte("123456"), &chat{"hello"}); string(b) != "123456hello" || err != nil {
		t.Errorf("append at the limit: %q, %v", b, err)
	}
	var got chat
	if err := e.Parse([]byte("hell\x00!"), &got); !errors.Is(err, opcode.ErrTooLarge) || errors.Is(err, opcode.ErrPayload) {
		t.Errorf("parse: %v", err)
	}
	if err := e.Parse([]byte("hell\x00"), &got); !errors.Is(err, opcode.ErrPayload) {
		t.Errorf("parse of what the codec refuses: %v", err)
	}
	if v, err := r.Parse(1000, []byte{0}); v != nil || !errors.Is(err, opcode.ErrPayload) {
		t.Errorf("registry: %v, %v", v, err)
	}
}

// TestEntryRefusesOtherTypes: an entry never hands a codec a value of a type it was not registered for.
func TestEntryRefusesOtherTypes(t *testing.T) {
	e, err := opcode.NewRegistry().Register(1000, chat{}, texts{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{nil, vote{}, &vote{}, "text", new(*chat)} {
		if b, err := e.Append([]byte("x"), v); string(b) != "x" || !errors.Is(err, opcode.ErrType) {
			t.Errorf("append %T: %q, %v", v, b, err)
		}
		if err := e.Parse(nil, v); !errors.Is(err, opcode.ErrType) {
			t.Errorf("parse into %T: %v", v, err)
		}
	}
	if err := e.Parse(nil, chat{}); !errors.Is(err, opcode.ErrType) {
		t.Errorf("parse into a value: %v", err)
	}
	if _, ok := e.New().(*chat); !ok {
		t.Errorf("New returns %T", e.New())
	}
}

// TestRegistryModel registers at random and compares with two maps, which is what a registry is.
func TestRegistryModel(t *testing.T) {
	types := []any{chat{}, &chat{}, vote{}, &vote{}, silent{}, "", []byte(nil), 0, map[string]int(nil), [4]byte{}}
	rapid.Check(t, func(t *rapid.T) {
		r := opcode.NewRegistry()
		byCode, byType := map[opcode.Opcode]*opcode.Entry{}, map[reflect.Type]*opcode.Entry{}
		for range rapid.IntRange(1, 20).Draw(t, "registrations") {
			code := opcode.Opcode(rapid.Uint32Range(995, 1010).Draw(t, "code"))
			v := rapid.SampledFrom(types).Draw(t, "type")
			typ := reflect.TypeOf(v)
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			e, err := r.Register(code, v, empty{}, 0)
			switch {
			case code < 1000:
				if !errors.Is(err, opcode.ErrReserved) {
					t.Fatalf("code %d: %v", code, err)
				}
			case byCode[code] != nil || byType[typ] != nil:
				if !errors.Is(err, opcode.ErrDuplicate) {
					t.Fatalf("code %d, type %v: %v", code, typ, err)
				}
			default:
				if err != nil {
					t.Fatal(err)
				}
				byCode[code], byType[typ] = e, e
			}
		}
		for c := opcode.Opcode(990); c < 1020; c++ {
			if e, ok := r.ByCode(c); e != byCode[c] || ok != (byCode[c] != nil) {
				t.Fatalf("code %d: %v, %t", c, e, ok)
			}
		}
		for _, v := range types {
			typ := reflect.TypeOf(v)
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			if e, ok := r.ByType(v); e != byType[typ] || ok != (byType[typ] != nil) {
				t.Fatalf("type %v: %v, %t", typ, e, ok)
			}
		}
	})
}

// TestEntries: all entries, by rising code, also codes that a signed number would take for negative.
func TestEntries(t *testing.T) {
	r := opcode.NewRegistry()
	if got := r.Entries(); len(got) != 0 {
		t.Errorf("an empty registry has %v", got)
	}
	for i, code := range []opcode.Opcode{1<<32 - 1, 1000, 1 << 31, 1<<31 - 1} {
		typ := reflect.ArrayOf(i+1, reflect.TypeFor[byte]())
		if _, err := r.Register(code, reflect.Zero(typ).Interface(), empty{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	var got []opcode.Opcode
	for _, e := range r.Entries() {
		got = append(got, e.Code)
	}
	if want := []opcode.Opcode{1000, 1<<31 - 1, 1 << 31, 1<<32 - 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestConcurrentUse registers and reads from many goroutines at once; the race detector watches. Of all that register one
// code exactly one succeeds, and an entry once seen stays.
func TestConcurrentUse(t *testing.T) {
	r := opcode.NewRegistry()
	var wg sync.WaitGroup
	won := make([]int, 20)
	var mu sync.Mutex
	for range 4 {
		wg.Go(func() {
			for i := range won {
				typ := reflect.ArrayOf(i+1, reflect.TypeFor[byte]())
				e, err := r.Register(1000+opcode.Opcode(i), reflect.Zero(typ).Interface(), empty{}, 0)
				if err == nil {
					mu.Lock()
					won[i]++
					mu.Unlock()
				} else if !errors.Is(err, opcode.ErrDuplicate) {
					t.Error(err)
				}
				got, ok := r.ByCode(1000 + opcode.Opcode(i))
				if !ok || got.Type != typ || e != nil && got != e {
					t.Errorf("code %d: %v, %t", 1000+i, got, ok)
				}
			}
		})
	}
	wg.Wait()
	for i, n := range won {
		if n != 1 {
			t.Errorf("code %d was registered %d times", 1000+i, n)
		}
	}
}

// TestLookupAllocs: what is asked for every message costs no memory.
func TestLookupAllocs(t *testing.T) {
	r := opcode.NewRegistry()
	if _, err := r.Register(1000, chat{}, texts{}, 0); err != nil {
		t.Fatal(err)
	}
	v := &chat{"hello"}
	dst := make([]byte, 0, 64)
	for name, f := range map[string]func(){
		"FactsOf": func() { opcode.FactsOf(opcode.PingCode) },
		"ByCode":  func() { r.ByCode(1000) },
		"ByType":  func() { r.ByType(v) },
		"Append":  func() { r.Append(dst, v) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, promised 0", name, n)
		}
	}
}

func BenchmarkFactsOf(b *testing.B) {
	n := 0
	for i := range b.N {
		f, _ := opcode.FactsOf(opcode.Opcode(i & 31))
		n += f.PayloadLimit
	}
	if n < 0 {
		b.Fatal(n)
	}
}

func BenchmarkRegistry(b *testing.B) {
	r := opcode.NewRegistry()
	for i := range 200 {
		typ := reflect.ArrayOf(i+1, reflect.TypeFor[byte]())
		if _, err := r.Register(1000+opcode.Opcode(i), reflect.Zero(typ).Interface(), empty{}, 0); err != nil {
			b.Fatal(err)
		}
	}
	v := any(new([100]byte))
	b.Run("ByCode/registered=200", func(b *testing.B) {
		for i := range b.N {
			if _, ok := r.ByCode(1000 + opcode.Opcode(i%200)); !ok {
				b.Fatal("missing")
			}
		}
	})
	b.Run("ByType/registered=200", func(b *testing.B) {
		for b.Loop() {
			if _, ok := r.ByType(v); !ok {
				b.Fatal("missing")
			}
		}
	})
}
