package spread

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// TestConfigReportsEverything: all that is wrong at once; what is left out has its default.
func TestConfigReportsEverything(t *testing.T) {
	self := newContact(newRand(1), 1)
	bad := Config{
		Network: strings.Repeat("n", networkLimit+1), Beta: []int{0, 17}, Rounds: -1, Fanout: 17,
		OriginRate: -1, OriginBurst: 1, TotalRate: rateLimit + 1, TotalBurst: 2,
	}
	_, err := New(bad, self, &static{}, newRand(1), 0)
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("error %v", err)
	}
	for name := range strings.FieldsSeq("Signer Verifier Network Beta[0] Beta[1] Rounds Fanout OriginRate OriginBurst TotalRate TotalBurst") {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("nothing about %s in: %v", name, err)
		}
	}
	_, err = New(Config{Signer: &cheap{}, Verifier: &cheap{}, Beta: make([]int, betaLimit+1)}, self, &static{}, newRand(1), 0)
	if err == nil || !strings.Contains(err.Error(), "Beta has 17") {
		t.Errorf("error %v", err)
	}
	other := skad.NewContact(identity.Record{Solution: [32]byte{1}}, skad.Public)
	if _, err = New(Config{Signer: &cheap{}, Verifier: &cheap{}}, other, &static{}, newRand(1), 0); !errors.Is(err, ErrConfig) {
		t.Errorf("a solution that cannot travel: error %v", err)
	}
	beta := []int{3}
	c, err := New(Config{Signer: &cheap{}, Verifier: &cheap{}, Beta: beta}, self, &static{}, newRand(1), 0)
	if err != nil {
		t.Fatal(err)
	}
	beta[0] = 9
	if c.cfg.Beta[0] != 3 || c.cfg.Rounds != 3 || c.cfg.Fanout != 3 || c.cfg.OriginRate != 16 || c.cfg.TotalBurst != 4096 || c.seq != 1 {
		t.Errorf("in force: %+v", c.cfg)
	}
}

// TestRate: over any span a bucket gives at most what it holds and what has flowed in, and all of that to one who asks
// for it evenly.
func TestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond, burst := rapid.IntRange(1, 1000).Draw(t, "rate"), rapid.IntRange(17, 1000).Draw(t, "burst")
		r := newRate(perSecond, burst)
		var fullAt, now time.Duration
		taken := 0
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now += time.Duration(rapid.IntRange(0, 1_000_000_000).Draw(t, "pause"))
			cost := rapid.IntRange(1, 17).Draw(t, "cost")
			if next, ok := r.take(fullAt, now, cost); ok {
				fullAt = next
				taken += cost
			}
			if most := float64(burst) + now.Seconds()*float64(perSecond)*1.001 + 1; float64(taken) > most {
				t.Fatalf("%d tokens in %v, at most %.1f", taken, now, most)
			}
		}
	})
	r := newRate(10, 20)
	var fullAt time.Duration
	for i := range 1000 {
		var ok bool
		if fullAt, ok = r.take(fullAt, time.Duration(i)*100*time.Millisecond, 1); !ok {
			t.Fatalf("call %d at exactly the rate is refused", i)
		}
	}
}
