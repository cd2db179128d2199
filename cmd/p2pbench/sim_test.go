package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The simulations as people meet them; see testdata/sim.
func TestSimScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/sim",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"same-figures": sameFigures},
	})
}

// sameFigures is the script command "same-figures FILE FILE": both hold one run, with the same trace and
// everything else the same but what the machine took for it.
func sameFigures(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same-figures FILE FILE")
	}
	var runs [2]map[string]any
	for i, name := range args {
		if err := json.Unmarshal([]byte(ts.ReadFile(name)), &runs[i]); err != nil {
			ts.Fatalf("%s: %v", name, err)
		}
		for _, key := range []string{"events_per_second", "heap_bytes", "seconds"} {
			if v, _ := runs[i][key].(float64); v <= 0 {
				ts.Fatalf("%s: %s is %v", name, key, runs[i][key])
			}
			delete(runs[i], key)
		}
	}
	a, _ := json.Marshal(runs[0])
	b, _ := json.Marshal(runs[1])
	if !bytes.Equal(a, b) || runs[0]["trace_hash"] == nil {
		ts.Fatalf("%s\n%s", a, b)
	}
}

// TestPicture: a picture is XML, its points lie where they should, and text is text.
func TestPicture(t *testing.T) {
	p := &picture{title: "a < b & c", yMost: 2}
	p.add(curve{name: "line", points: []point{{0, 0}, {1, 2}}}, curve{dashed: true, points: []point{{.5, 1}}})
	p.add(curve{name: "nothing"})
	var b bytes.Buffer
	if err := p.draw(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a &lt; b &amp; c", `d="M60.0 370.0L610.0 44.0"`, "stroke-dasharray", ">line<"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), ">nothing<") {
		t.Error("a curve without points has a name")
	}
	dec := xml.NewDecoder(&b)
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
