package natmap_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/natmap"
)

// A Lifetime that no router could be asked for is said, and not taken for the default.
func TestValidate(t *testing.T) {
	const week = 7 * 24 * time.Hour
	for lifetime, good := range map[time.Duration]bool{0: true, time.Second: true, week: true, -1: false, time.Second - 1: false, week + 1: false} {
		if err := (&natmap.Component{Lifetime: lifetime}).Validate(); (err == nil) != good {
			t.Errorf("%v: %v", lifetime, err)
		}
	}
}
