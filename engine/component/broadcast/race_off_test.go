//go:build !race

package broadcast_test

const raceBuild = false
