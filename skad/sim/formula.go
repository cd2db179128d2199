package sim

import "math"

// PathLaw is the success law of disjoint paths: the probability that at least one of d paths meets no
// adversary, who has the share m of the nodes. lengths is how many paths asked 0, 1, 2, ... contacts before
// they knew the target, counted in a network without adversary over all paths of all lookups with the same d.
//
//	P = sum over i of h(i) * (1 - (1 - (1-m)^i)^d)
func PathLaw(lengths []int, m float64, d int) float64 {
	total, p := 0, 0.
	for i, n := range lengths {
		total += n
		p += float64(n) * (1 - math.Pow(1-math.Pow(1-m, float64(i)), float64(d)))
	}
	if total == 0 {
		return 0
	}
	return p / float64(total)
}

// ContactsLaw is how many contacts a lookup asks one after the other until it has reached its target, in a
// network of n nodes with k contacts to a bucket: each is closer to the target by as many bits as the best of
// k random nodes in the same half of the space.
func ContactsLaw(n, k int) float64 {
	gained := 0.
	for j := range 64 {
		gained += 1 - math.Pow(1-math.Ldexp(1, -j), float64(k))
	}
	return math.Log2(float64(n)) / gained
}
