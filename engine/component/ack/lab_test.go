package ack_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// helpers run inside the lab; see TestMain.
var helpers = map[string]lab.Helper{"take": labTake, "send": labSend}

func labNode(listen ...string) (*engine.Network, error) {
	return node.New(node.Config{Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
		Ack: ack.Config{Retry: 500 * time.Millisecond}, Reconnect: &backoff.Config{First: 100 * time.Millisecond, Max: 2 * time.Second}})
}

// labTake takes messages. Asked by a line, it says how many different ones have come and how many were handed over again.
func labTake(_ context.Context, lines <-chan string, addr ...string) error {
	n, err := labNode("tcp://" + addr[0])
	if err != nil {
		return err
	}
	book := &ledger{met: map[string]bool{}, seen: map[string]int{}}
	if err := errors.Join(n.AddComponent(book), n.Start(context.Background())); err != nil {
		return err
	}
	fmt.Println("ready", n.Target())
	for range lines {
		book.mu.Lock()
		again := 0
		for _, times := range book.seen {
			again += times - 1
		}
		fmt.Println("taken", len(book.seen), again)
		book.mu.Unlock()
	}
	return n.Shutdown(context.Background())
}

// labSend sends so many messages, says how that went, and how often it had to send again.
func labSend(ctx context.Context, _ <-chan string, args ...string) error {
	to, err := engine.ParseTarget(args[0])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	n, err := labNode()
	if err == nil {
		err = n.Start(context.Background())
	}
	if err != nil {
		return err
	}
	again, _ := engine.ComponentOf[*backoff.Component](n)
	if err := again.Enable(to); err != nil {
		return err
	}
	acks, _ := engine.ComponentOf[*ack.Component](n)
	outcomes := make(chan error, 32)
	fmt.Println("began")
	for from := 0; from < count; from += cap(outcomes) { // so many under way at a time
		for i := range min(cap(outcomes), count-from) {
			go func() { outcomes <- acks.SendAckRaw(ctx, to.ID, opNote, numbered(uint32(from+i), 200)) }()
		}
		for range min(cap(outcomes), count-from) {
			if err := <-outcomes; err != nil {
				return err
			}
		}
	}
	fmt.Println("done", acks.Stats().Resent > 0)
	<-ctx.Done()
	return n.Shutdown(context.Background())
}

// Behind a home router, with a fifth of all packets lost, partitions of some seconds, and
// a router that forgets its flows: every message is taken, and none twice.
func TestThroughFaults(t *testing.T) {
	const count = 600
	l := lab.Require(t)
	l.Fault("loss", "wan", "20")
	taker := l.Start("wan", "take", "25.64.0.1:4001")
	addr := taker.Expect("ready ")
	sender := l.Start("lan-a", "send", addr, strconv.Itoa(count))
	sender.Expect("began")
	for range 3 {
		l.Fault("block", "wan", "both", "25.64.0.10")
		time.Sleep(4 * time.Second) // how long a partition lasts is what the test is about
		l.Fault("clear", "wan")
		l.Do("forget", "a")
		l.Fault("loss", "wan", "20")
		time.Sleep(2 * time.Second)
	}
	if again := sender.Expect("done "); again != "true" {
		t.Errorf("nothing had to be sent again: %s", again)
	}
	taker.Say("how many")
	if got, want := taker.Expect("taken "), fmt.Sprint(count, " ", 0); got != want {
		t.Errorf("taken %s, want %s", got, want)
	}
}
