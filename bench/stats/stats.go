package stats

import (
	"math"
	"slices"
)

// Median returns the middle of values, the mean of the middle two of an even number; 0 of none.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// exactLimit is up to how many values without ties the distribution of U is counted out. 20 on each side take 20*20*400
// additions; from there on the normal approximation is off by less than a thousandth.
const exactLimit = 20

// MannWhitney returns the probability of seeing two sets so far apart, or farther, if both came from one distribution (Mann and
// Whitney 1947, two-sided). Exact for small sets without ties, else by the normal approximation with both corrections. 1 if a
// set is empty.
func MannWhitney(a, b []float64) (p float64) {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	u, ties := uOf(a, b)
	n, m := float64(len(a)), float64(len(b))
	if ties == 0 && len(a) <= exactLimit && len(b) <= exactLimit {
		return exactP(u, len(a), len(b))
	}
	all := n + m
	variance := n * m / 12 * (all + 1 - ties/(all*(all-1)))
	return normalP(u-n*m/2, variance)
}

// uOf counts the pairs in which a is the larger, ties by half, and sums t^3 - t over groups of t equal values.
func uOf(a, b []float64) (u, ties float64) {
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	return u, tiesOf(slices.Concat(a, b))
}

func tiesOf(values []float64) (ties float64) {
	slices.Sort(values)
	for i := 0; i < len(values); {
		j := i + 1
		for j < len(values) && values[j] == values[i] {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	return ties
}

// exactP counts in how many of all orders of n and m values U is as far from its middle as u.
func exactP(u float64, n, m int) float64 {
	ways := waysOf(n, m)
	far := math.Min(u, float64(n*m)-u)
	var tail, all float64
	for k, w := range ways {
		all += w
		if float64(k) <= far {
			tail += w
		}
	}
	return math.Min(2*tail/all, 1)
}

// waysOf returns in how many orders each value of U comes about: f(n, m, u) = f(n-1, m, u-m) + f(n, m-1, u).
func waysOf(n, m int) []float64 {
	table := make([][]float64, n+1) // by n, for the current m
	for i := range table {
		table[i] = make([]float64, n*m+1)
		table[i][0] = 1 // m = 0
	}
	for j := 1; j <= m; j++ {
		for i := 1; i <= n; i++ {
			// table[i] still holds f(i, j-1); table[i-1] already f(i-1, j).
			for u := n * m; u >= j; u-- {
				table[i][u] += table[i-1][u-j]
			}
		}
	}
	return table[n]
}

// normalP returns the two-sided probability of a deviation, corrected for steps of one.
func normalP(deviation, variance float64) float64 {
	if variance <= 0 {
		return 1
	}
	z := math.Max(math.Abs(deviation)-0.5, 0) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// Trend looks for values, evenly spaced in time, that creep up or down. slope is the median slope between any two of them
// (Sen 1968), for one step; p the probability of so much order if there were none (Mann 1945, Kendall 1975).
func Trend(values []float64) (slope, p float64) {
	n := len(values)
	var slopes []float64
	var s float64
	for i := range values {
		for j := i + 1; j < n; j++ {
			d := values[j] - values[i]
			slopes = append(slopes, d/float64(j-i))
			switch {
			case d > 0:
				s++
			case d < 0:
				s--
			}
		}
	}
	var ties float64 // sum of t(t-1)(2t+5) over groups of t equal values
	sorted := slices.Sorted(slices.Values(values))
	for i := 0; i < n; {
		j := i + 1
		for j < n && sorted[j] == sorted[i] {
			j++
		}
		t := float64(j - i)
		ties += t * (t - 1) * (2*t + 5)
		i = j
	}
	variance := (float64(n)*float64(n-1)*float64(2*n+5) - ties) / 18
	z := math.Max(math.Abs(s)-1, 0)
	if variance <= 0 || n < 3 {
		return Median(slopes), 1
	}
	return Median(slopes), math.Erfc(z / math.Sqrt(variance) / math.Sqrt2)
}
