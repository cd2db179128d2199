package load

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used so far, and holds now.
type Usage struct {
	CPUSeconds float64 `json:"cpu_seconds"` // user and system, since the process began
	RSSBytes   uint64  `json:"rss_bytes"`   // resident memory; 0 where the system does not tell
	HeapBytes  uint64  `json:"heap_bytes"`  // live objects if settled, else with what awaits collection
	Goroutines int     `json:"goroutines"`
	Mallocs    uint64  `json:"mallocs"` // objects allocated since the process began
}

// ReadUsage looks at this process. With settle it first collects garbage twice (finalizers need two) and returns free pages to the
// system, so that memory figures are those of what is in use.
func ReadUsage(settle bool) Usage {
	if settle {
		runtime.GC()
		runtime.GC()
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{
		CPUSeconds: cpuSeconds(),
		RSSBytes:   residentBytes(),
		HeapBytes:  m.HeapAlloc,
		Goroutines: runtime.NumGoroutine(),
		Mallocs:    m.Mallocs,
	}
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

func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	spent := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	return spent.Seconds()
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
