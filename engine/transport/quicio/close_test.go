package quicio

import (
	"context"
	"errors"
	"io"
	"testing"
)

// Who closes a link is told nil, though the other side may answer its end before Close has come to say so:
// here Close is held up for as long as that takes. The other side is told io.EOF.
func TestCloseOvertaken(t *testing.T) {
	_, v, at := serve(t, Config{Loops: 1})
	tr := withKey(t, Config{Loops: 1})
	w, _ := started(t, tr)
	tr.Dial(context.Background(), at, 1)
	w.until(t, "the link", func() bool { return len(w.links) == 1 })
	v.until(t, "its other end", func() bool { return len(v.links) == 1 })
	near := w.links[0].(*link)
	if near.closing.Swap(true) {
		t.Fatal("it is closed")
	}
	near.out.end() // so far Close
	closed := func(of *watcher) (err error) {
		of.until(t, "the end", func() bool {
			var ok bool
			err, ok = of.closed[of.links[0]]
			return ok
		})
		return err
	}
	if err := closed(w); err != nil {
		t.Errorf("who closed was told %v", err)
	}
	if err := closed(v); !errors.Is(err, io.EOF) {
		t.Errorf("the other side was told %v, want io.EOF", err)
	}
}
