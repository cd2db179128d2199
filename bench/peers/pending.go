package main

import (
	"errors"
	"sync"
)

// errEnded is what waiting requests return when their connection ends without a better reason.
var errEnded = errors.New("peers: connection ended")

// pending are the requests under way on one connection of a library that does not match answers to requests itself. Any
// goroutine.
type pending struct {
	mu   sync.Mutex
	last uint32
	wait map[uint32]chan []byte
	err  error
	pool sync.Pool
}

// begin returns a number above 0, and where its answer will be.
func (p *pending) begin() (uint32, chan []byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, nil, p.err
	}
	if p.wait == nil {
		p.wait = map[uint32]chan []byte{}
	}
	if p.last++; p.last == 0 {
		p.last = 1
	}
	answer, _ := p.pool.Get().(chan []byte)
	if answer == nil {
		answer = make(chan []byte, 1)
	}
	p.wait[p.last] = answer
	return p.last, answer, nil
}

// finish takes the answer, appended to into, and gives the channel back.
func (p *pending) finish(answer chan []byte, into []byte) ([]byte, error) {
	b, ok := <-answer
	if !ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		return into, p.err
	}
	p.pool.Put(answer)
	return append(into[:0], b...), nil
}

// answered hands b, which is kept, to whoever waits for the number.
func (p *pending) answered(id uint32, b []byte) {
	p.mu.Lock()
	answer := p.wait[id]
	delete(p.wait, id)
	p.mu.Unlock()
	if answer != nil {
		answer <- b
	}
}

// fail ends all requests.
func (p *pending) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	p.err = errors.Join(errEnded, err)
	for id, answer := range p.wait {
		close(answer)
		delete(p.wait, id)
	}
}
