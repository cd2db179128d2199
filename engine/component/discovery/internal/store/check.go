package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"syscall"
	"time"
)

// bbolt believes its file. Only the two meta pages have checksums; a flipped bit in a branch page can send it in circles
// until memory ends, which no recover stops. So before bbolt sees the file, its tree is walked here, with bounds: every
// page that is reachable is in the file, is reached once, is what it says it is, holds what lies within it, and has its
// keys in their order, between those that lead to it.

var errTree = errors.New("store: bad page")

// The layout of bbolt's file, version 2, which has not changed since 2014.
const (
	pageHead   = 16 // u64 id, u16 flags, u16 count, u32 overflow
	elemSize   = 16
	bucketHead = 16 // u64 root, u64 sequence
	metaSize   = 64
	boltMagic  = 0xED0CDAED
	boltFormat = 2

	branchPage = 0x01
	leafPage   = 0x02
	bucketLeaf = 0x01 // flag of a leaf element
)

// checkFile checks the file at path, while no other process has it. One that is missing or empty is fine: bbolt makes it.
func checkFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil // bbolt says it better
	}
	defer f.Close() // unlocks
	for giveUp := time.Now().Add(lockTimeout); syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil; time.Sleep(lockEvery) {
		if time.Now().After(giveUp) {
			return ErrLocked
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	switch {
	case err != nil:
		return err
	case len(b) == 0:
		return nil
	case len(b) > fileLimit:
		return fmt.Errorf("%w: larger than %d bytes", ErrDamaged, fileLimit)
	}
	if err := checkTree(b); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// lockEvery is how often a lock that another process holds is asked for again.
const lockEvery = 50 * time.Millisecond

// A tree is a file that is being walked.
type tree struct {
	b       []byte
	size    uint64 // of a page
	pages   uint64 // in use, as the meta page says
	reached map[uint64]bool
}

func checkTree(b []byte) error {
	root, t := uint64(0), (*tree)(nil)
	var newest uint64
	for _, size := range []uint64{4096, 8192, 16384, 32768, 65536, 512, 1024, 2048} { // the second meta page is one page in
		for i := range uint64(2) {
			if m, ok := readMeta(b, i*size); ok && m.size == size && (t == nil || m.txid > newest) {
				t, root, newest = &tree{b: b, size: size, pages: m.pages, reached: map[uint64]bool{}}, m.root, m.txid
			}
		}
		if t != nil {
			break
		}
	}
	if t == nil {
		return fmt.Errorf("%w: no meta page", errTree)
	}
	if t.pages > uint64(len(b))/t.size {
		return fmt.Errorf("%w: cut short: %d pages, the file has %d", errTree, t.pages, uint64(len(b))/t.size)
	}
	return t.walk(root, span{})
}

// A span is where the keys of a page must lie: from least on and below most. nil: anywhere.
type span struct{ least, most []byte }

// next takes the next key, and reports whether it is in its place.
func (s *span) next(key []byte, first bool) bool {
	order := bytes.Compare(s.least, key)
	ok := s.least == nil || order < 0 || first && order == 0
	s.least = key
	return ok && (s.most == nil || bytes.Compare(key, s.most) < 0)
}

type metaPage struct{ size, root, pages, txid uint64 }

// readMeta reads a meta page: after the page's head magic, version, page size, flags, root and sequence, freelist, pages,
// transaction, checksum.
func readMeta(b []byte, at uint64) (m metaPage, ok bool) {
	if uint64(len(b)) < at+pageHead+metaSize {
		return m, false
	}
	x := b[at+pageHead : at+pageHead+metaSize]
	le := binary.LittleEndian
	h := fnv.New64a()
	h.Write(x[:56])
	if le.Uint32(x) != boltMagic || le.Uint32(x[4:]) != boltFormat || le.Uint64(x[56:]) != h.Sum64() {
		return m, false
	}
	return metaPage{uint64(le.Uint32(x[8:])), le.Uint64(x[16:]), le.Uint64(x[40:]), le.Uint64(x[48:])}, true
}

// walk checks a page and all below it. The recursion ends because no page is reached twice.
func (t *tree) walk(id uint64, keys span) error {
	if id < 2 || id >= t.pages {
		return fmt.Errorf("%w: page %d of %d", errTree, id, t.pages)
	}
	head := t.b[id*t.size:]
	overflow := uint64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint64(head) != id || overflow >= t.pages-id {
		return fmt.Errorf("%w: page %d has a bad head", errTree, id)
	}
	for i := id; i <= id+overflow; i++ {
		if t.reached[i] {
			return fmt.Errorf("%w: page %d is in the tree twice", errTree, i)
		}
		t.reached[i] = true
	}
	return t.page(head[:(overflow+1)*t.size], id, keys)
}

// page checks the elements of a page.
func (t *tree) page(p []byte, id uint64, keys span) error {
	le := binary.LittleEndian
	flags, count := le.Uint16(p[8:]), int(le.Uint16(p[10:]))
	if flags != branchPage && flags != leafPage || pageHead+count*elemSize > len(p) || flags == branchPage && count == 0 {
		return fmt.Errorf("%w: page %d has flags %x and %d elements", errTree, id, flags, count)
	}
	for i := range count {
		e, key, value, ok := element(p, i, flags)
		if !ok || !keys.next(key, i == 0) {
			return fmt.Errorf("%w: page %d: element %d lies outside, or out of order", errTree, id, i)
		}
		var err error
		switch {
		case flags == branchPage:
			below := span{key, keys.most}
			if i+1 < count {
				_, below.most, _, _ = element(p, i+1, flags)
			}
			err = t.walk(le.Uint64(e[8:]), below)
		case le.Uint32(e) == bucketLeaf:
			err = t.bucket(value, id)
		case le.Uint32(e) != 0:
			err = fmt.Errorf("%w: page %d: element %d has flags %x", errTree, id, i, le.Uint32(e))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// element returns element i of a page; ok says that it lies within. A branch has u32 position, u32 key size, u64 page, a leaf
// u32 flags, u32 position, u32 key size, u32 value size; positions count from the element.
func element(p []byte, i int, flags uint16) (e, key, value []byte, ok bool) {
	le := binary.LittleEndian
	at := uint64(pageHead + i*elemSize)
	e = p[at : at+elemSize]
	from, keySize, valueSize := uint64(le.Uint32(e)), uint64(le.Uint32(e[4:])), uint64(0)
	if flags == leafPage {
		from, keySize, valueSize = uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
	}
	from += at
	if from+keySize+valueSize > uint64(len(p)) {
		return nil, nil, nil, false
	}
	return e, p[from : from+keySize], p[from+keySize : from+keySize+valueSize], true
}

// bucket checks a bucket in a leaf: its root page, or the page that lies in the value itself if it is small.
func (t *tree) bucket(v []byte, id uint64) error {
	if len(v) < bucketHead {
		return fmt.Errorf("%w: page %d: a bucket cut short", errTree, id)
	}
	if root := binary.LittleEndian.Uint64(v); root != 0 {
		return t.walk(root, span{})
	}
	if v = v[bucketHead:]; len(v) < pageHead || binary.LittleEndian.Uint16(v[8:]) != leafPage {
		return fmt.Errorf("%w: page %d: a bucket without a leaf", errTree, id)
	}
	return t.page(v, id, span{})
}
