package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carrier-p2p/carrier/bench/fingerprint"
	"github.com/carrier-p2p/carrier/bench/load"
)

// record is a run at 20,000 requests a second with everything that can be shown.
func record(driver string, round int, rate float64) Record {
	curve := func(scale float64) *load.Latency {
		return &load.Latency{
			Count: 1000, Mean: 100 * scale, P50: 90 * scale, P75: 95 * scale, P90: 110 * scale, P95: 120 * scale, P99: 200 * scale, P999: 900 * scale,
			P9999: 990 * scale, Max: 1000 * scale, Curve: []load.Quantile{{Percent: 0, Micros: 50 * scale}, {Percent: 50, Micros: 90 * scale}, {Percent: 99, Micros: 200 * scale}, {Percent: 100, Micros: 1000 * scale}},
		}
	}
	r := Record{
		Schema: Schema, At: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Command: []string{"p2pbench", "rpc", "--slo", "p99<2ms"}, Round: round,
		Host: &fingerprint.Host{OS: "linux", Arch: "amd64", CPU: "A <fast> one", Processors: 2, MaxProcs: 2}, Build: &fingerprint.Build{Go: "go1.26", Module: "m"},
		Result: load.Result{
			Scenario: load.RPC, Driver: driver, Seconds: 1, Messages: 1000, MessagesPerSecond: rate, Errors: map[string]uint64{},
			LatencyMicros: curve(1), ServiceMicros: curve(0.5), CPUPerMillion: 2.5, Server: &load.Side{}, Client: load.Side{AllocsPerMessage: 0.001},
			Config: load.Config{Conns: 2, Inflight: 16, Size: 64, BulkSize: 64 << 10, Duration: time.Second, Warmup: time.Second, Rate: 20_000},
		},
	}
	for i := range 5 {
		r.Series.Windows = append(r.Series.Windows, load.Window{
			Part: map[bool]string{true: "warm-up", false: load.RPC}[i == 0], AtSeconds: float64(i) * 0.2, Seconds: 0.2, Messages: 200,
			Latency: &load.Glimpse{Count: 200, P50: 90, P99: 200, Max: 1000}, Client: load.Load{Cores: 0.5, HeapBytes: 1e6, RSSBytes: 2e6, Goroutines: 9},
			Server: &load.Load{Cores: 0.4, HeapBytes: 1e6, RSSBytes: 2e6, Goroutines: 7, Waits: 5},
		})
	}
	return r
}

func records() []Record {
	hold := record("ours", 0, 0)
	hold.Scenario, hold.LatencyMicros, hold.ServiceMicros = load.Hold, nil, nil
	hold.Config = load.Config{Conns: 100, Inflight: 1, Size: 64, BulkSize: 64 << 10, Warmup: load.NoWarmup}
	return []Record{record("ours", 1, 30), record("theirs", 1, 5), record("ours", 2, 10), record("theirs", 2, 600), record("ours", 3, 20), record("theirs", 3, 4), hold}
}

