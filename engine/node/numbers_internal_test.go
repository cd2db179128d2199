package node

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Numbers rise over restarts whatever the clock does, and say so when they cannot.
func TestNumbersRise(t *testing.T) {
	var log bytes.Buffer
	cfg := Config{IdentityFile: filepath.Join(t.TempDir(), "node.id"), Logger: slog.New(slog.NewTextHandler(&log, nil))}
	today := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	last := uint64(0)
	for i, at := range []time.Time{
		today, today.Add(time.Hour), today, today.AddDate(-50, 0, 0), today.AddDate(-70, 0, 0), today.AddDate(100, 0, 0), today, today.Add(time.Minute),
	} {
		got := cfg.firstNumber(at)
		if got < last+runNumbers || got < uint64(max(0, at.UnixNano())) {
			t.Errorf("run %d, at %v: %d after %d", i, at, got, last)
		}
		last = got
	}
	if log.Len() > 0 {
		t.Errorf("all is well, and the log says %s", &log)
	}
	if made, _ := filepath.Glob(filepath.Join(filepath.Dir(cfg.IdentityFile), "*")); len(made) != 1 {
		t.Errorf("files: %v", made)
	}
	for _, bad := range []string{"", "x", "0\n", "-3\n", "9223372036854775808\n", "12 34\n", strings.Repeat("9", 1<<10)} {
		log.Reset()
		if err := os.WriteFile(cfg.IdentityFile+".number", []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := cfg.firstNumber(today); got != uint64(today.UnixNano()) || !strings.Contains(log.String(), "damaged") {
			t.Errorf("%q: %d, and the log says %q", bad, got, &log)
		}
		if got := cfg.firstNumber(today); got != uint64(today.UnixNano())+runNumbers {
			t.Errorf("after %q: %d", bad, got)
		}
	}
	log.Reset()
	cfg.IdentityFile = filepath.Join(t.TempDir(), "nowhere", "node.id")
	if got := cfg.firstNumber(today); got != uint64(today.UnixNano()) || !strings.Contains(log.String(), "not kept") {
		t.Errorf("where nothing can be kept: %d, and the log says %q", got, &log)
	}
	if got := (&Config{}).firstNumber(today); got != 0 {
		t.Errorf("without a file: %d", got)
	}
}

// A node begins where its last run has ended; the overlay's messages too, unless the configuration says otherwise.
func TestNumbersAreUsed(t *testing.T) {
	cfg := Config{IdentityFile: filepath.Join(t.TempDir(), "node.id"), Puzzle: &identity.Puzzle{}, WeakPuzzle: true}
	first := run(t, cfg)
	ahead := first + 1<<50 // a clock that was 13 days ahead
	if err := saveNumber(cfg.IdentityFile+".number", ahead); err != nil {
		t.Fatal(err)
	}
	if got := run(t, cfg); got != ahead+runNumbers {
		t.Errorf("the record's number is %d, after %d", got, ahead)
	}
	cfg.Engine = func(c *engine.Config) { c.RecordSeq = 7 }
	if got := run(t, cfg); got != 7 {
		t.Errorf("the record's number is %d, and not what the program says", got)
	}
	o := &Overlay{}
	o.Routed.FirstNumber = 3
	if got := o.numbered(9); got.Broadcast.FirstSeq != 9 || got.Routed.FirstNumber != 3 || o.Broadcast.FirstSeq != 0 {
		t.Errorf("numbers %d and %d; the caller's own %d", got.Broadcast.FirstSeq, got.Routed.FirstNumber, o.Broadcast.FirstSeq)
	}
}

// run makes a node and returns the number of its record.
func run(t *testing.T, cfg Config) uint64 {
	t.Helper()
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n.Record().Seq
}
