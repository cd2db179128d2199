package sim

import (
	"slices"
	"time"
)

// A Report is what an experiment has measured. Fields that it does not measure are nil, and missing in JSON.
// Shares are 0 to 1, means are per lookup, per broadcast or per node, whatever the experiment counts.
type Report struct {
	Lookups        int          `json:"lookups,omitempty"`
	Routes         int          `json:"routes,omitempty"`
	Success        *float64     `json:"success,omitempty"`         // lookups: the target was reached; routes: delivered
	SuccessFormula *float64     `json:"success_formula,omitempty"` // what the law says about it
	SiblingsFound  *float64     `json:"siblings_found,omitempty"`  // lookups that found every honest one of the s closest nodes; nodes that know all of theirs
	ContactsMean   *float64     `json:"contacts_mean,omitempty"`   // asked one after the other, the target included
	RPCsMean       *float64     `json:"rpcs_mean,omitempty"`
	TimeToTarget   *Percentiles `json:"time_to_target_rtt,omitempty"`
	DensityAlarms  *float64     `json:"density_alarms,omitempty"` // lookups whose result was called suspicious

	StraysInTable    *int `json:"strays_in_table,omitempty"` // of a flooded network: most in the table of one node
	StraysInSiblings *int `json:"strays_in_siblings,omitempty"`

	TableKept *float64 `json:"table_kept,omitempty"` // of nodes that were restarted: which part of their table they knew before; the least of them

	Broadcasts      int          `json:"broadcasts,omitempty"`
	CoverageMean    *float64     `json:"coverage_mean,omitempty"` // of the honest nodes that are up, by a broadcast
	CoverageMedian  *float64     `json:"coverage_median,omitempty"`
	CoverageWorst   *float64     `json:"coverage_worst,omitempty"`
	CoverageFormula *float64     `json:"coverage_formula,omitempty"`
	Duplicates      *float64     `json:"duplicates_per_delivery,omitempty"`
	Payloads        *float64     `json:"payloads_per_node,omitempty"` // sent by an honest node for one broadcast
	Control         *float64     `json:"control_per_node,omitempty"`  // the same for messages without payload
	HopsMean        *float64     `json:"hops_mean,omitempty"`         // of first copies; those of repair not counted
	TimeToDeliver   *Percentiles `json:"time_to_deliver_rtt,omitempty"`
	TimeToLast      *Percentiles `json:"time_to_last_rtt,omitempty"` // until the last node that a broadcast reached had it

	TimeToReady   *Percentiles `json:"time_to_ready_rtt,omitempty"`     // from Bootstrap until the core says that it has joined
	SiblingsApart *float64     `json:"siblings_found_apart,omitempty"`  // at the end of a partition
	HealSeconds   *float64     `json:"heal_seconds,omitempty"`          // until 99 % of the siblings are known again; nil: not within the time
	UpkeepBytes   *float64     `json:"upkeep_bytes_per_node,omitempty"` // what maintenance sends, per node and second
	Left          *int         `json:"left,omitempty"`                  // nodes that have left

	PathLengths []int `json:"path_lengths,omitempty"` // paths that knew the target after 0, 1, 2, ... contacts; routed copies by the nodes between

	Events    uint64        `json:"events"`
	Virtual   time.Duration `json:"virtual_nanos"`
	TraceHash string        `json:"trace_hash"`
}

// Percentiles of spans, in median round trips.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// report begins a report.
func (w *Network) report() *Report {
	return &Report{Events: w.Events(), Virtual: w.now, TraceHash: w.TraceHash()}
}

// part returns what n things make of a whole, nil if there is none.
func part(n int, whole float64) *float64 {
	if whole == 0 {
		return nil
	}
	v := float64(n) / whole
	return &v
}

func percentiles(spans []time.Duration) *Percentiles {
	if len(spans) == 0 {
		return nil
	}
	s := slices.Clone(spans)
	slices.Sort(s)
	at := func(p float64) float64 { return inRTT(s[min(len(s)-1, int(p*float64(len(s))))]) }
	return &Percentiles{P50: at(.5), P99: at(.99)}
}
