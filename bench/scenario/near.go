package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// A place is a part of a file, and the keys that it has.
type place struct {
	name string
	keys []string
}

var (
	head = place{"before the first scenario", []string{"title", "driver", "against", "rounds", "duration", "warmup", "scenario"}}
	body = place{"in a scenario", []string{"conns", "inflight", "size", "sizes", "answer", "bulk", "direction", "duration", "warmup",
		"rate", "stage", "arrival", "expect", "driver", "against", "scenario"}}
)

// noKey says that there is no such key in this place, and which may have been meant.
func noKey(key string, here, there place) error {
	if slices.Contains(there.keys, key) {
		return fmt.Errorf("no key %q %s: it belongs %s", key, here.name, there.name)
	}
	if meant := nearest(key, here.keys); meant != "" {
		return fmt.Errorf("no key %q %s: did you mean %q?", key, here.name, meant)
	}
	return fmt.Errorf("no key %q %s: want one of %s", key, here.name, strings.Join(here.keys, ", "))
}

// nearest is the word that typing errors may have made into what was typed, "" if that is unlikely of any.
func nearest(typed string, words []string) (nearest string) {
	least := max(1, min(len(typed)/3, 3)) + 1
	for _, w := range words {
		if d := distance(typed, w); d < least {
			nearest, least = w, d
		}
	}
	return nearest
}

// distance is how many letters were left out, put in, replaced, or changed places with their neighbour: optimal string alignment.
func distance(a, b string) int {
	if len(a) > wordLimit || len(b) > wordLimit {
		return wordLimit
	}
	var d [wordLimit + 1][wordLimit + 1]int
	for i := range len(a) + 1 {
		d[i][0] = i
	}
	for j := range len(b) + 1 {
		d[0][j] = j
	}
	for i := range len(a) {
		for j := range len(b) {
			replaced := d[i][j]
			if a[i] != b[j] {
				replaced++
			}
			d[i+1][j+1] = min(replaced, d[i][j+1]+1, d[i+1][j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d[i+1][j+1] = min(d[i+1][j+1], d[i-1][j-1]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// wordLimit bounds the words that are compared. 16: the longest key has nine letters.
const wordLimit = 16
