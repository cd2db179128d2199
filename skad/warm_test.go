package skad

import (
	"reflect"
	"testing"
	"time"
)

// TestWarmChangesNothing: reading ahead leaves a core as it is, whatever message is expected, and works in one that knows nobody.
func TestWarmChangesNothing(t *testing.T) {
	empty := newCore(t, 1, nil)
	rnd := newRand(2)
	stranger := randomID(rnd)
	if empty.Warm() == 0 {
		t.Error("nothing of a core was read")
	}
	for _, nonce := range []uint64{0, 1, callLimit - 1, 1 << 40} {
		empty.WarmFor(&stranger, nonce)
		empty.WarmFor(nil, nonce)
	}
	w := newWorld(t, 40, 3, nil)
	w.fill(3)
	w.run(time.Minute)
	n := w.order[7].core
	if _, err := n.Lookup(w.now, randomID(rnd), LookupOptions{}); err != nil {
		t.Fatal(err)
	}
	before := *n
	for k := range n.calls {
		n.WarmFor(&w.order[k%40].core.self.ID, n.calls[k].nonce)
	}
	n.Warm()
	n.WarmFor(nil, 0)
	n.WarmFor(&stranger, 1<<40|5)
	if !reflect.DeepEqual(before, *n) {
		t.Error("the core is not what it was")
	}
	if len(drain(n)) == 0 {
		t.Error("what the core wanted done is gone")
	}
}
