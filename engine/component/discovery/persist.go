package discovery

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/discovery/internal/store"
	"github.com/carrier-p2p/carrier/skad"
)

// A Store keeps nodes over a restart, for programs that keep them elsewhere than in Config.StoreFile. Its methods may wait; they
// are called one at a time, never on a loop.
type Store interface {
	// Load returns what was kept, what was last seen first, and how many entries were lost. Records are
	// verified by the component.
	Load() (list []Entry, lost int, err error)

	// Put keeps what has been seen alive since the last time, over older entries of the same nodes.
	Put(batch []Entry) error

	// Close is called once, after the last Put.
	Close() error
}

// An Entry is a node as a Store keeps it: its signed Record; FirstSeen and LastSeen, times to the second;
// Score, in how many batches it was found alive; and its Source.
type Entry = store.Entry

// A Source says how a node became known.
type Source = store.Source

// Sources.
const (
	Caller = store.Caller // it called us
	Dialed = store.Dialed // it was mentioned, dialled, and answered
)

// A writer writes batches on a goroutine of its own, so that the home loop never waits for a disk.
type writer struct {
	store    Store
	batches  chan []Entry
	done     sync.WaitGroup
	restored int64 // fixed by openStore
	saved    atomic.Int64
	failed   atomic.Int64
}

// openStore opens the store, if one is configured, and takes what is in it into the table before anybody can call. A store
// that does not work is said and done without.
func (c *Component) openStore() {
	c.saveAt = skad.Never
	s := c.cfg.Store
	if c.cfg.StoreFile != "" {
		file, err := openFile(c.cfg.StoreFile, func(msg string, args ...any) { c.cfg.Logger.Warn(msg, args...) })
		if err != nil {
			c.cfg.Logger.Error("discovery: nothing will be kept over a restart", "err", err)
			return
		}
		s = file
	}
	if s == nil {
		return
	}
	list, lost, err := s.Load()
	if err != nil || lost > 0 {
		c.cfg.Logger.Warn("discovery: the store is not whole", "lost", lost, "err", err)
	}
	c.writer = &writer{store: s, batches: make(chan []Entry, 1), restored: int64(c.restore(list))}
	c.saveAt = c.loop.Now() + c.cfg.SaveEvery
	c.writer.done.Go(func() {
		for batch := range c.writer.batches {
			if err := s.Put(batch); err != nil {
				c.writer.failed.Add(1)
				c.cfg.Logger.Warn("discovery: the table was not saved", "err", err)
				continue
			}
			c.writer.saved.Add(1)
		}
	})
}

// openFile opens a store file, a new one if the old one is damaged.
func openFile(path string, warn func(string, ...any)) (*store.Store, error) {
	s, err := store.Open(path)
	if !errors.Is(err, store.ErrDamaged) {
		return s, err
	}
	aside, failed := store.SetAside(path)
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	warn("discovery: the store was damaged: a new one is begun", "err", err, "kept", aside)
	return store.Open(path)
}

// restore takes entries into the table, and makes those seen last the first to be asked. The clock may have jumped between: how old
// an entry of the future is counts from the newest of them, and they are taken in turn with the others, as nobody can tell which
// clock was wrong. If it says that years have passed they only become seeds. It returns how many records were genuine.
func (c *Component) restore(list []Entry) (genuine int) {
	now, wall := c.loop.Now(), time.Now()
	var members []skad.Saved
	var seeds []*skad.Contact
	for _, e := range byTurns(list, wall) {
		d := skad.NewContact(e.Record, c.cfg.Overlay.Scope)
		if c.verifier.Puzzle(d) != nil || c.verifier.Signature(d) != nil || d.ID == c.core.Self().ID {
			continue
		}
		genuine++
		silent := wall.Sub(e.LastSeen)
		if silent < 0 {
			silent = list[0].LastSeen.Sub(e.LastSeen)
		}
		members = append(members, skad.Saved{Contact: d, Known: wall.Sub(e.FirstSeen), Silent: silent})
		if len(seeds) < restoredSeeds && !d.Client() {
			seeds = append(seeds, d)
		}
	}
	c.core.RestoreMembers(now, members)
	if len(seeds) > 0 {
		c.core.Bootstrap(now, seeds)
	}
	return genuine
}

// byTurns takes entries, which are in the order in which they were seen last, in turn from those before now and those after.
func byTurns(list []Entry, now time.Time) []Entry {
	ahead := slices.IndexFunc(list, func(e Entry) bool { return !e.LastSeen.After(now) })
	if ahead <= 0 {
		return list
	}
	turns := make([]Entry, 0, len(list))
	for future, past := list[:ahead], list[ahead:]; len(future)+len(past) > 0; {
		if len(past) > 0 {
			turns, past = append(turns, past[0]), past[1:]
		}
		if len(future) > 0 {
			turns, future = append(turns, future[0]), future[1:]
		}
	}
	return turns
}

// save hands the table to the writer, unless it is still busy with the last batch. On the home loop.
func (c *Component) save(now time.Duration) {
	c.saveAt = now + c.cfg.SaveEvery
	if batch := c.batch(now); len(batch) > 0 {
		select {
		case c.writer.batches <- batch:
		default:
		}
	}
}

// batch is the table as the store keeps it.
func (c *Component) batch(now time.Duration) (batch []Entry) {
	wall := time.Now()
	for _, m := range c.core.Members(now, nil) {
		e := Entry{Record: m.Contact.Record, FirstSeen: wall.Add(-m.Known), LastSeen: wall.Add(-m.Silent), Score: 1, Source: Dialed}
		if s := c.sessions[m.Contact.ID]; s != nil && !s.peer.Dialled() {
			e.Source = store.Caller
		}
		batch = append(batch, e)
	}
	return batch
}

// closeStore writes the last batch. The home loop has ended its work.
func (c *Component) closeStore(last []Entry) {
	w := c.writer
	if w == nil {
		return
	}
	if len(last) > 0 {
		w.batches <- last
	}
	close(w.batches)
	w.done.Wait()
	if err := w.store.Close(); err != nil {
		c.cfg.Logger.Warn("discovery: closing the store", "err", err)
	}
}