// Ratios are medians of the first driver by medians of the other; what neither has, or is nearly nothing in both, has none.
func TestGroups(t *testing.T) {
	all := records()
	all[3].Errors["lost"] = 7
	all[1].Warnings = []string{"busy"}
	if notes := Groups(records()[:1])[0].notes(); len(notes) != 0 {
		t.Errorf("notes of a run without any: %q", notes)
	}
	alone := records()[:1]
	alone[0].Warnings = []string{"busy"}
	if notes := Groups(alone)[0].notes(); len(notes) != 1 || notes[0] != "ours: busy" {
		t.Errorf("the note of a single run: %q", notes)
	}
	groups := Groups(all)
	if len(groups) != 2 || groups[0].Rounds != 3 || groups[1].Scenario != load.Hold {
		t.Fatalf("%d groups", len(groups))
	}
	g := groups[0]
	if got := g.Ratios["theirs"]["requests/s"]; got != 4 {
		t.Errorf("ratio %v, want 20/5", got)
	}
	if _, ok := g.Ratios["theirs"]["allocs dialling"]; ok {
		t.Error("a ratio of allocations")
	}
	if got := g.Typical("theirs").MessagesPerSecond; got != 5 {
		t.Errorf("the typical run has %v requests/s, want the median", got)
	}
	var out strings.Builder
	if err := WriteText(&out, all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"rpc, 2 connections, 16 in flight on each, 64 B, 20.0k a second (open loop): medians [min..max] of 3 rounds in turns\n",
		"20.0 [10.0..30.0]", "5.00 [4.00..600]", "lost 7", "ours / theirs  4.00x", "note: theirs: busy (in 1 of 3 runs)", "ours: hold, 100 connections",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// A table that is too wide for a terminal stands on its side, and loses its bounds where that is not enough.
func TestTextWithin(t *testing.T) {
	text := func(columns int) (text string, widest int) {
		t.Helper()
		var out strings.Builder
		if err := WriteTextWithin(&out, records()[:6], columns); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "  ") {
				widest = max(widest, len(strings.TrimRight(line, "\n")))
			}
		}
		return out.String(), widest
	}
	whole, widest := text(0)
	if wide, _ := text(widest); wide != whole {
		t.Errorf("a table that fits:\n%s\nis not\n%s", wide, whole)
	}
	side, sideways := text(widest - 1)
	if sideways >= widest || !strings.Contains(side, "[min..max]") || !strings.Contains(side, "\n  requests/s       20.0 [10.0..30.0]  ") {
		t.Errorf("%d columns are too many for %d:\n%s", sideways, widest-1, side)
	}
	short, narrow := text(sideways - 1)
	if narrow >= sideways || strings.Contains(short, "..") || !strings.Contains(short, "\n  requests/s       20.0   5.00    4.00x\n") {
		t.Errorf("%d columns are too many for %d:\n%s", narrow, sideways-1, short)
	}
	if least, _ := text(1); least != short {
		t.Errorf("on one column:\n%s", least)
	}
}

// Numbers keep three digits that matter and never wander into exponents.
func TestShow(t *testing.T) {
	for _, test := range []struct {
		v            float64
		plain, short string
	}{
		{0, "0", "0"}, {0.0004, "0.000", "0.000"}, {0.1234, "0.123", "0.123"}, {1.006, "1.01", "1.01"}, {9.999, "10.0", "10.0"},
		{12.34, "12.3", "12.3"}, {99.96, "100", "100"}, {123.4, "123", "123"}, {1234, "1234", "1234"}, {12345, "12345", "12.3k"},
		{999_600, "999600", "1.00M"}, {1.234e7, "12340000", "12.3M"}, {-5, "-5.00", "-5.00"}, {-12345, "-12345", "-12.3k"},
	} {
		if got := Plain(test.v); got != test.plain {
			t.Errorf("Plain(%v) = %q, want %q", test.v, got, test.plain)
		}
		if got := Short(test.v); got != test.short {
			t.Errorf("Short(%v) = %q, want %q", test.v, got, test.short)
		}
	}
}

