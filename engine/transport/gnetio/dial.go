package gnetio

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A dial is one Transport.Dial until its outcome: exactly one of Sink.Opened, Sink.DialFailed.
type dial struct {
	ctx     context.Context
	to      transport.Addr
	tag     any
	place   *list.Element // in dialQueue.waiting; nil when it is not waiting
	unwatch func() bool   // stops watching ctx while it waits
	conn    net.Conn      // set before the reactor gets it
	opened  atomic.Bool   // set by OnOpen
}

// A dialQueue runs dials: a bounded number on goroutines, the others wait in order. A dial that waits costs no goroutine
// and leaves the queue when its context ends. A few goroutines stay for the next dials: see idleDials.
type dialQueue struct {
	t      *Transport
	ctx    context.Context // ends all dials
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	phase   phase
	running int
	waiting list.List      // of *dial
	idle    int            // goroutines that wait for a dial; at most idleDials
	more    chan *dial     // to them, never more than there are; closed by end
	busy    sync.WaitGroup // goroutines, of dials and of what will call the Sink; added to under mu while running
}

// begin lets dials run. The Transport's Sink is set.
func (q *dialQueue) begin() {
	q.mu.Lock()
	q.phase = running
	q.mu.Unlock()
}

// add starts a dial or queues it. It never calls the Sink itself.
func (q *dialQueue) add(ctx context.Context, to transport.Addr, tag any) {
	d := &dial{ctx: ctx, to: to, tag: tag}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.phase == fresh:
		invariant.Bug("gnetio: bug: Dial before Start: there is no one to tell the outcome")
	case q.phase == stopped:
		go q.fail(d, transport.ErrClosed)
	case q.running < q.t.cfg.DialLimit && q.idle > 0:
		q.running++
		q.idle--
		q.more <- d
	case q.running < q.t.cfg.DialLimit:
		q.running++
		q.busy.Add(1)
		go q.work(d)
	default:
		d.place = q.waiting.PushBack(d)
		d.unwatch = context.AfterFunc(ctx, func() { q.expire(d) })
	}
}

// expire ends a dial that is still waiting when its context ends.
func (q *dialQueue) expire(d *dial) {
	q.mu.Lock()
	waits := d.place != nil
	if waits {
		q.waiting.Remove(d.place)
		d.place = nil
		q.busy.Add(1)
	}
	q.mu.Unlock()
	if waits {
		defer q.busy.Done()
		q.fail(d, d.ctx.Err())
	}
}

// work runs dials until none waits and it is not needed for the next.
func (q *dialQueue) work(d *dial) {
	defer q.busy.Done()
	for ; d != nil; d = q.next() {
		if err := q.run(d); err != nil {
			q.fail(d, err)
		}
	}
}

// next takes the dial that has waited longest, or waits for one. nil: it is to end.
func (q *dialQueue) next() *dial {
	d, stay := q.take()
	if stay {
		return <-q.more
	}
	return d
}

// take takes the dial that has waited longest. If its context has just ended, running it will say so. With none it says
// whether the caller is to stay for the next, and counts it so.
func (q *dialQueue) take() (d *dial, stay bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.waiting.Front()
	if first == nil {
		q.running--
		stay = q.phase == running && q.idle < idleDials
		if stay {
			q.idle++
		}
		return nil, stay
	}
	d = q.waiting.Remove(first).(*dial)
	d.place = nil
	d.unwatch()
	return d, false
}

// run connects and hands the connection to a loop. A nil error means that Opened has been called.
func (q *dialQueue) run(d *dial) error {
	t := q.t
	if d.to.Proto != transport.TCP || !d.to.IsValid() {
		return ErrUnsupported
	}
	if !t.takeSlot() {
		return ErrLinkLimit
	}
	conn, err := q.connect(d)
	if err == nil {
		d.conn = conn
		err = q.enrol(d)
	}
	if err != nil {
		t.freeSlot()
	}
	return err
}

// connect waits for the connection, its context, or Stop.
func (q *dialQueue) connect(d *dial) (net.Conn, error) {
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	defer context.AfterFunc(q.ctx, cancel)()
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", d.to.AddrPort.String())
	switch {
	case err == nil:
		return conn, nil
	case d.ctx.Err() != nil:
		return nil, d.ctx.Err()
	case q.ctx.Err() != nil:
		return nil, transport.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, context.DeadlineExceeded // the dialer's own timer for it has been faster than the context's
	}
	return nil, err
}

// enrol gives d.conn to the loop with the fewest links. The reactor duplicates its descriptor and closes the original; on
// its failures d.conn is closed too.
func (q *dialQueue) enrol(d *dial) error {
	t := q.t
	select {
	case <-t.anchored:
	case <-t.over:
		_ = d.conn.Close()
		return t.endError()
	}
	lp := t.loops.quietest()
	lp.links.Add(1)
	err := q.handOver(d, lp)
	if err != nil {
		lp.links.Add(-1)
	}
	return err
}

func (q *dialQueue) handOver(d *dial, lp *loop) error {
	results, err := lp.reactor.Enroll(gnet.NewContext(context.Background(), d), d.conn)
	if err != nil {
		_ = d.conn.Close()
		return fmt.Errorf("%w: %w", ErrReactor, err)
	}
	select {
	case r := <-results:
		err = r.Err
	case <-q.t.over: // no loop runs any more, so what has not been opened will not be
		err = q.t.endError()
	}
	if d.opened.Load() {
		return nil
	}
	if err == nil {
		err = ErrReactor // the poller has refused the descriptor; the reactor has closed it and does not say why
	}
	return err
}

// fail is the other outcome.
func (q *dialQueue) fail(d *dial, err error) {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err // the rest is what was dialled
	}
	q.t.sink.DialFailed(d.tag, err)
}

// end fails what waits, breaks off what is under way and returns when every dial has had its outcome.
func (q *dialQueue) end() {
	q.cancel()
	q.mu.Lock()
	if q.phase != stopped {
		close(q.more)
	}
	q.phase = stopped
	var left []*dial
	for e := q.waiting.Front(); e != nil; e = e.Next() {
		d := e.Value.(*dial)
		d.place = nil
		d.unwatch()
		left = append(left, d)
	}
	q.waiting.Init()
	q.mu.Unlock()
	for _, d := range left {
		q.fail(d, transport.ErrClosed)
	}
	q.busy.Wait()
}
