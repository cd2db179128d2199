package discovery

import (
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// DoUnwoken is Do without waking the task: f waits in the inbox for whatever comes next.
func (c *Component) DoUnwoken(f func(now time.Duration, core *skad.Core)) error { return c.inbox.do(f) }
