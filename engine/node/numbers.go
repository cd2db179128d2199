package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The numbers of a node's records, broadcasts and routed messages have to rise over its restarts: who
// remembers the last ones takes what comes with lower ones for old. They are taken from the clock, which may
// have gone back, or been ahead once. So where the node has an identity file, the number that a run begins
// with is kept beside it.

// runNumbers is how far apart two runs begin at least: more than any run counts up to. 2^40 nanoseconds are 18 minutes.
const runNumbers = 1 << 40

// numberMost is more than the clock says before the year 2262; what is above it was not written by this package.
const numberMost = 1 << 63

// firstNumber is what the numbers of this run begin with; 0: the node has no identity file. Without the
// number of the last run, or if this one cannot be kept, the clock has to do, and a warning says so.
func (cfg *Config) firstNumber(now time.Time) uint64 {
	if cfg.Identity != nil || cfg.IdentityFile == "" {
		return 0
	}
	path := cfg.IdentityFile + ".number"
	next := uint64(max(1, now.UnixNano()))
	last, err := loadNumber(path)
	if err == nil && last > 0 {
		next = max(next, last+runNumbers)
	}
	if err = errors.Join(err, saveNumber(path, next)); err != nil {
		cfg.log().Warn("the numbers of this run are not kept: should the clock go back, others take the next run's records and messages for old ones", "err", err)
	}
	return next
}

// loadNumber reads what saveNumber has written; 0: nothing yet.
func loadNumber(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(b), "\n"), 10, 64)
	if err != nil || n == 0 || n >= numberMost {
		return 0, fmt.Errorf("%s is damaged", path)
	}
	return n, nil
}

// saveNumber replaces the file: after a crash it holds the old number or the new.
func saveNumber(path string, n uint64) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".number-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.FormatUint(n, 10) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// numbered is o with numbers that begin with first, where the configuration does not say otherwise.
func (o *Overlay) numbered(first uint64) *Overlay {
	if o == nil {
		return nil
	}
	own := *o
	if own.Broadcast.FirstSeq == 0 {
		own.Broadcast.FirstSeq = first
	}
	if own.Routed.FirstNumber == 0 {
		own.Routed.FirstNumber = first
	}
	return &own
}
