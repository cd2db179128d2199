package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/discovery/internal/store"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A memory is a Store that outlives its node, as a disk does, and may be full.
type memory struct {
	mu   sync.Mutex
	list []discovery.Entry
	full error
	puts int
}

func (m *memory) Load() ([]discovery.Entry, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list, 0, nil
}

func (m *memory) Put(batch []discovery.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.puts++; m.full != nil {
		return m.full
	}
	m.list = batch
	return nil
}

func (m *memory) Close() error { return nil }

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.list)
}

// written waits, in real time, for what the writer's goroutine does, which virtual time knows nothing of.
func (w *world) written(cond func() bool) {
	w.Helper()
	giveUp, tick := time.After(30*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-giveUp:
			w.Fatal("nothing was written")
		}
	}
}

// alone is another life of a node, in which it knows nobody but whom its store has.
func alone(s discovery.Store, was *node) setting {
	return setting{again: was, disc: func(c *discovery.Config) { c.Bootstrap, c.Store = nil, s }}
}

// A node that is killed comes back from what its store had, with no bootstrap node left.
func TestComesBackFromStore(t *testing.T) {
	w := simWorld(t, 2)
	w.swarm(20, setting{})
	var m memory
	n := w.node(setting{disc: func(c *discovery.Config) { c.Store = &m }})
	w.Until("the node to join", n.Joined)
	w.Pass(2 * time.Minute)
	w.written(func() bool { return m.count() > 10 && n.Stats().Saved > 0 })
	w.Stop(w.nodes[0].Network) // the bootstrap node
	w.Vanish(n.Network)

	back := w.node(alone(&m, n))
	w.Until("the node to join again", back.Joined)
	r := w.lookup(back, randomKey(1), skad.LookupOptions{})
	if len(r.Closest) != 16 || back.Stats().Restored == 0 {
		t.Errorf("found %d, %v", len(r.Closest), describe(back))
	}
}

// A node that comes back at another address is reached there: its record is newer than the one that it had before.
func TestComesBackElsewhere(t *testing.T) {
	w := simWorld(t, 2)
	w.swarm(12, setting{})
	was := w.nodes[5]
	w.Pass(10 * time.Second)
	w.Vanish(was.Network)
	back := w.node(setting{again: was, engine: func(c *engine.Config) {
		c.Listen[0].AddrPort = netip.AddrPortFrom(c.Listen[0].AddrPort.Addr(), 4002)
	}})
	w.Until("the node to join again", back.Joined)
	id := skad.IDOf(back.ID())
	for i, n := range w.nodes[:12] {
		if n == was {
			continue
		}
		w.Until("the node to be known at its new address", func() bool {
			var room [1]*skad.Contact
			near := n.View().Closest(id, 1, room[:0])
			return len(near) == 1 && near[0].ID == id && near[0].Addrs[0] == back.Addrs()[0]
		})
		if t.Failed() {
			t.Fatalf("node %d", i)
		}
	}
}

// Who saves more often loses less: a node that is killed after seconds has something to come back to.
func TestSaveEvery(t *testing.T) {
	w := simWorld(t, 2)
	w.swarm(8, setting{})
	var m memory
	n := w.node(setting{disc: func(c *discovery.Config) { c.Store, c.SaveEvery = &m, 2*time.Second }})
	w.Until("the node to join", n.Joined)
	w.Pass(10 * time.Second) // a minute would not have passed
	w.written(func() bool { return m.count() > 4 })
	w.Vanish(n.Network)
}

// Whatever the clock has done between, the node comes back: entries of years ago and of the future are asked all the same.
func TestClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"ten years forward": -87600 * time.Hour, "ten years back": 87600 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := simWorld(t, 3)
			w.swarm(8, setting{})
			var m memory
			n := w.node(setting{disc: func(c *discovery.Config) { c.Store = &m }})
			w.Until("the node to join", n.Joined)
			w.Stop(n.Network) // Cleanup writes the last batch
			for i := range m.list {
				m.list[i].FirstSeen, m.list[i].LastSeen = m.list[i].FirstSeen.Add(jump), m.list[i].LastSeen.Add(jump)
			}
			back := w.node(alone(&m, n))
			w.Until("the node to join again", back.Joined)
		})
	}
}

// What is in the store is worth as much as its signatures: forged entries do not get in, and genuine ones beside them do.
func TestStoreIsNotTrusted(t *testing.T) {
	w := simWorld(t, 4)
	w.swarm(8, setting{})
	var m memory
	n := w.node(setting{disc: func(c *discovery.Config) { c.Store = &m }})
	w.Until("the node to join", n.Joined)
	w.Stop(n.Network)
	good := len(m.list)
	for i := range 5 {
		e := m.list[i]
		e.Record.Addrs = m.list[i+1].Record.Addrs
		m.list = append(m.list, e)
	}
	back := w.node(alone(&m, n))
	w.Until("the node to join again", back.Joined)
	if got := back.Stats().Restored; got != int64(good) {
		t.Errorf("%d restored, %d are genuine", got, good)
	}
}

