// Package stats decides whether figures differ, and whether they creep.
//
// What it offers is what benchmarks need and no more: medians, the Mann-Whitney test for two sets of runs, and the
// Mann-Kendall test with the Theil-Sen slope for one run over time. All of them look at ranks and not at distances, since
// figures of shared machines have outliers and no normal distribution.
//
// The functions are pure. They keep nothing of the slices they are given and do not alter them. There are no errors: of
// too few values a test says that it sees nothing, which is a p of 1.
package stats
