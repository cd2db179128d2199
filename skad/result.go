package skad

import "time"

// densityLimit is how many times denser than the network the contacts around a key may be before the result is called
// suspicious. 4: in an honest network with s=16 that is P(Poisson(4) >= 16), 6 in a million; somebody who puts 16 nodes
// of his own around a key of a 10,000 node network comes to 26 times.
const densityLimit = 4

// A Result is what a lookup has found. It belongs to whoever takes the action.
type Result struct {
	Lookup LookupID
	Key    ID

	// Closest holds the contacts closest to the key that have answered, closest first, at most as many as were wanted,
	// and of one IP group at most Config.GroupPerSiblings. The node itself is never among them.
	Closest []*Contact
	Found   *Contact // the node whose ID is the key, if it has answered or, with StopAtKey, if its record has turned up

	Paths   []PathResult // as many as there were contacts to start from, at most as many as were wanted
	PathsOK int          // how many of them came to the neighbourhood of the key on their own

	// Density is how many times denser the contacts of Closest lie than the nodes around ourselves; 0 if that cannot be
	// said. DensityOK is false if it is more than 4: then somebody may have surrounded the key. It is a statistical
	// test, and one who spreads his nodes evades it.
	Density   float64
	DensityOK bool

	Asked    int // questions sent
	Failed   int // of them unanswered
	Hops     int // contacts asked one after the other to reach the closest one, itself included
	Took     time.Duration
	TimedOut bool // cut off by Config.LookupTimeout
}

// A PathResult is what became of one path.
type PathResult struct {
	Asked []*Contact // in the order of the questions
	OK    bool       // one of the contacts in Result.Closest answered on this path
}

// result sums up a lookup.
func (c *Core) result(l *lookup) *Result {
	r := &Result{Lookup: l.id, Key: l.key, Found: l.found, Asked: len(l.claimed) + l.again, Failed: l.failed, Took: c.now - l.beganAt, TimedOut: l.timedOut}
	for _, cand := range l.final.list {
		if cand.state != live || len(r.Closest) == l.opt.Count || crowd(r.Closest, cand.contact) >= c.cfg.GroupPerSiblings {
			continue
		}
		if len(r.Closest) == 0 {
			r.Hops = int(cand.hops)
		}
		if cand.contact.ID == l.key {
			r.Found = cand.contact
		}
		r.Closest = append(r.Closest, cand.contact)
	}
	r.Paths = make([]PathResult, len(l.paths))
	for i := range l.paths {
		p := &r.Paths[i]
		if p.Asked = l.paths[i].asked; p.reached(l, r.Closest) {
			p.OK = true
			r.PathsOK++
		}
	}
	r.Density = c.density(l.key, r.Closest)
	r.DensityOK = r.Density <= densityLimit
	return r
}

// reached reports whether a contact of the path that has answered is among the closest.
func (p *PathResult) reached(l *lookup, closest []*Contact) bool {
	for _, d := range closest {
		for _, asked := range p.Asked {
			if asked.ID == d.ID {
				return true
			}
		}
	}
	return false
}

// estimateLeast is how many siblings an estimate needs: with five its standard deviation is about half of it.
const estimateLeast = 5

// NetworkSize estimates how many nodes the network has, from how close the siblings are; 0 if there are too few to
// tell. With 48 siblings the standard deviation is a seventh.
func (c *Core) NetworkSize() float64 {
	if c.siblings < estimateLeast {
		return 0
	}
	last := c.slots[c.members[c.farthestSibling()]].contact
	// The n-th of N uniform points lies at n/N on average; (n-1)/distance is the unbiased estimate of N.
	return float64(c.siblings-1) / max(last.ID.Xor(c.self.ID).fraction(), 1e-70)
}

// density compares how many of the closest lie within the distance of the last one with how many the network should
// have there.
func (c *Core) density(key ID, closest []*Contact) float64 {
	size := c.NetworkSize()
	if n := len(closest); size > 0 && n >= estimateLeast {
		return float64(n) / (size * max(closest[n-1].ID.Xor(key).fraction(), 1e-70))
	}
	return 0
}