// A full disk is counted and said, and the node goes on.
func TestFullDisk(t *testing.T) {
	w := simWorld(t, 5)
	w.swarm(4, setting{})
	m := memory{full: errors.New("no space left on device")}
	var log bytes.Buffer
	n := w.node(setting{disc: func(c *discovery.Config) { c.Store, c.Logger = &m, slog.New(slog.NewTextHandler(&log, nil)) }})
	w.Until("the node to join", n.Joined)
	w.Pass(2 * time.Minute)
	w.written(func() bool { return n.Stats().SaveErrors > 0 })
	if r := w.lookup(n, randomKey(1), skad.LookupOptions{}); len(r.Closest) != 4 {
		t.Errorf("found %d of 4", len(r.Closest))
	}
	w.Stop(n.Network)
	if !strings.Contains(log.String(), "no space left") {
		t.Errorf("nobody was told: %s", log.String())
	}
}

// A store file: made, used, found damaged, set aside and begun anew; one of a newer version is left alone. The node runs in
// every case.
func TestStoreFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	w := simWorld(t, 6)
	w.swarm(6, setting{})
	var log bytes.Buffer
	var n *node
	run := func(bootstrap bool) discovery.Stats {
		n = w.node(setting{again: n, disc: func(c *discovery.Config) {
			c.StoreFile, c.Logger = path, slog.New(slog.NewTextHandler(&log, nil))
			if !bootstrap {
				c.Bootstrap = nil
			}
		}})
		w.Until("the node to join", n.Joined)
		w.Stop(n.Network)
		return n.Stats()
	}
	run(true)
	if s := run(false); s.Restored != 6 {
		t.Errorf("%d restored, want 6", s.Restored)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{1}, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if run(true); !strings.Contains(log.String(), "damaged") {
		t.Errorf("nobody was told of the damage: %s", log.String())
	}
	if s := run(false); s.Restored != 6 {
		t.Errorf("the new file restores %d, want 6", s.Restored)
	}
	taken, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if s := run(true); s.Restored != 0 || !strings.Contains(log.String(), "in use by another process") {
		t.Errorf("with a file that is taken: %+v\n%s", s, log.String())
	}
}

// A client finds others, and is found by nobody and in no table.
func TestClient(t *testing.T) {
	w := simWorld(t, 7)
	w.swarm(12, setting{})
	n := w.node(setting{disc: func(c *discovery.Config) { c.Client = true }})
	w.Until("the client to join", n.Joined)
	if r := w.lookup(n, randomKey(1), skad.LookupOptions{}); len(r.Closest) != 12 {
		t.Errorf("the client found %d of 12", len(r.Closest))
	}
	me := skad.IDOf(n.ID())
	for i, other := range w.nodes[:12] {
		for _, c := range other.View().Closest(me, 16, nil) {
			if c.ID == me {
				t.Errorf("node %d has the client in its table", i)
			}
		}
	}
	var err error
	w.Do(func() { _, err = w.nodes[3].Find(t.Context(), n.ID()) })
	if !errors.Is(err, discovery.ErrNotFound) {
		t.Errorf("looking for the client: %v", err)
	}
}

// Who remembers a node where it was finds it where it is, as long as anybody knows that.
func TestFindsWhoHasMoved(t *testing.T) {
	w := simWorld(t, 2)
	w.swarm(12, setting{})
	was := w.nodes[5]
	old := *was.Record()
	w.Pass(10 * time.Second)
	w.Vanish(was.Network)
	back := w.node(setting{again: was, engine: func(c *engine.Config) {
		c.Listen[0].AddrPort = netip.AddrPortFrom(c.Listen[0].AddrPort.Addr(), 4002)
	}})
	w.Until("the node to join again", back.Joined)
	w.Pass(time.Minute)

	m := memory{}
	for _, rec := range []*identity.Record{&old, w.nodes[3].Record()} {
		m.list = append(m.list, discovery.Entry{Record: *rec, FirstSeen: time.Now(), LastSeen: time.Now()})
	}
	asker := w.node(setting{disc: func(c *discovery.Config) { c.Bootstrap, c.Store = nil, &m }})
	var p *engine.PeerClient
	var err error
	w.Do(func() { p, err = asker.FindPeer(context.Background(), back.ID()) })
	if err != nil || p.ID() != back.ID() || p.RemoteAddr() != back.Addrs()[0] {
		t.Errorf("%v, %v", p, err)
	}
}

// A clock that was ahead for a while leaves entries of the future, of nodes that have gone since. They do not keep out those that
// are there.
func TestClockWasAhead(t *testing.T) {
	w := simWorld(t, 3)
	w.swarm(8, setting{})
	var m memory
	n := w.node(setting{disc: func(c *discovery.Config) { c.Store = &m }})
	w.Until("the node to join", n.Joined)
	w.Stop(n.Network) // Cleanup writes the last batch
	w.Stop(w.nodes[0].Network)
	for i := range 60 {
		rec, err := w.Key(1000+i).NewRecord(w.nodes[0].Record().Addrs, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		ahead := time.Now().Add(24*365*time.Hour - time.Duration(i)*time.Second)
		m.list = slices.Insert(m.list, i, discovery.Entry{Record: *rec, FirstSeen: ahead, LastSeen: ahead})
	}
	back := w.node(alone(&m, nil)) // whom nobody remembers
	w.Until("the node to join", back.Joined)
}
