package load

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
)

// Processors is what all processors of the machine have done so far, by whomever.
type Processors struct {
	BusySeconds   float64 // work, of anybody here
	StolenSeconds float64 // wanted, and given to other machines by whoever hosts this virtual one
}

// tick is the unit of /proc/stat, USER_HZ. 100 on every Linux that Go runs on.
const tick = 0.01

// ReadProcessors reads /proc/stat; zero where there is none.
func ReadProcessors() Processors {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Processors{}
	}
	p, err := parseProcessors(b)
	if err != nil {
		return Processors{}
	}
	return p
}

// parseProcessors reads the first line: "cpu", then user, nice, system, idle, iowait, irq, softirq, steal.
func parseProcessors(stat []byte) (p Processors, err error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return p, fmt.Errorf("load: /proc/stat begins with %q", line)
	}
	for i, field := range fields[1:9] {
		n, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return Processors{}, fmt.Errorf("load: /proc/stat: %w", err)
		}
		switch i {
		case 3, 4: // idle, waiting for a disk
		case 7:
			p.StolenSeconds = float64(n) * tick
		default:
			p.BusySeconds += float64(n) * tick
		}
	}
	return p, nil
}

// limits at which a figure says more about the machine than about what was measured.
const (
	// generatorShare of all processors used by the dialling side alone: 85 %, as other load tools have it.
	generatorShare = 0.85

	// fullShare of all processors used by both sides together.
	fullShare = 0.95

	// othersShare of all processors used by somebody else, or stolen. 10 % moves a ratio by as much.
	othersShare = 0.10

	// lateShare of planned sendings that began late. 1 %: what is late moves p99.
	lateShare = 0.01

	// noticeSeconds is how much must have been measured before shares mean anything: /proc/stat counts hundredths.
	noticeSeconds = 0.5
)

// besideUnknown stands for what a third process of ours has used where that cannot be told from what others have.
const besideUnknown = -1

// machine fills in how busy the machine was during the measured part and what that says about the figures. beside is the
// processor time, in seconds, of a third process of ours.
func (r *Result) machine(before, after Processors, beside float64) {
	cores := float64(runtime.NumCPU())
	all := cores * r.Seconds
	if r.Seconds < noticeSeconds {
		return
	}
	client := r.Client.CPUSeconds
	ours := client
	if r.Server != nil {
		ours += r.Server.CPUSeconds
	}
	if busy := after.BusySeconds - before.BusySeconds; busy > 0 && beside != besideUnknown {
		r.OthersShare = min(max(busy-ours-beside, 0)/all, 1) // what is read a moment later may be more than there was time for
		r.StolenShare = max(after.StolenSeconds-before.StolenSeconds, 0) / all
	}
	open := r.Planned > 0
	if client/all > generatorShare {
		r.warn("the generator itself used %.0f %% of all processors: it may be what limits the figures", 100*client/all)
	} else if open && ours/all > fullShare {
		r.warn("both sides together used %.0f %% of all processors: latencies are those of a saturated machine", 100*ours/all)
	}
	if open && float64(r.Late) > lateShare*float64(r.Planned) {
		r.warn("%.1f %% of the planned sendings began more than %v late: the machine was busy, or all who could send were waiting", 100*float64(r.Late)/float64(r.Planned), lateAfter)
	}
	if r.Unsent > 0 {
		r.warn("%d of %d planned sendings were never begun: the rate is more than this can take", r.Unsent, r.Planned)
	}
	if r.OthersShare > othersShare {
		r.warn("others used %.0f %% of all processors meanwhile: compare only figures of turns", 100*r.OthersShare)
	}
	if r.StolenShare > othersShare {
		r.warn("the host took %.0f %% of all processors away meanwhile", 100*r.StolenShare)
	}
}

func (r *Result) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}
