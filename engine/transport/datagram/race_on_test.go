//go:build race

package datagram

// raceBuild: the race detector allocates and slows down, so figures are not checked under it.
const raceBuild = true
