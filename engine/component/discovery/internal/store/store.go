// Package store keeps node records on disk over a restart, in a bbolt file, for a node that wants to come back without its
// bootstrap.
//
//	s, err := store.Open("peers.db")
//	entries, lost, err := s.Load()
//	err = s.Put(batch)
//	err = s.Close()
//
// Each entry is a signed node record with when it was first and last seen, how often it has been found alive, and how it
// became known. A store is a hint, and no authority: what is in it is worth as much as the signatures, which whoever loads
// it checks as if a stranger had sent them.
//
// # What can happen to a file
//
// Put is one transaction: it is there or it is not, whenever the process is killed. Flipped bits in an entry are found by
// its checksum, and the entry is left out and counted; flipped bits in the structure of the file are found before bbolt
// follows them (check.go), because bbolt panics or runs in circles on them. Then Open says ErrDamaged, SetAside renames the
// file, and a new one can be begun. A file of a later version is left alone: ErrNewer.
//
// Times are those of the wall clock, which jumps. So the age of an entry counts from the newest one of the batch that is
// put, and what comes from a clock that was ahead is kept, but drives nothing out.
//
// A Store may be used from any goroutine; its methods wait for the disk and must not be called on an event loop. Errors
// wrap ErrDamaged, ErrNewer, ErrLocked, ErrClosed, or are those of the file system.
package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrDamaged says that the file is not what was written.
	ErrDamaged = errors.New("store: the file is damaged")

	// ErrNewer says that a later version has written the file.
	ErrNewer = errors.New("store: the file is of a newer version")

	// ErrLocked says that another process has the file open.
	ErrLocked = errors.New("store: in use by another process")

	// ErrClosed is returned after Close.
	ErrClosed = errors.New("store: closed")
)

const (
	// version of the layout of buckets and entries.
	version = 1

	// lockTimeout is how long Open waits for another process to let go of the file: one that is just ending.
	lockTimeout = time.Second

	// fileLimit bounds the file that is read. 64 MiB are some 200,000 entries; EntryLimit keeps it far smaller.
	fileLimit = 64 << 20
)

var (
	metaBucket  = []byte("meta")
	nodesBucket = []byte("nodes")
	versionKey  = []byte("version")
)

// A Store is an open file. Make it with Open.
type Store struct {
	path string
	mu   sync.Mutex
	db   *bbolt.DB // nil: closed
	sick error     // bbolt has panicked: its locks may be held for ever
}

// Open opens the file, or makes it.
func Open(path string) (*Store, error) {
	if err := checkFile(path); err != nil {
		return nil, fmt.Errorf("%w: %s", err, path)
	}
	s := &Store{path: path}
	err := s.guard(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	case err != nil:
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	if err := s.guard(s.prepare); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes the buckets, or looks at who has.
func (s *Store) prepare() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		switch v := meta.Get(versionKey); {
		case v == nil:
			err = meta.Put(versionKey, []byte{version})
		case len(v) != 1 || v[0] == 0:
			return fmt.Errorf("%w: %s: version % x", ErrDamaged, s.path, v)
		case v[0] > version:
			return fmt.Errorf("%w: %s: version %d, this one reads %d", ErrNewer, s.path, v[0], version)
		}
		if err == nil {
			_, err = tx.CreateBucketIfNotExists(nodesBucket)
		}
		return err
	})
}

// SetAside renames a file that Open has found damaged, so that a new one can be begun, and returns the new name.
func SetAside(path string) (string, error) {
	aside := path + ".damaged"
	return aside, os.Rename(path, aside)
}

// Load returns the entries, last seen first, and how many were unreadable.
func (s *Store) Load() (list []Entry, lost int, err error) {
	err = s.use(func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error {
			return nodes(tx, func(b *bbolt.Bucket) error {
				return b.ForEach(func(k, v []byte) error {
					e, err := parseEntry(v)
					id := e.Record.ID()
					if err != nil || !bytes.Equal(k, id[:]) {
						lost++
						return nil
					}
					list = append(list, e)
					return nil
				})
			})
		})
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return b.LastSeen.Compare(a.LastSeen) })
	return list, lost, nil
}

// nodes finds the bucket of the entries.
func nodes(tx *bbolt.Tx, f func(*bbolt.Bucket) error) error {
	b := tx.Bucket(nodesBucket)
	if b == nil {
		return fmt.Errorf("%w: no entries", ErrDamaged)
	}
	return f(b)
}

// Put adds entries, or puts them in the place of what is known of the same nodes, in one transaction; then it forgets what
// was last seen KeptFor before the newest of the batch, and the oldest above EntryLimit. What is known longer stays known
// longer, and scores add up.
func (s *Store) Put(batch []Entry) error {
	return s.use(func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			return nodes(tx, func(b *bbolt.Bucket) error {
				var newest time.Time
				for _, e := range batch {
					if e.LastSeen.After(newest) {
						newest = e.LastSeen
					}
					id := e.Record.ID()
					if old, err := parseEntry(b.Get(id[:])); err == nil {
						e = e.over(old)
					}
					if err := b.Put(id[:], appendEntry(nil, &e)); err != nil {
						return err
					}
				}
				return forget(b, newest)
			})
		})
	})
}

// forget deletes what is too old, too much, or unreadable. What was seen after newest is from a clock that was ahead then:
// nothing is too old because of it, and it goes first when there is too much.
func forget(b *bbolt.Bucket, newest time.Time) error {
	type seen struct {
		key  []byte
		last time.Time
	}
	var all []seen
	if err := b.ForEach(func(k, v []byte) error {
		e, err := parseEntry(v)
		switch {
		case err != nil:
			e.LastSeen = time.Time{}
		case !newest.IsZero() && e.LastSeen.After(newest): // zero: an empty batch
			e.LastSeen = newest.Add(-KeptFor)
		}
		all = append(all, seen{bytes.Clone(k), e.LastSeen})
		return nil
	}); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b seen) int { return b.last.Compare(a.last) })
	for i, x := range all {
		if i < EntryLimit && newest.Sub(x.last) <= KeptFor {
			continue
		}
		if err := b.Delete(x.key); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil || s.sick != nil {
		return nil
	}
	db := s.db
	s.db = nil
	return s.guard(db.Close)
}

// use runs f with the file.
func (s *Store) use(f func(*bbolt.DB) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.sick != nil:
		return s.sick
	case s.db == nil:
		return ErrClosed
	}
	return s.guard(func() error { return f(s.db) })
}

// guard turns a panic of bbolt, or a fault in the file that it maps, into an error. The store is of no use afterwards.
func (s *Store) guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %s: %v", ErrDamaged, s.path, r)
			s.sick = err
		}
	}()
	return f()
}
