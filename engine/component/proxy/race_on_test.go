//go:build race

package proxy_test

// raceBuild: the race detector allocates and slows down, so figures are not checked under it.
const raceBuild = true
