// Package report keeps results and shows them: to people, to spreadsheets, to benchstat, to whatever scrapes metrics.
//
//	load.Result ──▶ Record ──▶ Group ──▶ text, Markdown, CSV, JSON, JSONL, Go benchmark lines, OpenMetrics, one HTML page
//	                  │  a run, with the machine and      │
//	                  │  the source it was made on/from   └── the rounds of one scenario with one config: medians, bounds, ratios
//	                  ▼
//	               Samples ──▶ Compare: which metrics of B differ from A's beyond noise
//
// It measures nothing and decides nothing about runs; it knows what the figures of each scenario are called, how they are
// shown and which way is better (metric.go). Everything in it is a pure function of its input, except for the functions
// that take an io.Writer. Nothing here is shared between goroutines.
//
// Files are read back by Read, which accepts JSONL and JSON of this package and Go benchmark output. Errors wrap ErrFormat and
// name the line.
package report
