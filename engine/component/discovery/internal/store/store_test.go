package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func record(t testing.TB, n int, seq uint64) identity.Record {
	t.Helper()
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n)+1)
	id, err := identity.FromSeed(context.Background(), seed, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := id.NewRecord([]transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 4001)}}, seq, 0)
	if err != nil {
		t.Fatal(err)
	}
	return *rec
}

var day = time.Unix(1_800_000_000, 0)

func entries(t testing.TB, from, count int) (list []Entry) {
	for i := range count {
		n := from + i
		list = append(list, Entry{record(t, n, 1), day.Add(-time.Hour), day.Add(time.Duration(n) * time.Second), 1, Dialed})
	}
	return list
}

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func load(t testing.TB, s *Store) []Entry {
	t.Helper()
	list, lost, err := s.Load()
	if err != nil || lost != 0 {
		t.Fatalf("%d lost, %v", lost, err)
	}
	return list
}

// What was put is there after the file has been closed and opened, last seen first, every field.
func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	s := open(t, path)
	put := entries(t, 0, 100)
	if err := s.Put(put); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := load(t, open(t, path))
	if len(got) != 100 {
		t.Fatalf("%d entries", len(got))
	}
	for i, e := range got {
		want := put[99-i]
		if !bytes.Equal(appendEntry(nil, &e), appendEntry(nil, &want)) || e.Record.Verify(identity.Puzzle{}) != nil {
			t.Errorf("entry %d: %+v, want %+v", i, e, want)
		}
	}
}

// An entry that is put again keeps how long it is known and how it became known, adds scores, and the newer record wins.
func TestPutOver(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "peers.db"))
	first := Entry{record(t, 1, 5), day, day.Add(time.Hour), 3, Caller}
	later := Entry{record(t, 1, 4), day.Add(2 * time.Hour), day.Add(3 * time.Hour), 1, Dialed}
	for _, e := range []Entry{first, later} {
		if err := s.Put([]Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	got := load(t, s)
	if len(got) != 1 || got[0].Record.Seq != 5 || !got[0].FirstSeen.Equal(day) || !got[0].LastSeen.Equal(later.LastSeen) || got[0].Score != 4 || got[0].Source != Caller {
		t.Errorf("%+v", got)
	}
	later.Score = 1<<16 - 1
	later.LastSeen = later.LastSeen.Add(time.Second)
	if err := s.Put([]Entry{later}); err != nil {
		t.Fatal(err)
	}
	if got := load(t, s); got[0].Score != 1<<16-1 {
		t.Errorf("the score ran over: %d", got[0].Score)
	}
}

// Entries expire by the newest of the batch. What a clock that was ahead has left behind throws out nothing that is put
// later. And there is a limit.
func TestForget(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "peers.db"))
	for _, x := range []struct {
		name string
		last time.Time
		want int
	}{
		{"one", day, 1},
		{"the clock has gone back ten years", day.AddDate(-10, 0, 0), 2},
		{"a day later", day.Add(24 * time.Hour), 2},
		{"a month later", day.Add(31 * 24 * time.Hour), 2},
	} {
		e := Entry{record(t, int(x.last.Unix()), 1), x.last, x.last, 1, Caller}
		if err := s.Put([]Entry{e}); err != nil {
			t.Fatal(err)
		}
		if got := load(t, s); len(got) != x.want {
			t.Errorf("%s: %d entries, want %d", x.name, len(got), x.want)
		}
	}
	many := make([]Entry, EntryLimit+10)
	base := record(t, 1, 1)
	for i := range many { // keys differ; nobody looks at the signature here
		many[i] = Entry{base, day, day.Add(60*24*time.Hour + time.Duration(i)), 1, Caller}
		many[i].Record.PublicKey = record(t, 7, 1).PublicKey
		binary.LittleEndian.PutUint64(many[i].Record.Static[:], uint64(i))
	}
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(nodesBucket)
		for i := range many {
			if err := b.Put(fmt.Appendf(nil, "%32d", i), appendEntry(nil, &many[i])); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(nil); err != nil {
		t.Fatal(err)
	}
	_ = s.db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket(nodesBucket).Stats().KeyN; n != EntryLimit {
			t.Errorf("%d entries are kept, limit %d", n, EntryLimit)
		}
		return nil
	})
}

