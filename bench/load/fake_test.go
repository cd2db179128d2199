package load_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

// lag is how long each sending, call and dial of a fake takes. It has to be something: in virtual time nothing else passes.
const lag = 100 * time.Microsecond

// fake is a driver without a network: what is sent is delivered by the sender's own goroutine, after mischief had its turn.
type fake struct {
	sink *load.Sink

	// oneWay is given the number of a one-way message on its connection, from 0, and the message, and delivers what it
	// likes. nil: delivers everything.
	oneWay func(n int, msg []byte, deliver func([]byte))

	// answer is given the number of a request on its connection, and the right answer, and returns what goes
	// back. nil: the right one.
	answer func(n int, right []byte) ([]byte, error)

	dial func(n int) error // nil: always succeeds

	send error // of every one-way message; nil: none

	keepsClosed bool // the serving side never notices that a connection has ended

	silentDials bool // the serving side never hears of connections
}

func (f *fake) Dial(_ context.Context, _ string, n int) (load.Conn, error) {
	time.Sleep(lag)
	if f.dial != nil {
		if err := f.dial(n); err != nil {
			return nil, err
		}
	}
	c := &fakeConn{fake: f, gone: make(chan struct{})}
	if !f.silentDials {
		c.receiver = f.sink.Open()
	}
	return c, nil
}

func (f *fake) Close() error { return nil }

var errGone = errors.New("fake: connection closed")

type fakeConn struct {
	fake     *fake
	receiver *load.Receiver
	gone     chan struct{}
	once     sync.Once

	mu       sync.Mutex // one delivery at a time, as a Receiver demands
	messages int
	requests int
}

func (c *fakeConn) Send(msg []byte) error {
	time.Sleep(lag) // before the lock: a wait for a lock holds virtual time up
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fake.send != nil {
		return c.fake.send
	}
	n := c.messages
	c.messages++
	if c.fake.oneWay == nil {
		c.receiver.Message(msg)
		return nil
	}
	c.fake.oneWay(n, msg, c.receiver.Message)
	return nil
}

func (c *fakeConn) Flush() error { return nil }

func (c *fakeConn) Call(req, into []byte) ([]byte, error) {
	time.Sleep(lag)
	c.mu.Lock()
	n := c.requests
	c.requests++
	right := append(into[:0], c.receiver.Request(req)...)
	c.mu.Unlock()
	if c.fake.answer == nil {
		return right, nil
	}
	reply, err := c.fake.answer(n, right)
	if errors.Is(err, errNever) {
		<-c.gone
		return into, errGone
	}
	return reply, err
}

// errNever makes a call wait until its connection is closed.
var errNever = errors.New("fake: no answer")

func (c *fakeConn) Close() error {
	c.once.Do(func() {
		close(c.gone)
		if c.receiver != nil && !c.fake.keepsClosed {
			c.mu.Lock()
			c.receiver.Close()
			c.mu.Unlock()
		}
	})
	return nil
}
