package codec_test

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"
)

// The types that the tests of this package send around. Between them they have every kind that can be coded.

type fixed struct {
	A uint8
	B uint16 // a gap in memory, none on the wire
	C uint32
	D uint64
	E int32
	F bool
	G [4]byte
	H float64
}

// gaps has numbers of one width that are neighbours on the wire and not in memory.
type gaps struct {
	A    uint32
	Skip uint32 `carrier:"-"`
	B    uint32
	C    struct {
		X uint64
		Y uint8
	}
	D, E uint8
}

type ints struct {
	I    int
	U    uint
	Many [2]int
	List []uint
}

type floats struct {
	A float32
	B []float64
	C complex64
	D [2]complex128
}

type note struct {
	Text string
	Data []byte
	Tags []string
}

type tree struct {
	Name string
	Kids []tree
	Next *tree
}

type nest []nest

type maps struct {
	A map[string]int16
	B map[int8]note
	C map[bool]*uint32
	D map[[2]byte]map[uint16]string
	E map[key]uint8
}

type key struct {
	Zone int16
	Name string
	Hash [3]byte
	Pair [2]uint64
	On   bool
}

type inner struct{ X, Y int64 }

type outer struct {
	Embedded
	inner   `carrier:"-"`
	Left    inner
	Right   *inner
	Corners [2]struct {
		Name string
		At   inner
	}
	Nothing struct{}
	Skipped chan int `carrier:"-"`
	hidden  int      `carrier:"-"`
}

type Embedded struct{ Z uint16 }

type stamped struct {
	At    time.Time
	Addrs []netip.AddrPort
	By    map[uint8]netip.Addr
}

// point codes itself, with methods on the pointer.
type point struct{ x, y uint8 }

var errPoint = errors.New("not a point")

func (p *point) AppendBinary(b []byte) ([]byte, error) {
	if p.x == 255 {
		return append(b, "half"...), errPoint
	}
	return append(b, p.x, p.y), nil
}

func (p *point) UnmarshalBinary(b []byte) error {
	if len(b) != 2 || b[0] == 255 {
		return fmt.Errorf("%w: %x", errPoint, b)
	}
	p.x, p.y = b[0], b[1]
	return nil
}

// word codes itself the older way, with MarshalBinary on the value.
type word string

func (w word) MarshalBinary() ([]byte, error)  { return []byte(w), nil }
func (w *word) UnmarshalBinary(b []byte) error { *w = word(b); return nil }

type drawing struct {
	Points []point
	Title  word
	Center *point
}

// Types that cannot be coded, each for one reason.
type (
	hasChan     struct{ C chan int }
	hasFunc     struct{ F []func() }
	hasAny      struct{ M map[string]any }
	hasUintptr  struct{ U uintptr }
	hasHidden   struct{ A, b int }
	hasBlank    struct{ _ [4]byte }
	hasBig      struct{ N *big.Int }
	hasFloatKey struct{ M map[float64]int }
	hasArrayKey struct{ M map[[2]float32]int }
	hasPtrKey   struct{ M map[*int]int }
	hasSelfKey  struct{ M map[netip.Addr]int }
	hasSkipKey  struct{ M map[skipKey]int }
	skipKey     struct {
		A int
		B int `carrier:"-"`
	}
	hasEmpties  struct{ L []struct{} }
	hasEmptyArr struct{ L [3]struct{} }
	hasEmptyMap struct{ M map[struct{}][0]int }
	hasWriter   struct{ W writeOnly }
	hasReader   struct{ R readOnly }
	embedsTime  struct {
		time.Time
		N int
	}
	embedsPtr struct{ *point }
	deepChan  struct{ T []map[string]*hasChan }
)

type writeOnly struct{ A int }

func (writeOnly) AppendBinary(b []byte) ([]byte, error) { return b, nil }

type readOnly struct{ A int }

func (*readOnly) UnmarshalBinary([]byte) error { return nil }

// shrinker breaks the rule that AppendBinary only appends.
type shrinker struct{}

func (shrinker) AppendBinary(b []byte) ([]byte, error) { return b[:0], nil }
func (*shrinker) UnmarshalBinary([]byte) error         { return nil }

type hasShrinker struct {
	A uint32
	S shrinker
}
