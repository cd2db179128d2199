package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
)

// progress shows how far a run is: on a terminal one line that is written over, elsewhere a plain line now and then.
type progress struct {
	out   *os.File
	quiet bool
	live  bool
	name  string
	every time.Duration
	shown int // columns of the live line
}

func newProgress(out *os.File, quiet bool, label, scenario, driver string) *progress {
	p := &progress{out: out, quiet: quiet, live: term.IsTerminal(int(out.Fd())), every: 2 * time.Second}
	if p.live {
		p.every = 200 * time.Millisecond
	}
	p.name = strings.TrimSpace(label + " " + scenario + " " + driver)
	return p
}

func (p *progress) tick(t load.Tick) {
	if p.quiet {
		return
	}
	line := progressLine(p.name, t)
	if !p.live {
		fmt.Fprintln(p.out, line)
		return
	}
	p.shown = overwrite(p.out, line, p.shown)
}

// overwrite writes a line on a terminal over one of so many columns, and returns how many it has itself.
func overwrite(out *os.File, line string, shown int) int {
	// The width is asked for each time, since windows change; a line that wrapped could not be written over.
	if columns, _, err := term.GetSize(int(out.Fd())); err == nil {
		line = fit(line, columns-1)
		shown = min(shown, max(columns-1, 0))
	}
	// Blanks, too, over what was there: they do where there is no erasing. A window that has become wider may
	// show more than was written.
	fmt.Fprintf(out, "\r%-*s%s", shown, line, eraseRight())
	return len(line)
}

// eraseRight is the sequence that takes away what is right of the cursor; "" on a terminal that may not know it.
func eraseRight() string {
	if kind := os.Getenv("TERM"); kind == "" || kind == "dumb" {
		return ""
	}
	return "\x1b[K"
}

// fit cuts a line to so many columns.
func fit(line string, columns int) string {
	if len(line) <= columns {
		return line
	}
	return line[:max(columns, 0)]
}

// clear takes the live line away.
func (p *progress) clear() {
	if p.shown > 0 {
		overwrite(p.out, "", p.shown)
		fmt.Fprint(p.out, "\r"+eraseRight())
		p.shown = 0
	}
}

func progressLine(name string, t load.Tick) string {
	line := fmt.Sprintf("%s: %s %.1fs", name, t.Part, t.Elapsed.Seconds())
	if t.Messages > 0 && t.Elapsed > 0 {
		line += fmt.Sprintf(", %s (%s/s)", report.Short(float64(t.Messages)), report.Short(float64(t.Messages)/t.Elapsed.Seconds()))
	}
	return line
}
