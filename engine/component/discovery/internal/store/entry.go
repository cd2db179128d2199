package store

import (
	"errors"
	"hash/crc32"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
)

const (
	// EntryLimit bounds the entries: several full tables, of which any handful that lives is enough to come back.
	EntryLimit = 2048

	// KeptFor is how long before the newest entry of a batch one may have been seen last: most nodes that were away for a
	// month do not come back to the same address.
	KeptFor = 30 * 24 * time.Hour
)

// A Source says how a node became known.
type Source uint8

const (
	Caller Source = iota // it called us
	Dialed               // it was mentioned, dialled, and answered
	sourceCount
)

// An Entry is a node as the store knows it.
type Entry struct {
	Record    identity.Record
	FirstSeen time.Time // to the second
	LastSeen  time.Time // when it last answered, to the second
	Score     uint16    // in how many batches it was found alive
	Source    Source
}

// over returns e with what an older entry of the same node knows: unless that has the newer record, which then stays.
func (e Entry) over(old Entry) Entry {
	if old.Record.Seq > e.Record.Seq {
		e.Record = old.Record
	}
	if old.FirstSeen.Before(e.FirstSeen) {
		e.FirstSeen, e.Source = old.FirstSeen, old.Source
	}
	if old.LastSeen.Before(e.LastSeen) {
		e.Score = uint16(min(int(e.Score)+int(old.Score), 1<<16-1))
	}
	return e
}

// An entry on disk, little endian; its key is the node's ID:
//
//	offset size field    meaning
//	0      4    checksum CRC-32C of what follows
//	4      1    source
//	5      2    score
//	7      8    first    seconds since 1970
//	15     8    last     seconds since 1970
//	23     n    record   see package identity
const entryHead = 4 + 1 + 2 + 8 + 8

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errEntry   = errors.New("store: not an entry")
)

func appendEntry(dst []byte, e *Entry) []byte {
	from := len(dst)
	dst = wire.AppendUint32(dst, 0)
	dst = wire.AppendUint8(dst, uint8(e.Source))
	dst = wire.AppendUint16(dst, e.Score)
	dst = wire.AppendUint64(dst, uint64(e.FirstSeen.Unix()))
	dst = wire.AppendUint64(dst, uint64(e.LastSeen.Unix()))
	dst = e.Record.Append(dst)
	wire.AppendUint32(dst[from:from], crc32.Checksum(dst[from+4:], castagnoli))
	return dst
}

// parseEntry reads an entry; its record is a copy. The checksum is not against somebody who writes to the disk: that is
// what the record's signature is for.
func parseEntry(b []byte) (Entry, error) {
	if len(b) < entryHead {
		return Entry{}, errEntry
	}
	sum, _ := wire.ConsumeUint32(b)
	source, _ := wire.ConsumeUint8(b[4:])
	if sum != crc32.Checksum(b[4:], castagnoli) || Source(source) >= sourceCount {
		return Entry{}, errEntry
	}
	score, _ := wire.ConsumeUint16(b[5:])
	first, _ := wire.ConsumeUint64(b[7:])
	last, _ := wire.ConsumeUint64(b[15:])
	rec, err := identity.ParseRecord(b[entryHead:])
	if err != nil {
		return Entry{}, errors.Join(errEntry, err)
	}
	return Entry{rec, time.Unix(int64(first), 0), time.Unix(int64(last), 0), score, Source(source)}, nil
}
