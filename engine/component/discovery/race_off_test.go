//go:build !race

package discovery_test

const raceBuild = false