// A title names the variables that matter, and only these.
func TestTitle(t *testing.T) {
	for _, test := range []struct {
		config load.Config
		want   string
	}{
		{load.Config{Scenario: load.OneWay, Conns: 1, Size: 1024}, "oneway, 1 connection, 1KiB"},
		{load.Config{Scenario: load.RPC, Conns: 3, Inflight: 1, Size: 64, AnswerSize: 4096}, "rpc, 3 connections, 1 in flight on each, 64 B, answers of 4KiB"},
		{load.Config{Scenario: load.RPC, Conns: 1, Inflight: 2, Sizes: []load.SizeShare{{Bytes: 64, Share: 9}, {Bytes: 1 << 20, Share: 1}}, Rate: 12_000, Poisson: true},
			"rpc, 1 connection, 2 in flight on each, sizes 64:9 1MiB:1, 12.0k a second (open loop) at random"},
		{load.Config{Scenario: load.Stream, Conns: 1, Direction: load.Both, Inflight: 16, Size: 65536}, "stream, both, 1 connection, 16 in flight on each, 64KiB"},
		{load.Config{Scenario: load.Churn, Conns: 5, Size: 64, Stages: []load.Stage{{For: time.Minute, From: 0, To: 50}, {For: 90 * time.Second, From: 50, To: 50}, {For: time.Hour, From: 1, To: 1}}},
			"churn, 5 connections, stages 1m:0..50.0 1m30s:50.0 1h:1.00"},
		{load.Config{Scenario: load.Mixed, Conns: 1, Size: 64, BulkSize: 100}, "mixed, 1 connection, 64 B, beside 100 B"},
		{load.Config{Scenario: load.Storm, Conns: 64, Size: 64}, "storm, 64 dials at once, 64 B"},
		{load.Config{Scenario: load.Storm, Conns: 64, Size: 64, Spoof: true, SpoofRate: 20_000}, "storm, 20.0k handshakes a second from made-up addresses, 64 B"},
		{load.Config{Scenario: load.Storm, Conns: 64, Size: 64, Spoof: true}, "storm, handshakes from made-up addresses, 64 B"},
	} {
		if got := Title(test.config); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// JSON and JSONL come back as they were; summaries among the lines are passed over.
func TestReadBack(t *testing.T) {
	want := records()
	for _, write := range []func(io.Writer, []Record) error{WriteJSON, WriteJSONL} {
		var b bytes.Buffer
		if err := write(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadRecords(io.MultiReader(strings.NewReader(" \n"), &b, strings.NewReader("\n")))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if got, err := ReadRecords(strings.NewReader("{\"compared\":\"rpc\"}\n{\"scenario\":\"rpc\",\"driver\":\"x\"}\n")); err != nil || len(got) != 1 {
		t.Errorf("%d records, %v; want the one that is a run", len(got), err)
	}
}

// What is no result is refused, and the line is named.
func TestReadRefuses(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "empty"}, {" \n\t", "empty"}, {"x", "line 1"}, {"{\"scenario\":\"rpc\"}\n{", "line 2"}, {"[{]", "invalid character"},
		{`{"scenario":"dance"}`, `run 1 is of scenario "dance"`}, {`{"scenario":"rpc","schema":2}`, "schema 2"}, {`{}`, `scenario ""`},
		{`{"scenario":"rpc","messages":-1}`, "line 1"},
	} {
		_, err := ReadRecords(strings.NewReader(test.in))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want ErrFormat that mentions %q", test.in, err, test.want)
		}
	}
}

// law: whatever is read writes the same bytes however often it goes round, and every format takes it.
func FuzzReadRecords(f *testing.F) {
	var b bytes.Buffer
	if err := WriteJSONL(&b, records()[:1]); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{b.String(), `[{"scenario":"hold"}]`, `{"scenario":"rpc","latency_us":{"curve":[{"percent":1e300,"us":-1}]}}`, "{\"compared\":1}\n", "[", "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		records, err := ReadRecords(bytes.NewReader(in))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v is no ErrFormat", err)
			}
			return
		}
		var once, twice bytes.Buffer
		if err := WriteJSONL(&once, records); err != nil {
			t.Skip() // times beyond the year 9999 have no JSON
		}
		again, err := ReadRecords(bytes.NewReader(once.Bytes()))
		if len(records) == 0 {
			return
		}
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if err := WriteJSONL(&twice, again); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatalf("%v:\n%s\n%s", err, once.Bytes(), twice.Bytes())
		}
		for _, format := range Formats() {
			if err := Write(io.Discard, format, records); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
		}
	})
}

// A line for each figure of each run, in the metric's unit.
func TestCSV(t *testing.T) {
	var b bytes.Buffer
	if err := WriteCSV(&b, records()[:1]); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"2026-11-22T12:00:00Z", "rpc", "rpc, 2 connections, 16 in flight on each, 64 B, 20.0k a second (open loop)", "ours", "1", "p99-us", "200", "lower"}
	if !slices.ContainsFunc(rows, func(row []string) bool { return slices.Equal(row, want) }) {
		t.Errorf("no row %q in %q", want, rows)
	}
}

// Lines that benchstat reads: a name that begins with Benchmark and has no blanks, a count, pairs of number and unit.
func TestBenchLines(t *testing.T) {
	var b bytes.Buffer
	if err := WriteBench(&b, records()); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^BenchmarkP2P/\S+\t\d+(\t[-+.0-9e]+ [^\s]+)*$`)
	for text := range strings.Lines(b.String()) {
		text = strings.TrimSuffix(text, "\n")
		if strings.HasPrefix(text, "Benchmark") && !line.MatchString(text) {
			t.Errorf("%q", text)
		}
	}
	for _, want := range []string{
		"goos: linux\n", "Unit p99-us better=lower\n", "Unit requests/s better=higher\n",
		"BenchmarkP2P/scenario=rpc/conns=2/size=64/inflight=16/rate=20000/driver=ours\t1000\t30 requests/s\t90 p50-us\t",
		"BenchmarkP2P/scenario=hold/conns=100/driver=ours\t1000\t",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// OpenMetrics: each family once and whole, labels escaped, seconds, an end.
func TestOpenMetrics(t *testing.T) {
	var b bytes.Buffer
	all := records()
	all[0].Driver, all[2].Driver, all[4].Driver = `a"b\`, `a"b\`, `a"b\`
	if err := WriteOpenMetrics(&b, all); err != nil {
		t.Fatal(err)
	}
	family, seen := "", map[string]bool{}
	for line := range strings.Lines(b.String()) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			family, _, _ = strings.Cut(name, " ")
			if seen[family] {
				t.Errorf("family %s twice", family)
			}
			seen[family] = true
		}
		if line[0] != '#' && !strings.HasPrefix(line, family) {
			t.Errorf("%q stands in family %s", line, family)
		}
	}
	for _, want := range []string{`driver="a\"b\\"`, `quantile="0.99"} 0.0002`, "# TYPE p2pbench_latency_seconds summary\n", "p2pbench_latency_seconds_count{"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if !strings.HasSuffix(b.String(), "\n# EOF\n") {
		t.Error("no end")
	}
}

