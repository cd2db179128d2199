package identity

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

var (
	// ErrRecord is wrapped by every error about the form of a record.
	ErrRecord = errors.New("identity: malformed record")

	// ErrRecordVersion says that a record is of a version that this code does not know.
	ErrRecordVersion = errors.New("identity: record of an unknown version")

	// ErrSignature says that the signature of a record is not its owner's.
	ErrSignature = errors.New("identity: signature of the record does not verify")
)

// Flags say what kind of node a record describes. Unknown flags make a record malformed.
type Flags uint8

const (
	FlagClient Flags = 1 << iota // takes part without serving: never handed out to others, never in their tables
	FlagRelay                    // relays for nodes that cannot be reached

	flagsKnown = FlagClient | FlagRelay
)

const (
	recordVersion = 1
	recordDomain  = "carrier/1 node record" // what the signature of a record is under

	offFlags     = 1
	offSeq       = 2
	offPublicKey = 10
	offSolution  = 42
	offStatic    = 50
	offCount     = 82
)

const _ = uint(offCount + 1 - recordHeadSize) // with the next line: the head ends with the count
const _ = uint(recordHeadSize - offCount - 1)

// A Record is what a node says about itself, signed: see the package comment for its bytes. Whoever holds one treats it
// as fixed; a change is a new record with a higher Seq.
//
// A Record that came out of ParseRecord is only well-formed. Its fields are claims until Verify has returned nil.
type Record struct {
	PublicKey PublicKey
	Solution  [32]byte         // X of the dynamic puzzle
	Static    [32]byte         // X25519 public key that the owner uses in handshakes
	Addrs     []transport.Addr // best first; may be empty, for a node that only dials
	Seq       uint64           // of two records of one node the one with the higher Seq counts
	Flags     Flags
	Signature [64]byte
}

// NewRecord makes and signs a record of id. IPv4 addresses inside IPv6 are unmapped; addresses that a record cannot
// hold (see ParseRecord) are an error, which names the first. addrs is not kept.
func (id *Identity) NewRecord(addrs []transport.Addr, seq uint64, flags Flags) (*Record, error) {
	r := &Record{
		PublicKey: id.s().public,
		Solution:  id.s().solution,
		Static:    id.s().staticPK,
		Seq:       seq,
		Flags:     flags,
	}
	if len(addrs) > 0 {
		r.Addrs = make([]transport.Addr, len(addrs))
	}
	for i, a := range addrs {
		r.Addrs[i] = transport.Addr{Proto: a.Proto, AddrPort: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}
	}
	if err := r.checkForm(); err != nil {
		return nil, err
	}
	r.Signature = id.Sign(recordDomain, r.appendUnsigned(nil))
	return r, nil
}

// ID returns the name that belongs to the record's public key.
func (r *Record) ID() ID { return r.PublicKey.ID() }

// Verify reports whether the record may be believed: its form, then the puzzles of p, then the signature, which is a
// hundred times as expensive as the rest. Errors wrap ErrRecord, ErrKey, ErrPuzzle or ErrSignature. About 55 us for a
// good record, below 1 us for one that skipped the puzzles.
func (r *Record) Verify(p Puzzle) error {
	if err := r.checkForm(); err != nil {
		return err
	}
	if err := p.Check(r.PublicKey, r.Solution); err != nil {
		return err
	}
	var buf [RecordSizeLimit]byte
	if !r.PublicKey.Verify(recordDomain, r.appendUnsigned(buf[:0]), &r.Signature) {
		return ErrSignature
	}
	return nil
}

// checkForm holds for every record that has an encoding.
func (r *Record) checkForm() error {
	if r.Flags&^flagsKnown != 0 {
		return fmt.Errorf("%w: unknown flags %#x", ErrRecord, r.Flags&^flagsKnown)
	}
	if _, ok := freeOf(&r.Solution); !ok {
		return fmt.Errorf("%w: solution without 24 zero bytes in front", ErrRecord)
	}
	if len(r.Addrs) > AddrLimit {
		return fmt.Errorf("%w: %d addresses, limit %d", ErrRecord, len(r.Addrs), AddrLimit)
	}
	for i, a := range r.Addrs {
		if err := CheckAddr(a); err != nil {
			return err
		}
		if slices.Contains(r.Addrs[:i], a) {
			return fmt.Errorf("%w: address %v stands twice", ErrRecord, a)
		}
	}
	return r.PublicKey.Check()
}

