package framing

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// An explainer writes the lines of a Dump and remembers how far the bytes made sense. It is the explaining twin of the
// parsers: it asks them for every verdict, so that it cannot disagree with them, and adds names, units and places.
type explainer struct {
	b    []byte
	text strings.Builder
	at   int   // everything before is explained
	err  error // what is wrong with the item that begins at at; nothing is read after it
	seen int   // where in that item it is
}

// better reports whether e makes more sense of the bytes than other does.
func (e *explainer) better(other *explainer) bool {
	switch {
	case e.at != other.at:
		return e.at > other.at
	case (e.err == nil) != (other.err == nil):
		return e.err == nil
	}
	return e.seen > other.seen
}

// item opens an item (a message, a record, a frame) at offset off.
func (e *explainer) item(off int, format string, args ...any) {
	fmt.Fprintf(&e.text, "%04x  %s\n", off, fmt.Sprintf(format, args...))
}

// field explains size bytes at off. What is not there yet is marked with dots.
func (e *explainer) field(off, size int, name, format string, args ...any) {
	here := e.b[min(off, len(e.b)):min(off+size, len(e.b))]
	fmt.Fprintf(&e.text, "      %04x  %-25s  %-8s  %s\n", off, hexOf(here, size), name, fmt.Sprintf(format, args...))
}

// wrong ends the reading: the byte at off is the peer's fault. why says more than err where there is more to say.
func (e *explainer) wrong(off int, err error, why string) {
	e.err, e.seen = err, off
	if why != "" {
		why = ": " + why
	}
	fmt.Fprintf(&e.text, "      WRONG: %v%s\n      the sender's fault; the connection ends here\n", err, why)
}

// end says what is with the bytes behind the last item.
func (e *explainer) end() {
	left := len(e.b) - e.at
	switch {
	case left == 0:
	case e.err != nil:
		fmt.Fprintf(&e.text, "%04x  %s from here on, none of which counts\n", e.at, plural(left, "byte"))
	default:
		fmt.Fprintf(&e.text, "%04x  %s of something not whole yet: a receiver waits\n", e.at, plural(left, "byte"))
	}
}

// hexShown is how many bytes a line shows: eight are an address, a counter or a header.
const hexShown = 8

// hexOf prints the first bytes of b, which should have been size; dots stand for what is not shown or not there.
func hexOf(b []byte, size int) string {
	shown := b[:min(len(b), hexShown)]
	s := fmt.Sprintf("% x", shown)
	switch {
	case len(b) < size && len(b) <= hexShown:
		return strings.TrimSpace(s + " ..")
	case len(b) > hexShown:
		return s[:len(s)-3] + " .."
	}
	return s
}

// textOf prints b for people: as text if it is text, else by its length.
func textOf(b []byte) string {
	const shown = 64
	cut := b[:min(len(b), shown)]
	for _, r := range string(cut) {
		if r == utf8.RuneError || r < ' ' || r == 0x7f {
			return plural(len(b), "byte")
		}
	}
	switch {
	case len(b) == 0:
		return "empty"
	case len(b) > shown:
		return fmt.Sprintf("%q .. (%s)", cut, plural(len(b), "byte"))
	}
	return fmt.Sprintf("%q", cut)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// bytesOf writes a size with its unit: "64 bytes", "16 KiB", "1 MiB".
func bytesOf(n uint64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	case n == 1:
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}
