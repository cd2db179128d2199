package skad

import (
	"errors"
	"fmt"
	"time"
)

// ErrConfig is wrapped by what New says about a Config.
var ErrConfig = errors.New("skad: configuration")

// A Config holds what may differ between networks and nodes. Zero means the written default; docs/skad.md has the
// reason of each.
type Config struct {
	Verifier Verifier // checks learnt records; needed
	Scope    Scope    // what addresses mean

	K        int // contacts in a bucket and in an answer; 0 means 16
	Siblings int // s: how many nodes are responsible for a key; 0 means 16
	Eta      int // the sibling list holds Eta*Siblings; 0 means 3, the paper's proof takes 5

	GroupPerBucket   int // contacts of one IP group in a bucket with its spares; 0 means 2
	GroupPerTable    int // in the table; 0 means 10
	GroupPerSiblings int // in the sibling list; 0 means 2
	GroupPerReply    int // in an answer that we give or believe; 0 means 2

	PingLeast time.Duration // a young contact is pinged after this; 0 means 30 s
	PingMost  time.Duration // an old one after this at most; 0 means 10 min

	RefreshLeast time.Duration // own neighbourhood: asked again after a random span from here
	RefreshMost  time.Duration // to here; 0 means 5 min and 10 min
	BucketIdle   time.Duration // a bucket that no lookup went through for this long gets one; 0 means 40 min

	LookupTimeout time.Duration // a lookup ends with what it has; 0 means 10 s
}

// withDefaults returns the config in force, or everything that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	number := func(name string, v *int, standard, most int) {
		if *v == 0 {
			*v = standard
		}
		if *v < 0 || *v > most {
			errs = append(errs, fmt.Errorf("%w: %s is %d, must be 1 to %d", ErrConfig, name, *v, most))
		}
	}
	span := func(name string, v *time.Duration, standard time.Duration) {
		if *v == 0 {
			*v = standard
		}
		if *v < 0 || *v > spanMost {
			errs = append(errs, fmt.Errorf("%w: %s is %v, must be positive and at most %v", ErrConfig, name, *v, spanMost))
		}
	}
	if c.Verifier == nil {
		errs = append(errs, fmt.Errorf("%w: no Verifier", ErrConfig))
	}
	if c.Scope > Private {
		errs = append(errs, fmt.Errorf("%w: unknown scope %d", ErrConfig, c.Scope))
	}
	number("K", &c.K, 16, CountLimit)
	number("Siblings", &c.Siblings, 16, CountLimit)
	number("Eta", &c.Eta, 3, CountLimit)
	if n := c.Siblings * c.Eta; n > CountLimit {
		errs = append(errs, fmt.Errorf("%w: Eta*Siblings is %d, limit %d", ErrConfig, n, CountLimit))
	}
	number("GroupPerBucket", &c.GroupPerBucket, 2, CountLimit)
	number("GroupPerTable", &c.GroupPerTable, 10, contactLimit)
	number("GroupPerSiblings", &c.GroupPerSiblings, 2, CountLimit)
	number("GroupPerReply", &c.GroupPerReply, 2, CountLimit)
	span("PingLeast", &c.PingLeast, 30*time.Second)
	span("PingMost", &c.PingMost, max(10*time.Minute, c.PingLeast))
	span("RefreshLeast", &c.RefreshLeast, 5*time.Minute)
	span("RefreshMost", &c.RefreshMost, max(10*time.Minute, c.RefreshLeast))
	span("BucketIdle", &c.BucketIdle, 40*time.Minute)
	span("LookupTimeout", &c.LookupTimeout, 10*time.Second)
	if c.PingLeast > c.PingMost || c.RefreshLeast > c.RefreshMost {
		errs = append(errs, fmt.Errorf("%w: a least span is above its most", ErrConfig))
	}
	return c, errors.Join(errs...)
}

// spanMost bounds configured spans to what the coarse clock of the table can hold with years to spare.
const spanMost = 365 * 24 * time.Hour