// CheckAddr says why a record cannot hold an address: no dialler should be sent there, or it has no canonical encoding. Whether
// an address is public, and whether that matters, is for the overlay to say. The error wraps ErrRecord.
func CheckAddr(a transport.Addr) error {
	ip := a.Addr()
	why := ""
	switch {
	case a.Proto == 0:
		why = "no transport"
	case !ip.IsValid():
		why = "no IP address"
	case ip.Is4In6():
		why = "IPv4 inside IPv6"
	case ip.Zone() != "":
		why = "a zone means something on one machine only"
	case ip.IsUnspecified(), a.Port() == 0:
		why = "unspecified"
	case ip.IsMulticast(), ip == broadcast:
		why = "more than one host"
	default:
		return nil
	}
	return fmt.Errorf("%w: address %v: %s", ErrRecord, a, why)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Append appends the encoding. r comes from NewRecord or ParseRecord; a record that has no encoding is a bug of the caller.
func (r *Record) Append(dst []byte) []byte {
	return append(r.appendUnsigned(dst), r.Signature[:]...)
}

func (r *Record) appendUnsigned(dst []byte) []byte {
	if len(r.Addrs) > AddrLimit {
		invariant.Bug("identity: bug: a record with %d addresses", len(r.Addrs))
	}
	le := binary.LittleEndian
	dst = append(dst, recordVersion, byte(r.Flags))
	dst = le.AppendUint64(dst, r.Seq)
	dst = append(dst, r.PublicKey[:]...)
	dst = append(dst, r.Solution[24:]...)
	dst = append(dst, r.Static[:]...)
	dst = append(dst, byte(len(r.Addrs)))
	for _, a := range r.Addrs {
		dst = AppendAddr(dst, a)
	}
	return dst
}

// ParseRecord reads a record and requires the whole of b to be one. It takes exactly what Append writes: an address has
// a transport number other than 0 (unknown ones are kept, so that later transports do not make records unreadable), an
// IPv4 or IPv6 address that is one host's, without zone, never IPv4 inside IPv6, and a port; none stands twice. Errors
// wrap ErrRecord, ErrRecordVersion or ErrKey. Nothing of b is kept; the addresses are one allocation.
func ParseRecord(b []byte) (Record, error) {
	if len(b) > 0 && b[0] != recordVersion {
		return Record{}, fmt.Errorf("%w: %d", ErrRecordVersion, b[0])
	}
	if len(b) < recordHeadSize+signatureSize || len(b) > RecordSizeLimit {
		return Record{}, fmt.Errorf("%w: %d bytes", ErrRecord, len(b))
	}
	r := Record{Flags: Flags(b[offFlags]), Seq: binary.LittleEndian.Uint64(b[offSeq:])}
	copy(r.PublicKey[:], b[offPublicKey:])
	copy(r.Solution[24:], b[offSolution:offStatic])
	copy(r.Static[:], b[offStatic:])
	rest, signature := b[recordHeadSize:len(b)-signatureSize], b[len(b)-signatureSize:]
	copy(r.Signature[:], signature)

	count := int(b[offCount])
	if count > AddrLimit || count*addrSizeLeast > len(rest) {
		return Record{}, fmt.Errorf("%w: %d addresses in %d bytes", ErrRecord, count, len(rest))
	}
	if count > 0 {
		r.Addrs = make([]transport.Addr, count)
	}
	for i := range r.Addrs {
		a, n := ConsumeAddr(rest)
		if n < 0 {
			return Record{}, fmt.Errorf("%w: address %d of %d", ErrRecord, i+1, count)
		}
		r.Addrs[i], rest = a, rest[n:]
	}
	if len(rest) != 0 {
		return Record{}, fmt.Errorf("%w: %d bytes too many", ErrRecord, len(rest))
	}
	if err := r.checkForm(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// AppendAddr appends an address as it stands in records: u8 transport | u8 4 or 6 | 4 or 16 bytes IP | u16 port. IPv4
// inside IPv6 is written as IPv4, and a zone is lost.
func AppendAddr(dst []byte, a transport.Addr) []byte {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		b := ip.As4()
		dst = append(append(dst, byte(a.Proto), 4), b[:]...)
	} else {
		b := ip.As16()
		dst = append(append(dst, byte(a.Proto), 6), b[:]...)
	}
	return binary.LittleEndian.AppendUint16(dst, a.Port())
}

// ConsumeAddr reads an address from the front of b and returns how many bytes it took, negative if there is none. It
// takes only what AppendAddr writes, so IPv4 inside IPv6 is refused, but it does not ask whether the address makes
// sense.
func ConsumeAddr(b []byte) (a transport.Addr, n int) {
	if len(b) < 2 {
		return transport.Addr{}, -1
	}
	size := 0
	switch b[1] {
	case 4:
		size = 4
	case 6:
		size = 16
	}
	if size == 0 || len(b) < 2+size+2 {
		return transport.Addr{}, -1
	}
	ip, _ := netip.AddrFromSlice(b[2 : 2+size])
	if ip.Is4In6() {
		return transport.Addr{}, -1
	}
	port := binary.LittleEndian.Uint16(b[2+size:])
	return transport.Addr{Proto: transport.Proto(b[0]), AddrPort: netip.AddrPortFrom(ip, port)}, 2 + size + 2
}
