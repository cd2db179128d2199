//go:build race

package simnet_test

const raceBuild = true
