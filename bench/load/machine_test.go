package load

import (
	"runtime"
	"strings"
	"testing"
)

// The first line of /proc/stat: work of all kinds in hundredths, idle and waiting not among them, stolen time apart.
func TestParseProcessors(t *testing.T) {
	for _, test := range []struct {
		stat string
		want Processors
		ok   bool
	}{
		{"cpu  100 20 30 4000 500 6 7 800 9 9\ncpu0 1 1 1 1 1 1 1 1\n", Processors{1.63, 8}, true},
		{"cpu  100 20 30 4000 500 6 7\n", Processors{}, false}, {"cpu0 1 1 1 1 1 1 1 1", Processors{}, false}, {"", Processors{}, false},
		{"cpu a 2 3 4 5 6 7 8", Processors{}, false}, {"cpu -1 2 3 4 5 6 7 8", Processors{}, false},
	} {
		got, err := parseProcessors([]byte(test.stat))
		if off := got.BusySeconds - test.want.BusySeconds; (err == nil) != test.ok || off*off > 1e-12 || got.StolenSeconds != test.want.StolenSeconds {
			t.Errorf("%q: %+v, %v; want %+v", test.stat, got, err, test.want)
		}
	}
	if p := ReadProcessors(); runtime.GOOS == "linux" && p.BusySeconds == 0 {
		t.Error("this machine has never done anything")
	}
}

// Counters of the network: names on one line, numbers on the next of the same protocol.
func TestParseSNMP(t *testing.T) {
	const snmp = "Ip: Forwarding InReceives\nIp: 1 55\nTcp: RtoMin RetransSegs\nTcp: -1 77\nUdp: RetransSegs\nUdp: 5\n"
	for _, test := range []struct {
		text, protocol, name string
		want                 uint64
		ok                   bool
	}{
		{snmp, "Tcp:", "RetransSegs", 77, true}, {snmp, "Ip:", "InReceives", 55, true}, {snmp, "Tcp:", "RtoMin", 0, false}, {snmp, "Tcp:", "Missing", 0, false},
		{snmp, "Icmp:", "RetransSegs", 0, false}, {"", "Tcp:", "RetransSegs", 0, false}, {"Tcp: RetransSegs\n", "Tcp:", "RetransSegs", 0, false},
		{"Tcp: RetransSegs\nTcp:\n", "Tcp:", "RetransSegs", 0, false}, {"Tcp: A\nTcp: 1 2 3 4\n", "Tcp:", "B", 0, false},
	} {
		if got, err := parseSNMP([]byte(test.text), test.protocol, test.name); got != test.want || (err == nil) != test.ok {
			t.Errorf("%s %s: %d, %v; want %d", test.protocol, test.name, got, err, test.want)
		}
	}
}

// Each note has its limit, and says nothing below it. Shares are of all processors.
func TestMachineNotes(t *testing.T) {
	all := float64(runtime.NumCPU())
	base := func() *Result {
		return &Result{Seconds: 1, Planned: 1000, Client: Side{CPUSeconds: 0.1 * all}, Server: &Side{CPUSeconds: 0.1 * all}}
	}
	busy := func(share float64) Processors { return Processors{BusySeconds: share * all} }
	for _, test := range []struct {
		name   string
		change func(*Result)
		after  Processors
		want   string // ""; no note
	}{
		{"calm", func(*Result) {}, busy(0.25), ""},
		{"generator", func(r *Result) { r.Client.CPUSeconds = 0.9 * all }, busy(1), "the generator itself used 90 %"},
		{"full", func(r *Result) { r.Client.CPUSeconds, r.Server.CPUSeconds = 0.5*all, 0.47*all }, busy(1), "both sides together used 97 %"},
		{"full, closed loop", func(r *Result) { r.Client.CPUSeconds, r.Server.CPUSeconds, r.Planned = 0.5*all, 0.47*all, 0 }, busy(1), ""},
		{"late", func(r *Result) { r.Late = 11 }, busy(0.2), "1.1 % of the planned sendings"}, {"hardly late", func(r *Result) { r.Late = 10 }, busy(0.2), ""},
		{"unsent", func(r *Result) { r.Unsent = 1 }, busy(0.2), "1 of 1000 planned sendings were never begun"},
		{"others", func(*Result) {}, busy(0.5), "others used 30 %"}, {"few others", func(*Result) {}, busy(0.29), ""},
		{"stolen", func(*Result) {}, Processors{0.2 * all, 0.2 * all}, "the host took 20 %"},
		{"too short", func(r *Result) { r.Seconds = 0.1 }, busy(1), ""},
		{"no /proc", func(*Result) {}, Processors{}, ""},
	} {
		r := base()
		test.change(r)
		r.machine(Processors{}, test.after, 0)
		got := strings.Join(r.Warnings, "; ")
		if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) || len(r.Warnings) > 1 {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	for beside, name := range map[float64]string{0.25 * all: "a storm of ours, and few others", besideUnknown: "nobody knows who"} {
		r := base()
		if r.machine(Processors{}, busy(0.5), beside); len(r.Warnings) > 0 {
			t.Errorf("%s: %q", name, r.Warnings)
		}
	}
}
