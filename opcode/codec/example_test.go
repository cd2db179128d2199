package codec_test

import (
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/opcode/codec"
)

// A message is a plain struct.
type Greeting struct {
	Text  string
	Times uint16
	Reply *Greeting
}

func ExampleLittleEndian() {
	le := codec.LittleEndian()
	b, err := le.Append(nil, &Greeting{Text: "hi", Times: 3})
	fmt.Printf("%x %v\n", b, err)

	var g Greeting
	err = le.Parse(b, &g)
	fmt.Println(g.Text, g.Times, err)

	err = le.Parse(b[:5], &g)
	fmt.Println(errors.Is(err, opcode.ErrPayload), err)
	// Output:
	// 020000006869030000 <nil>
	// hi 3 <nil>
	// true codec: parse *codec_test.Greeting: byte 0: opcode: payload does not parse: codec: payload ends too early
}

// A type on a hot path codes itself and is then neither looked at nor walked.
type Sample struct{ At, Value uint32 }

func (s *Sample) AppendBinary(b []byte) ([]byte, error) {
	return fmt.Appendf(b, "%08x%08x", s.At, s.Value), nil
}

func (s *Sample) UnmarshalBinary(b []byte) error {
	if len(b) != 16 {
		return errors.New("a sample has 16 digits")
	}
	_, err := fmt.Sscanf(string(b), "%08x%08x", &s.At, &s.Value)
	return err
}

func ExampleAppender() {
	le := codec.LittleEndian()
	b, _ := le.Append(nil, &Sample{At: 1, Value: 255})
	fmt.Printf("%s\n", b)
	fmt.Println(le.Parse(b[:3], new(Sample)))
	// Output:
	// 00000001000000ff
	// codec: parse *codec_test.Sample: byte 0: opcode: payload does not parse: a sample has 16 digits
}

// A Network keeps one Registry. Here it stands alone.
func ExampleLittleEndian_registry() {
	const opGreeting = opcode.ApplicationOpCodeStart + 3
	r, le := opcode.NewRegistry(), codec.LittleEndian()
	if _, err := r.Register(opGreeting, Greeting{}, le, 4<<10); err != nil {
		fmt.Println(err)
	}

	code, payload, err := r.Append(nil, &Greeting{Text: "hello"})
	fmt.Println(code, len(payload), err)

	v, err := r.Parse(code, payload)
	fmt.Println(v.(*Greeting).Text, err)

	_, err = r.Register(opcode.PingCode, Greeting{}, le, 0)
	fmt.Println(err)
	_, err = r.Register(2000, struct{ Done chan bool }{}, le, 0)
	fmt.Println(err)
	_, err = r.Parse(1001, payload)
	fmt.Println(err)
	// Output:
	// Opcode(1003) 12 <nil>
	// hello <nil>
	// opcode: code reserved for the library: 10; applications start at 1000
	// opcode: code 2000 with codec little-endian: codec: opcode: type cannot be used: struct { Done chan bool }.Done: chan cannot be coded
	// opcode: not registered: code 1001
}
