package skad

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDocumentedDefaults: every row of the tables of defaults in docs/skad.md is what the code does, and every field
// has a row.
func TestDocumentedDefaults(t *testing.T) {
	text, err := os.ReadFile("../docs/skad.md")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Config{Verifier: &fakes{}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	opt, err := LookupOptions{}.withDefaults(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, config, _ := strings.Cut(string(text), "Of `Config`:")
	config, options, _ := strings.Cut(config, "Of `LookupOptions`:")
	for _, tt := range []struct {
		name    string
		table   string
		value   reflect.Value
		without string // fields that have no default
	}{{"Config", config, reflect.ValueOf(cfg), "Verifier Scope"}, {"LookupOptions", options, reflect.ValueOf(opt), "StopAtKey Unfinished From"}} {
		rows := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^\| (\w+) \| (\w+) \|`).FindAllStringSubmatch(tt.table, -1) {
			rows[m[1]] = m[2]
		}
		for i := range tt.value.NumField() {
			name := tt.value.Type().Field(i).Name
			if strings.Contains(tt.without, name) {
				continue
			}
			want := fmt.Sprint(tt.value.Field(i).Interface())
			got := rows[name]
			if d, err := time.ParseDuration(got); err == nil && got != "0" {
				got = d.String()
			}
			if got != want {
				t.Errorf("%s.%s: the document says %q, the code %q", tt.name, name, rows[name], want)
			}
		}
	}
}
