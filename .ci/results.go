//go:build ignore

// Results reads what "p2pbench --json -" wrote and says whether it keeps its promise: one JSON object a line, with the keys
// that documents name, messages that arrived, and no errors.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
)

var (
	runKeys = []string{"scenario", "config", "seconds", "messages", "messages_per_second", "bytes_per_second", "latency_us", "errors",
		"connections", "handshakes_per_second", "client", "server"}
	latencyKeys = []string{"p50", "p90", "p99", "p999", "max"}
	sideKeys    = []string{"cpu_seconds", "rss_bytes", "heap_bytes", "goroutines", "heap_bytes_per_connection",
		"rss_bytes_per_connection", "allocs_per_message"}
)

func main() {
	log.SetFlags(0)
	runs := 0
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var run map[string]json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &run); err != nil {
			log.Fatalf("line %d is no JSON object: %v", runs+1, err)
		}
		if run["compared"] != nil {
			continue
		}
		runs++
		keep(run, string(lines.Bytes()), runKeys)
		keep(object(run["client"]), "client", sideKeys)
		keep(object(run["server"]), "server", sideKeys)
		if l := object(run["latency_us"]); l != nil {
			keep(l, "latency_us", latencyKeys)
		}
		if faults := object(run["errors"]); len(faults) > 0 {
			log.Fatalf("%s: errors %s", run["scenario"], run["errors"])
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if runs == 0 {
		log.Fatal("no results")
	}
	fmt.Printf("%d results, every promised key, no errors\n", runs)
}

func object(raw json.RawMessage) (o map[string]json.RawMessage) {
	if err := json.Unmarshal(raw, &o); err != nil {
		log.Fatalf("not an object: %s", raw)
	}
	return o
}

func keep(o map[string]json.RawMessage, what string, keys []string) {
	for _, k := range keys {
		if _, ok := o[k]; !ok {
			log.Fatalf("key %q is missing in %s", k, what)
		}
	}
}
