//go:build race

package broadcast_test

// raceBuild: the race detector allocates and slows down, so figures are not checked under it.
const raceBuild = true
