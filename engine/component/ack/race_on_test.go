//go:build race

package ack_test

const raceBuild = true
