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

func open(t *testing.T, ctx context.Context, name string, join ...string) *terminal {
	t.Helper()
	in, typed := io.Pipe()
	shown, out := io.Pipe()
	term := &terminal{t, typed, bufio.NewScanner(shown), make(chan error, 1)}
	cfg := node.Config{Listen: []string{"tcp://127.0.0.1:0"}, Puzzle: &identity.Puzzle{}, WeakPuzzle: true}
	go func() {
		term.ended <- chat(ctx, cfg, name, join, in, out)
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

// address returns what others join with.
func (term *terminal) address() string {
	_, target, _ := strings.Cut(term.see("others join with"), "-name you ")
	return target
}

// TestChat: four terminals, each joined through the one before, hear what any of them says, once, and can talk to one
// whom they have never dialled; the conversation goes on when the one through whom they joined has left.
func TestChat(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	names := []string{"ann", "bob", "cleo", "dan"}
	var all []*terminal
	for i, name := range names {
		var join []string
		if i > 0 {
			join = []string{all[i-1].address()}
		}
		all = append(all, open(t, ctx, name, join...))
	}
	all[3].address() // it has joined
	ann, bob, cleo, dan := all[0], all[1], all[2], all[3]

	ann.say("hello, all")
	for i, term := range all[1:] {
		if line := term.see("hello, all"); !strings.HasPrefix(line, "ann·") {
			t.Errorf("%s heard %q", names[i+1], line)
		}
	}
	dan.say("hello, Ann")
	ann.see("hello, Ann")
	bob.see("hello, Ann")
	cleo.see("hello, Ann")

	ann.say("/to dan psst")
	if line := dan.see("psst"); !strings.Contains(line, "(to you)") {
		t.Errorf("dan heard %q", line)
	}
	ann.see("dan has got it")
	ann.say("/to bob are you there?")
	ann.see("bob has not spoken yet")
	ann.say("/to dan")
	ann.see("/to NAME TEXT") // and not to everybody
	ann.say("/who")
	ann.see("* dan·")

	for _, leaver := range []*terminal{bob, cleo} {
		leaver.typed.Close()
		if err := leaver.hearTheRest(); err != nil {
			t.Errorf("a chat ended with %v", err)
		}
	}
	dan.say("only we are left\x1b[2J")
	if line := ann.see("only we are left"); strings.ContainsRune(line, 0x1b) {
		t.Errorf("a stranger controls the terminal: %q", line)
	}
	for _, term := range []*terminal{ann, dan} {
		term.typed.Close()
		if err := term.hearTheRest(); err != nil {
			t.Errorf("a chat ended with %v", err)
		}
	}
}

// TestNobodyThere: who tries to join through nobody is told so, and can have enough.
func TestNobodyThere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	term := open(t, ctx, "ann", "tcp://127.0.0.1:1")
	term.see("nobody answers at tcp://127.0.0.1:1")
	cancel()
	if err := term.hearTheRest(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestChatRefuses: an address that is none is an error, not a chat with nobody.
func TestChatRefuses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	term := open(t, ctx, "ann", "nowhere")
	if err := term.hearTheRest(); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("joining %q: %v", "nowhere", err)
	}
}