// A file of a later version, one that another holds, and one that is closed: each has its error, and nothing is changed.
func TestRefusals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	s := open(t, path)
	if _, err := Open(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a file in use: %v", err)
	}
	for v, want := range map[byte]error{version + 1: ErrNewer, 255: ErrNewer, 0: ErrDamaged} {
		if s.db == nil {
			s = &Store{path: path}
			s.db, _ = bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
		}
		if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(versionKey, []byte{v}) }); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		if _, err := Open(path); !errors.Is(err, want) {
			t.Errorf("version %d: %v, want %v", v, err, want)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("version %d: the file was changed", v)
		}
	}
	if err := s.Put(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := Open(filepath.Join(path, "below a file")); err == nil {
		t.Error("opened below a file")
	}
}

// Flipped bits, anywhere: the store opens with what is left, or says ErrDamaged, and a store that opens can be used. Nothing
// panics or hangs, and no entry comes out that was not put in.
func TestFlippedBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	s := open(t, path)
	put := map[string]bool{}
	for _, e := range entries(t, 0, 150) {
		put[string(appendEntry(nil, &e))] = true
		if err := s.Put([]Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	damaged, whole, part := 0, 0, 0
	for i := range 200 {
		b := bytes.Clone(good)
		switch {
		case i%20 == 0:
			b = b[:rnd.IntN(len(b))]
		default:
			for range 1 + i%4 {
				at := rnd.IntN(len(b))
				if i%2 == 0 { // heads of pages and of their elements, where it hurts most
					at = at&^4095 + rnd.IntN(256)
				}
				b[at] ^= 1 << rnd.IntN(8)
			}
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Errorf("file %d: %v", i, err)
			}
			damaged++
			continue
		}
		list, lost, err := s.Load()
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("file %d: %v", i, err)
		}
		for _, e := range list {
			if !put[string(appendEntry(nil, &e))] {
				t.Errorf("file %d: an entry that nobody put in: %+v", i, e)
			}
		}
		if lost > 0 {
			part++
		} else {
			whole++
		}
		if err := s.Put(entries(t, 1000, 1)); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("file %d: put: %v", i, err)
		}
		s.Close()
	}
	if damaged == 0 || part == 0 || whole == 0 {
		t.Errorf("%d damaged, %d in part, %d whole: the test has not seen everything", damaged, part, whole)
	}
}

// A damaged file is set aside, and a new one takes its place.
func TestSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("garbage "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrDamaged) {
		t.Fatalf("garbage: %v", err)
	}
	aside, err := SetAside(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(aside); err != nil {
		t.Error(err)
	}
	if list := load(t, open(t, path)); len(list) != 0 {
		t.Errorf("a new store has %d entries", len(list))
	}
}

// A process that is killed while it writes leaves a store that opens, with every batch that Put had returned for.
func TestKilled(t *testing.T) {
	if path := os.Getenv("STORE_TEST_WRITE"); path != "" {
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			if err := s.Put(entries(t, 10*i%1000, 10)); err != nil {
				t.Fatal(err)
			}
			fmt.Println("put", 10*i%1000)
		}
	}
	path := filepath.Join(t.TempDir(), "peers.db")
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run", "^TestKilled$")
		child.Env = append(os.Environ(), "STORE_TEST_WRITE="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		for range 5 + round {
			if _, err := fmt.Fscanf(out, "put %d\n", &last); err != nil {
				t.Fatal(err)
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		have := map[identity.ID]bool{}
		s := open(t, path)
		for _, e := range load(t, s) {
			have[e.Record.ID()] = true
		}
		for n := range last + 10 {
			if r := record(t, n, 1); !have[r.ID()] {
				t.Errorf("round %d: entry %d was put and is not there", round, n)
			}
		}
		s.Close()
	}
}

// Law: what parses appends back to the same bytes.
func FuzzParseEntry(f *testing.F) {
	e := entries(f, 1, 1)[0]
	f.Add(appendEntry(nil, &e))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEntry(b)
		if err == nil && !bytes.Equal(appendEntry(nil, &e), b) {
			t.Errorf("read and written again:\n%x\n%x", b, appendEntry(nil, &e))
		}
	})
}

// Law: checking ends, within memory, whatever the file holds; a file that bbolt wrote passes.
func FuzzCheckTree(f *testing.F) {
	path := filepath.Join(f.TempDir(), "peers.db")
	s := open(f, path)
	if err := s.Put(entries(f, 0, 20)); err != nil {
		f.Fatal(err)
	}
	s.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := checkTree(b); err != nil {
		f.Fatal(err)
	}
	f.Add(b, 9000, byte(1))
	f.Add([]byte{}, 0, byte(0))
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		if at >= 0 && at < len(b) {
			b = bytes.Clone(b)
			b[at] ^= flip
		}
		_ = checkTree(b)
	})
}
