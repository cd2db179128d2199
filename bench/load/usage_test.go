package load

import (
	"runtime"
	"testing"
)

// The second field of statm is resident pages; anything else is an error, not a zero.
func TestParseResident(t *testing.T) {
	tests := []struct {
		statm string
		want  uint64
		ok    bool
	}{
		{"283712 4217 2010 1052 0 14838 0\n", 4217, true},
		{"1 2", 2, true},
		{"", 0, false},
		{"283712", 0, false},
		{"283712 -1", 0, false},
		{"283712 4217x 2010", 0, false},
	}
	for _, test := range tests {
		got, err := parseResident([]byte(test.statm))
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%q: %d, %v; want %d, ok %v", test.statm, got, err, test.want, test.ok)
		}
	}
}

// What a process holds shows up, and goes when it is let go.
func TestUsageSeesMemory(t *testing.T) {
	const held = 64 << 20
	before := ReadUsage(true)
	b := make([]byte, held)
	for i := range b {
		b[i] = 1
	}
	during := ReadUsage(true)
	runtime.KeepAlive(b)
	b = nil
	after := ReadUsage(true)
	if grown := int64(during.HeapBytes) - int64(before.HeapBytes); grown < held-held/4 || grown > held+held/4 {
		t.Errorf("heap grew by %d holding %d", grown, held)
	}
	if runtime.GOOS == "linux" && int64(during.RSSBytes)-int64(before.RSSBytes) < held/2 {
		t.Errorf("resident memory went from %d to %d holding %d", before.RSSBytes, during.RSSBytes, held)
	}
	if after.HeapBytes > before.HeapBytes+held/4 {
		t.Errorf("heap is %d after letting go, was %d", after.HeapBytes, before.HeapBytes)
	}
	if after.CPUSeconds < before.CPUSeconds || after.Mallocs <= before.Mallocs {
		t.Errorf("time or allocations went backwards: %+v, %+v", before, after)
	}
}
