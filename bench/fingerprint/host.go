package fingerprint

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Host is what of a machine moves figures.
type Host struct {
	OS          string            `json:"os"`
	Arch        string            `json:"arch"`
	Kernel      string            `json:"kernel,omitempty"`
	CPU         string            `json:"cpu,omitempty"`
	Processors  int               `json:"processors"` // that this process may use
	MaxProcs    int               `json:"gomaxprocs"`
	MemoryBytes uint64            `json:"memory_bytes,omitempty"`
	Governor    string            `json:"governor,omitempty"`   // of the processors' clock; empty on most virtual machines
	Hypervisor  bool              `json:"hypervisor,omitempty"` // the processor says that it is a guest's
	Files       uint64            `json:"open_files,omitempty"` // the limit of one process
	Sysctls     map[string]string `json:"sysctls,omitempty"`
}

// sysctlNames are settings of the kernel that move figures of sockets.
var sysctlNames = [...]string{
	"net/core/somaxconn", "net/core/rmem_max", "net/core/wmem_max", "net/ipv4/tcp_rmem", "net/ipv4/tcp_wmem",
	"net/ipv4/tcp_congestion_control", "net/ipv4/tcp_max_syn_backlog", "net/ipv4/ip_local_port_range",
}

// ReadHost looks at this machine.
func ReadHost() Host {
	h := Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Processors: runtime.NumCPU(), MaxProcs: runtime.GOMAXPROCS(0), Sysctls: map[string]string{}}
	h.Kernel = line("/proc/sys/kernel/osrelease")
	h.Governor = line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		h.CPU, h.Hypervisor = parseCPU(b)
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		h.MemoryBytes = parseMemory(b)
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		h.Files = uint64(limit.Cur)
	}
	for _, name := range sysctlNames {
		if value := line("/proc/sys/" + name); value != "" {
			h.Sysctls[strings.ReplaceAll(name, "/", ".")] = value
		}
	}
	return h
}

// Same reports whether figures of two hosts compare: the same processors, as many of them, the same kind of system.
func (h Host) Same(other Host) bool {
	return h.OS == other.OS && h.Arch == other.Arch && h.CPU == other.CPU && h.Processors == other.Processors && h.MaxProcs == other.MaxProcs
}

// line reads a file of one line, its white space made single blanks; "" if there is none.
func line(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// parseCPU finds the first processor's name, and whether it runs under a hypervisor.
func parseCPU(cpuinfo []byte) (name string, guest bool) {
	for l := bufio.NewScanner(bytes.NewReader(cpuinfo)); l.Scan(); {
		key, value, _ := strings.Cut(l.Text(), ":")
		switch strings.TrimSpace(key) {
		case "model name":
			return strings.TrimSpace(value), strings.Contains(string(cpuinfo), " hypervisor")
		case "":
			return name, guest // the first processor's paragraph is over
		}
	}
	return name, guest
}

// parseMemory finds MemTotal, which is in KiB.
func parseMemory(meminfo []byte) (size uint64) {
	for l := bufio.NewScanner(bytes.NewReader(meminfo)); l.Scan(); {
		fields := strings.Fields(l.Text())
		if len(fields) == 3 && fields[0] == "MemTotal:" && fields[2] == "kB" {
			n, err := strconv.ParseUint(fields[1], 10, 54)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
