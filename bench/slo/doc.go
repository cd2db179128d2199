// Package slo holds runs to thresholds, and finds the highest rate that still meets them.
//
// A rule is a measure, a comparison and a bound, rules stand between commas:
//
//	p99<2ms, errors<0.1%, rate>=10k, heap-B/conn<=1200
//
//	measure                                            bound            what it is
//	p50 p75 p90 p95 p99 p99.9 p99.99 max mean          ns us ms s       latency, at a rate from the planned time
//	service-p50 ... service-mean                       ns us ms s       latency from the actual sending
//	errors late unsent                                 % or a share     of all messages; of the planned ones
//	rate                                               a number, k M    messages, requests, handshakes a second
//	any unit of the scenario's metrics                 a number, k M    heap-B/conn, cpu-s/million, goroutines, down-MB/s
//
// What a run did not measure meets no rule: a threshold that cannot fail would be a lie. Everything here is a value or a small
// machine without a clock; a Search belongs to whoever asks it. Errors of Parse wrap ErrRule and name the rule.
package slo
