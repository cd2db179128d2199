package handshake

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/carrier-p2p/carrier/internal/vectors"
)

// docs/handshake.md names every error there is and none that there is not, and its figures are the constants.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile("../docs/handshake.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	source, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t(Err\w+) += `).FindAllStringSubmatch(string(source), -1) {
		exists[m[1]] = true
		row := strings.Contains(page, "\n| `"+m[1]+"` |")
		if after := m[1] == "ErrOpen" || m[1] == "ErrNonceEnd"; !row && !after || !strings.Contains(page, "`"+m[1]+"`") {
			t.Errorf("%s has no row under Failures", m[1])
		}
	}
	if len(exists) != 13 {
		t.Errorf("errors.go has %d errors, this test knows 13", len(exists))
	}
	for _, m := range regexp.MustCompile("`(Err\\w+)`").FindAllStringSubmatch(page, -1) {
		if !exists[m[1]] {
			t.Errorf("the page speaks of %s, which does not exist", m[1])
		}
	}
	first := vectors.Read(t, goldenPath).Blocks[0].Value
	if size := len(first["message_2"])/2 - lengthSize; size < 280 || size > 320 {
		t.Errorf("message 2 has %d bytes, the page says ~300", size)
	}
	if size := len(first["message_3"])/2 - lengthSize; size < 230 || size > 270 {
		t.Errorf("message 3 has %d bytes, the page says ~250", size)
	}
	if size := unsafe.Sizeof(Machine{}); size > 160 {
		t.Errorf("a machine has %d bytes, the page says 160", size)
	}
	for _, want := range []string{
		fmt.Sprintf("%d bytes       │", messageOne),
		"above 4,096 bytes", "every 1,048,576 records", fmt.Sprintf("a window of %d", WindowSize), fmt.Sprintf("deadline, %.0f s", DefaultTimeout.Seconds()),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if MessageLimit != 4096 || RekeyEvery != 1048576 {
		t.Errorf("MessageLimit %d, RekeyEvery %d: the page says 4,096 and 1,048,576", MessageLimit, RekeyEvery)
	}
}
