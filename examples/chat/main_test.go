package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A terminal is one side of a chat: what is typed goes in, what is shown is waited for.
type terminal struct {
	t     *testing.T
	typed *io.PipeWriter
	shown *bufio.Scanner
	ended chan error
}

func open(t *testing.T, ctx context.Context, join ...string) *terminal {
	t.Helper()
	in, typed := io.Pipe()
	shown, out := io.Pipe()
	term := &terminal{t, typed, bufio.NewScanner(shown), make(chan error, 1)}
	cfg := node.Config{Listen: []string{"tcp://127.0.0.1:0"}, Puzzle: &identity.Puzzle{}, WeakPuzzle: true}
	go func() {
		term.ended <- chat(ctx, cfg, join, in, out)
		out.Close()
	}()
	return term
}

// see returns the next line shown that has these words in it.
func (term *terminal) see(words string) string {
	term.t.Helper()
	for term.shown.Scan() {
		if strings.Contains(term.shown.Text(), words) {
			return term.shown.Text()
		}
	}
	term.t.Fatalf("the terminal closed before it showed %q: %v", words, <-term.ended)
	return ""
}

func (term *terminal) say(line string) {
	term.t.Helper()
	if _, err := io.WriteString(term.typed, line+"\n"); err != nil {
		term.t.Fatal(err)
	}
}

// hearTheRest reads on, so that nobody who still prints has to wait, and returns how the chat ended.
func (term *terminal) hearTheRest() error {
	for term.shown.Scan() {
	}
	return <-term.ended
}

// TestChat lets two terminals talk to each other both ways, and one of them leave.
func TestChat(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	alice := open(t, ctx)
	_, target, _ := strings.Cut(alice.see("others join with: "), "/chat ")
	bob := open(t, ctx, target)
	bob.see("others join with")
	bob.see("is here")
	alice.see("is here")

	bob.say("hello,\x1b[2J\a Alice")
	alice.see(": hello,[2J Alice") // and her screen is as it was
	alice.say("hello, Bob")
	bob.see(": hello, Bob")

	bob.typed.Close()
	if err := bob.hearTheRest(); err != nil {
		t.Errorf("Bob's chat ended with %v", err)
	}
	alice.see("has left")
	alice.typed.Close()
	if err := alice.hearTheRest(); err != nil {
		t.Errorf("Alice's chat ended with %v", err)
	}
}

// TestChatRefuses: an address that is none is an error, not a chat with nobody.
func TestChatRefuses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	term := open(t, ctx, "nowhere")
	if err := term.hearTheRest(); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("joining %q: %v", "nowhere", err)
	}
}
