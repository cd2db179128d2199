package main

import (
	"bytes"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// colours of a terminal, as ECMA-48 numbers them.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

// coloured are the lines that stand out, by their first word.
var coloured = map[string]string{"note": yellow, "note:": yellow, "drift": red, "worse": red, "better": green, "not": red, "interrupted": yellow, "unsent": yellow}

// wantsColour reports whether a file is a terminal whose user has not asked for plain text (no-color.org).
func wantsColour(file *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// painter colours whole lines on their way to a terminal. It belongs to one goroutine.
type painter struct {
	to   io.Writer
	line []byte // begun and not ended
}

// Write implements io.Writer.
func (p *painter) Write(b []byte) (int, error) {
	p.line = append(p.line, b...)
	for {
		end := bytes.IndexByte(p.line, '\n')
		if end < 0 {
			return len(b), nil
		}
		if _, err := io.WriteString(p.to, paint(string(p.line[:end]))+"\n"); err != nil {
			return 0, err
		}
		p.line = p.line[end+1:]
	}
}

// flush writes a line that was never ended.
func (p *painter) flush() {
	_, _ = p.to.Write(p.line) // a terminal that is gone is not worth more words
	p.line = nil
}

func paint(line string) string {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return line
	}
	colour := coloured[fields[0]]
	if fields[0] == "errors" && fields[len(fields)-1] != "none" {
		colour = red
	}
	if colour == "" {
		return line
	}
	return colour + line + plain
}
