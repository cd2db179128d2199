package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/carrier-p2p/carrier/bench/fingerprint"
	"github.com/carrier-p2p/carrier/bench/load"
)

// ErrFormat is wrapped by everything that Read refuses.
var ErrFormat = errors.New("report: format")

// Schema is the version of Record. It grows when a key changes its meaning; new keys do not change it.
const Schema = 1

// lineLimit is the longest line of a results file. 16 MiB: a run of 600 windows is below 400 KiB.
const lineLimit = 16 << 20

// A Record is one run as it is kept. The keys of the result stand beside those of the record.
type Record struct {
	Schema  int                `json:"schema"`
	At      time.Time          `json:"at"`
	Command []string           `json:"command,omitempty"` // that repeats it
	Round   int                `json:"round,omitempty"`   // from 1, of runs in turns
	Set     string             `json:"set,omitempty"`     // who are compared, where a scenario names its own: the first of them
	Host    *fingerprint.Host  `json:"host,omitempty"`
	Build   *fingerprint.Build `json:"build,omitempty"`
	load.Result
}

// config returns the run's config with its scenario, which the result keeps beside it.
func (r *Record) config() load.Config {
	c := r.Config
	c.Scenario = r.Scenario
	return c
}

// get returns one figure, if the run has it.
func (r *Record) get(m Metric) (float64, bool) {
	if r.Cannot != "" || r.Failure != "" {
		return 0, false
	}
	return m.Get(&r.Result)
}

// WriteJSONL writes records, one to a line.
func WriteJSONL(w io.Writer, records []Record) error {
	out := json.NewEncoder(w)
	for i := range records {
		if err := out.Encode(&records[i]); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes records as one array, indented.
func WriteJSON(w io.Writer, records []Record) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(records)
}

// ReadRecords reads what WriteJSONL or WriteJSON has written, and results without a record around them. Lines that sum up others,
// which runs in turns end with, are passed over.
func ReadRecords(r io.Reader) ([]Record, error) {
	in := bufio.NewReader(r)
	if first, err := firstByte(in); err != nil || first == '[' {
		if err != nil {
			return nil, err
		}
		var records []Record
		if err := json.NewDecoder(in).Decode(&records); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return check(records)
	}
	var records []Record
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineLimit)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || bytes.HasPrefix(line, []byte(`{"compared":`)) {
			continue
		}
		var record Record
		if err := json.Unmarshal(line, &record); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, n, err)
		}
		records = append(records, record)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return check(records)
}

// firstByte looks at the first byte that is no white space. An empty input is an error: nothing was measured.
func firstByte(in *bufio.Reader) (byte, error) {
	for {
		b, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("%w: it is empty", ErrFormat)
		}
		if err != nil {
			return 0, err
		}
		if b != ' ' && b != '\n' && b != '\r' && b != '\t' {
			return b, in.UnreadByte()
		}
	}
}

func check(records []Record) ([]Record, error) {
	for i, r := range records {
		if r.Schema > Schema {
			return nil, fmt.Errorf("%w: run %d has schema %d, and this program knows %d", ErrFormat, i+1, r.Schema, Schema)
		}
		if len(Metrics(r.Scenario)) == 0 {
			return nil, fmt.Errorf("%w: run %d is of scenario %q, which there is none of", ErrFormat, i+1, r.Scenario)
		}
	}
	return records, nil
}
