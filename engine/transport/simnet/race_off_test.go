//go:build !race

package simnet_test

// raceBuild says whether the race detector is in: it allocates, so promises of no allocation are not tested with it.
const raceBuild = false
