//go:build invariant

package invariant

// Enabled says whether this is a checked build.
const Enabled = true
