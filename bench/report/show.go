package report

import (
	"fmt"
	"math"
	"strconv"
)

// Short shows rates: 3 digits and a k or M.
func Short(v float64) string {
	switch {
	case math.Abs(v) >= 999.5e3:
		return digits(v/1e6) + "M"
	case math.Abs(v) >= 9995:
		return digits(v/1e3) + "k"
	}
	return Plain(v)
}

// Plain shows a number with about 3 digits that matter.
func Plain(v float64) string {
	if math.Abs(v) >= 999.5 {
		return fmt.Sprintf("%.0f", v)
	}
	return digits(v)
}

func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.995:
		return fmt.Sprintf("%.2f", v)
	case a == 0:
		return "0"
	}
	return fmt.Sprintf("%.3f", v)
}

// Megabytes shows a number of bytes in millions.
func Megabytes(v float64) string { return Plain(v / 1e6) }

// Bytes shows a size as people type it: 64, 1KiB, 1MiB.
func Bytes(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	default:
		return strconv.Itoa(n)
	}
}

// Plural shows a number of things.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
