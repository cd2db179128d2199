// Package fingerprint says on what machine and from what source a figure was made.
//
// A figure without its machine is decoration, and two figures of different machines do not compare. So every record
// carries a Host and a Build, and whoever compares looks at Host.Same first. The functions only read: /proc and /sys on Linux,
// the runtime everywhere. What a system does not tell stays empty; nothing here fails.
//
// A fingerprint holds no names of people, hosts or directories: results are shown to others.
package fingerprint
