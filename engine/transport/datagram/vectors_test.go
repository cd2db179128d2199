package datagram

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorFile = "testdata/datagrams.txt"

// spoken returns the first datagram of each kind in a conversation whose randomness is fixed: a link opens, and moves.
func spoken(t *testing.T) map[Kind][]byte {
	w := newTown(t)
	first := map[Kind][]byte{}
	w.post = func(l *letter) bool {
		if k := Kind(l.b[0]); first[k] == nil {
			first[k] = bytes.Clone(l.b)
		}
		return true
	}
	a, b := w.house(atA, Config{}), w.house(atB, Config{})
	la, _ := w.connect(a, b)
	delete(w.houses, atA)
	a.at, w.houses[atC] = atC, a
	write(t, la, "moved")
	w.pass(2 * time.Second)
	return first
}

// packed is b in hex, with runs of zeros as "00*N".
func packed(b []byte) string {
	zeros := regexp.MustCompile(`(00){9,}`)
	return zeros.ReplaceAllStringFunc(hex.EncodeToString(b), func(s string) string { return fmt.Sprintf(" 00*%d ", len(s)/2) })
}

func unpacked(t *testing.T, s string) []byte {
	t.Helper()
	var b []byte
	for _, part := range strings.Fields(s) {
		if value, n, ok := strings.Cut(part, "*"); ok {
			count, err := strconv.Atoi(n)
			if err != nil || value != "00" {
				t.Fatalf("vector %q", s)
			}
			b = append(b, make([]byte, count)...)
			continue
		}
		more, err := hex.DecodeString(part)
		if err != nil {
			t.Fatalf("vector %q: %v", s, err)
		}
		b = append(b, more...)
	}
	return b
}

// Each vector is what the code says today, and is read as what it is; bad ones are refused.
func TestVectors(t *testing.T) {
	first := spoken(t)
	if *update {
		var out strings.Builder
		fmt.Fprintln(&out, "# One datagram of each kind, good, and what is no datagram, bad. Hex; 00*N is N zeros. Written by go test -update.")
		for k := Knock; k <= Probed; k++ {
			fmt.Fprintf(&out, "good %v %s\n", k, strings.TrimSpace(packed(first[k])))
			short := first[k][:len(first[k])-1]
			switch k {
			case Data:
				short = first[k][:HeaderSize-1]
			case Open:
				short = first[k][:openHead-1]
			case Answer:
				short = first[k][:answerHead-1]
			}
			fmt.Fprintf(&out, "bad %v-cut %s\n", k, strings.TrimSpace(packed(short)))
		}
		fmt.Fprintf(&out, "bad kind-0 %s\nbad kind-8 %s\n", packed(make([]byte, HeaderSize+8)), packed(append([]byte{8}, make([]byte, 40)...)))
		if err := os.WriteFile(vectorFile, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		b := unpacked(t, fields[2])
		k, _, ok := ParseHeader(b)
		switch fields[0] {
		case "good":
			good++
			if !ok || k.String() != fields[1] || !bytes.Equal(b, first[k]) {
				t.Errorf("%s: kind %v, %v; it differs from what is said today: %v", fields[1], k, ok, !bytes.Equal(b, first[k]))
			}
		case "bad":
			bad++
			if ok {
				t.Errorf("%s was taken for a %v", fields[1], k)
			}
		}
	}
	if good != 7 || bad < good {
		t.Errorf("%d good vectors and %d bad ones", good, bad)
	}
}

const page = "../../../docs/wire-datagrams.md"

// The page about these datagrams has the sizes and the limits that the code has.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `?([A-Za-z]+)`? \\| ([0-9,]+)(?: [a-z]+)? \\|").FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = strings.ReplaceAll(m[2], ",", "")
	}
	for name, want := range map[string]int{
		"Knock": int(Knock), "Cookie": int(Cookie), "Open": int(Open), "Answer": int(Answer), "Data": int(Data), "Probe": int(Probe), "Probed": int(Probed),
		"HeaderSize": HeaderSize, "BaseSize": BaseSize, "DefaultSize": DefaultSize, "SizeLimit": SizeLimit, "CookieLife": int(CookieLife / time.Second),
		"knockEvery": int(knockEvery / time.Millisecond), "knockTries": knockTries, "probeEvery": int(probeEvery / time.Millisecond), "probeTries": probeTries,
		"sizeEvery": int(sizeEvery / time.Second), "sizeTries": sizeTries, "sizeAfter": sizeAfter, "usedLimit": usedLimit, "LinkLimit": LinkLimit,
		"cookieEvery": int(cookieEvery / time.Microsecond), "cookieBurst": cookieBurst,
	} {
		if rows[name] != strconv.Itoa(want) {
			t.Errorf("%s is %d, the page says %q", name, want, rows[name])
		}
	}
	for k, b := range spoken(t) {
		if !strings.Contains(string(text), "\n"+strings.TrimSpace(packed(b))+"\n") {
			t.Errorf("the page lacks the vector of %v: %s", k, strings.TrimSpace(packed(b)))
		}
	}
}
