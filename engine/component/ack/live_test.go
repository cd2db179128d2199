package ack_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A ledger counts messages by sender and number; loops of several connections write into it.
type ledger struct {
	engine.Component
	mu   sync.Mutex
	met  map[string]bool // handed over
	seen map[string]int  // taken
}

func (l *ledger) Opcodes() []opcode.Opcode { return []opcode.Opcode{opNote} }

func (l *ledger) Receive(ctx *engine.ComponentContext) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := fmt.Sprint(ctx.Client().ID().Short(), binary.LittleEndian.Uint32(ctx.Payload()))
	if !l.met[key] && len(l.met)%7 == 0 {
		l.met[key] = true
		return errors.New("not yet")
	}
	l.met[key] = true
	l.seen[key]++
	return engine.ErrIntercepted
}

// Over real sockets, from many goroutines of several nodes, while their connections are cut again and again and dialled again:
// every call that waits ends well, and every message is taken once.
func TestLive(t *testing.T) {
	start := func(listen ...string) *engine.Network {
		n, err := node.New(node.Config{Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Loops: 2,
			Ack: ack.Config{Retry: 20 * time.Millisecond}, Reconnect: &backoff.Config{First: time.Millisecond, Max: 10 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return n
	}
	const senders, callers, each = 3, 8, 50
	taker, book := start("tcp://127.0.0.1:0"), &ledger{met: map[string]bool{}, seen: map[string]int{}}
	if err := errors.Join(taker.AddComponent(book), taker.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	var nodes []*ack.Component
	for range senders {
		n := start()
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		again, _ := engine.ComponentOf[*backoff.Component](n)
		if err := again.Enable(taker.Target()); err != nil {
			t.Fatal(err)
		}
		acks, _ := engine.ComponentOf[*ack.Component](n)
		nodes = append(nodes, acks)
		for caller := range uint32(callers) {
			calls.Add(1)
			go func() {
				defer calls.Done()
				for i := range uint32(each) {
					if err := acks.SendAckRaw(t.Context(), taker.ID(), opNote, numbered(caller*each+i, 100)); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
	}
	done := make(chan struct{})
	go func() { calls.Wait(); close(done) }()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for taken, over := 0, false; !over; {
		select {
		case <-done:
			over = true
		case <-look.C:
			book.mu.Lock()
			now := len(book.seen)
			book.mu.Unlock()
			if now < taken+10 { // on a busy machine a connection may need longer than this to be of use
				continue
			}
			taken = now
			for p := range taker.ConnMgr().Peers() {
				p.Disconnect(engine.CodeTimeout, "cut")
			}
		}
	}
	book.mu.Lock()
	defer book.mu.Unlock()
	if len(book.seen) != senders*callers*each {
		t.Errorf("%d messages were taken, want %d", len(book.seen), senders*callers*each)
	}
	for key, times := range book.seen {
		if times != 1 {
			t.Errorf("message %s was taken %d times", key, times)
		}
	}
	for _, acks := range nodes {
		if s := acks.Stats(); s.Acked != callers*each || s.Failed != 0 || s.Waiting != 0 || s.Memory != 0 {
			t.Errorf("%+v", s)
		}
	}
}
