package load

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used so far, and holds now.
type Usage struct {
	CPUSeconds     float64 `json:"cpu_seconds"`    // user and system, since the process began
	SystemSeconds  float64 `json:"system_seconds"` // of these, in the kernel
	RSSBytes       uint64  `json:"rss_bytes"`      // resident memory; 0 where the system does not tell
	HeapBytes      uint64  `json:"heap_bytes"`     // live objects if settled, else with what awaits collection
	Goroutines     int     `json:"goroutines"`
	Mallocs        uint64  `json:"mallocs"` // objects allocated since the process began
	Collections    uint64  `json:"collections"`
	GCPauseSeconds float64 `json:"gc_pause_seconds"` // all stops of the world by the collector, together
	Waits          uint64  `json:"waits"`            // context switches because a thread had nothing to do
	Preemptions    uint64  `json:"preemptions"`      // context switches because another thread's turn had come
	Retransmits    uint64  `json:"retransmits"`      // TCP segments sent again by anybody in the network namespace; 0 where the system does not tell
}

// ReadUsage looks at this process. With settle it first collects garbage twice (finalizers need two) and
// returns free pages to the system, so that memory figures are those of what is in use. Without, it stops
// nothing and may be called ten times a second.
func ReadUsage(settle bool) Usage {
	if settle {
		runtime.GC()
		runtime.GC()
		debug.FreeOSMemory()
	}
	u := Usage{RSSBytes: residentBytes(), Goroutines: runtime.NumGoroutine(), Retransmits: retransmits()}
	u.readRusage()
	u.readRuntime()
	return u
}

func (u *Usage) readRusage() {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return
	}
	u.SystemSeconds = time.Duration(r.Stime.Nano()).Seconds()
	u.CPUSeconds = u.SystemSeconds + time.Duration(r.Utime.Nano()).Seconds()
	u.Waits, u.Preemptions = uint64(r.Nvcsw), uint64(r.Nivcsw)
}

func (u *Usage) readRuntime() {
	samples := [3]metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"},
	}
	metrics.Read(samples[:])
	u.HeapBytes = samples[0].Value.Uint64()
	u.Mallocs = samples[1].Value.Uint64() + samples[2].Value.Uint64()
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	u.Collections, u.GCPauseSeconds = uint64(gc.NumGC), gc.PauseTotal.Seconds()
}

// enoughDescriptors refuses to begin what the process's limit on open files would end half way.
func enoughDescriptors(conns int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil // where there is no limit to be read, the dials will tell
	}
	if need := uint64(conns + descriptorReserve); need > uint64(limit.Cur) {
		return fmt.Errorf("%w: %d connections need %d open files and the limit is %d: see ulimit -n", ErrConfig, conns, need, uint64(limit.Cur))
	}
	return nil
}

// residentBytes reads the second field of /proc/self/statm, in pages; 0 where there is no such file.
func residentBytes() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := parseResident(b)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

func parseResident(statm []byte) (pages uint64, err error) {
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("load: statm has %d fields, want at least 2", len(fields))
	}
	return strconv.ParseUint(string(fields[1]), 10, 64)
}

// retransmits reads RetransSegs from /proc/self/net/snmp; 0 where there is no such file.
func retransmits() uint64 {
	b, err := os.ReadFile("/proc/self/net/snmp")
	if err != nil {
		return 0
	}
	n, err := parseSNMP(b, "Tcp:", "RetransSegs")
	if err != nil {
		return 0
	}
	return n
}

// parseSNMP finds a counter: a line of names, then a line of numbers in the same order, both beginning with the protocol.
func parseSNMP(snmp []byte, protocol, name string) (uint64, error) {
	var names [][]byte
	for line := range bytes.Lines(snmp) {
		fields := bytes.Fields(line)
		if len(fields) == 0 || string(fields[0]) != protocol {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, field := range fields {
			if i < len(names) && string(names[i]) == name {
				return strconv.ParseUint(string(field), 10, 64)
			}
		}
		break
	}
	return 0, fmt.Errorf("load: no %s %s", protocol, name)
}