// The page fetches nothing, escapes what it is given, and shows every section, table, picture, machine and command.
func TestHTML(t *testing.T) {
	var b bytes.Buffer
	all := records()
	all[1].Driver, all[3].Driver, all[5].Driver = "<script>x", "<script>x", "<script>x"
	if err := WriteHTML(&b, all); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{
		"<h2>Overview</h2>", `id="run1"`, `id="run2"`, "&lt;script&gt;x", "A &lt;fast&gt; one", "p2pbench rpc --slo &#39;p99&lt;2ms&#39;",
		"How many took no longer than", "Percentiles", "Resident memory", "Processors in use", "Messages a second", "prefers-color-scheme: dark",
		`name="viewport"`, "4.00x",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(page, "<script>x") {
		t.Error("a driver's name became part of the page")
	}
	for _, outside := range []string{"src=", "<link", "@import", "url(", "fetch(", "XMLHttp"} {
		if strings.Contains(page, outside) {
			t.Errorf("the page is not self-contained: %q", outside)
		}
	}
	for _, url := range regexp.MustCompile(`https?://[^"' )]+`).FindAllString(page, -1) {
		if url != "http://www.w3.org/2000/svg" { // a name, not an address
			t.Errorf("the page mentions %s", url)
		}
	}
}

// Pictures that stand alone are XML, have names of their own, and bring their colours.
func TestPictures(t *testing.T) {
	seen := map[string]bool{}
	err := WritePictures(records(), nil, func(name string, svg []byte) error {
		if seen[name] || !regexp.MustCompile(`^[a-z0-9-]+\.svg$`).MatchString(name) {
			t.Errorf("a picture named %q", name)
		}
		seen[name] = true
		if !bytes.Contains(svg, []byte("--c0:")) {
			t.Errorf("%s has no colours", name)
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	if err != nil || len(seen) < 10 {
		t.Errorf("%d pictures, %v", len(seen), err)
	}
	var some []string
	err = WritePictures(records(), []string{"lead", "latency-cdf"}, func(name string, _ []byte) error {
		some = append(some, name)
		return nil
	})
	rpc := "rpc-2-connections-16-in-flight-on-each-64-b-20-0k-a-second-open-loop-"
	if want := []string{rpc + "lead.svg", rpc + "latency-cdf.svg", "hold-100-connections-lead.svg"}; err != nil || !slices.Equal(some, want) {
		t.Errorf("%q, %v; want %q", some, err, want)
	}
	if err := WritePictures(records(), []string{"everything"}, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("an unknown kind: %v", err)
	}
}

// Every name's ending leads to a format that exists.
func TestFormatOf(t *testing.T) {
	for path, want := range map[string]string{
		"a.html": "html", "a.b.md": "md", "x/y.csv": "csv", "a.json": "json", "a.jsonl": "jsonl", "a.bench": "bench", "a.prom": "openmetrics", "a.txt": "text",
		"a": "", "html": "", "a.xls": "", "": "", "a.html/b": "",
	} {
		got, err := FormatOf(path)
		if got != want || (err == nil) != (want != "") || got != "" && !slices.Contains(Formats(), got) {
			t.Errorf("%q: %q, %v; want %q", path, got, err, want)
		}
	}
	if err := Write(io.Discard, "xls", nil); !errors.Is(err, ErrFormat) {
		t.Errorf("an unknown format: %v", err)
	}
	for _, format := range Formats() {
		if err := Write(io.Discard, format, nil); err != nil {
			t.Errorf("%s of nothing: %v", format, err)
		}
	}
}
