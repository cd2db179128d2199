package fingerprint

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// A processor's name and its being a guest are found in the first paragraph, and nowhere else.
func TestParseCPU(t *testing.T) {
	for _, test := range []struct {
		cpuinfo, name string
		guest         bool
	}{
		{"processor\t: 0\nmodel name\t: AMD EPYC 9R14\nflags\t\t: fpu hypervisor sse\n\nprocessor\t: 1\n", "AMD EPYC 9R14", true},
		{"processor: 0\nmodel name: Intel: the one\nflags: fpu sse\n", "Intel: the one", false},
		{"processor: 0\n\nmodel name: the second's\n", "", false},
		{"", "", false}, {"nonsense", "", false},
	} {
		if name, guest := parseCPU([]byte(test.cpuinfo)); name != test.name || guest != test.guest {
			t.Errorf("%q: %q, %v; want %q, %v", test.cpuinfo, name, guest, test.name, test.guest)
		}
	}
}

// Memory is in KiB, and what is no number is none.
func TestParseMemory(t *testing.T) {
	for _, test := range []struct {
		meminfo string
		want    uint64
	}{
		{"MemTotal:       16384 kB\nMemFree: 1 kB\n", 16 << 20}, {"MemFree: 1 kB\nMemTotal: 1 kB", 1024},
		{"MemTotal: x kB", 0}, {"MemTotal: 5 MB", 0}, {"MemTotal: 99999999999999999999 kB", 0}, {"", 0},
	} {
		if got := parseMemory([]byte(test.meminfo)); got != test.want {
			t.Errorf("%q: %d, want %d", test.meminfo, got, test.want)
		}
	}
}

// This machine has an operating system and processors, is the same as itself, and is not one with more processors.
func TestReadHost(t *testing.T) {
	h := ReadHost()
	if h.OS != runtime.GOOS || h.Arch != runtime.GOARCH || h.Processors < 1 || h.MaxProcs < 1 {
		t.Errorf("%+v", h)
	}
	if runtime.GOOS == "linux" && (h.Kernel == "" || h.MemoryBytes == 0 || h.Sysctls["net.core.somaxconn"] == "") {
		t.Errorf("%+v", h)
	}
	other := h
	if !h.Same(other) {
		t.Error("a machine differs from itself")
	}
	other.Kernel = "newer"
	if !h.Same(other) {
		t.Error("another kernel is another machine")
	}
	for _, change := range []func(*Host){
		func(h *Host) { h.Processors++ }, func(h *Host) { h.CPU += "x" }, func(h *Host) { h.Arch = "pdp11" }, func(h *Host) { h.MaxProcs++ },
	} {
		other := h
		if change(&other); h.Same(other) {
			t.Errorf("%+v counts as the same machine as %+v", other, h)
		}
	}
}

// What a build says about its source, and how it is named in short.
func TestBuild(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Path: "m", Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}, {Key: "-race", Value: "true"}, {Key: "GOAMD64", Value: "v3"}, {Key: "-tags"},
	}}
	b := buildOf(info)
	want := Build{Go: runtime.Version(), Module: "m", Version: "v1.2.3", Revision: "0123456789abcdef", Modified: true, Settings: "-race=true GOAMD64=v3"}
	if b != want {
		t.Errorf("%+v, want %+v", b, want)
	}
	if b.Short() != "0123456789ab+" || (Build{Version: "v1"}).Short() != "v1" || (Build{Revision: b.Revision}).Short() != "0123456789ab" {
		t.Errorf("in short %q", b.Short())
	}
	if got := ReadBuild(); got.Go != runtime.Version() {
		t.Errorf("%+v", got)
	}
}
