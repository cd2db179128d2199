package framed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/carrier-p2p/carrier/bench/load"
)

const (
	// busyBuffer is each buffer of a connection that is meant to work. 64 KiB, both ways: four TLS records to a write, and
	// the reactor drivers read as much at once.
	busyBuffer = 64 << 10

	// idleBuffer is the same for connections whose memory is the question. 4 KiB is bufio's own default.
	idleBuffer = 4 << 10
)

// BufferFor is what a program would give each connection of that shape to gather in: 64 KiB where it works, 4 KiB where
// its memory is the question.
func BufferFor(shape load.Shape) int {
	if shape.Idle {
		return idleBuffer
	}
	return busyBuffer
}

// Serve is the serving end of a connection whose library gives streams of bytes, until the stream ends. It reads frames
// and answers requests; answers leave when no whole frame is left in the buffer, which takes so many bytes each way.
func Serve(stream io.ReadWriter, buffer int, receiver *load.Receiver) error {
	frames := frameReader{r: bufio.NewReaderSize(stream, buffer)}
	w := bufio.NewWriterSize(stream, buffer)
	var header [HeaderSize]byte
	for {
		id, payload, err := frames.next()
		if err != nil {
			return err
		}
		if id == 0 {
			receiver.Message(payload)
			continue
		}
		reply := receiver.Request(payload)
		putHeader(header[:], id, len(reply))
		_, _ = w.Write(header[:]) // a bufio.Writer keeps its error until Flush
		_, _ = w.Write(reply)
		if !frames.more() {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// A frameReader reads frames in place while they fit into its buffer, and copies longer ones into memory of its own.
type frameReader struct {
	r    *bufio.Reader
	long []byte
	used int // bytes of the frame handed out last, still in r
}

// next returns a frame; its payload is good until the call after.
func (f *frameReader) next() (id uint32, payload []byte, err error) {
	if _, err := f.r.Discard(f.used); err != nil {
		return 0, nil, err
	}
	f.used = 0
	header, err := f.r.Peek(HeaderSize)
	if err != nil {
		return 0, nil, err
	}
	id, size, err := ParseHeader(header)
	if err != nil {
		return 0, nil, err
	}
	if whole := HeaderSize + size; whole <= f.r.Size() {
		frame, err := f.r.Peek(whole)
		f.used = len(frame)
		if err != nil {
			return 0, nil, err
		}
		return id, frame[HeaderSize:], nil
	}
	if cap(f.long) < size {
		f.long = make([]byte, size)
	}
	_, _ = f.r.Discard(HeaderSize) // what was peeked is there
	_, err = io.ReadFull(f.r, f.long[:size])
	return id, f.long[:size], err
}

// more reports whether another whole frame has been read already.
func (f *frameReader) more() bool {
	buffered, _ := f.r.Peek(f.r.Buffered()) // what is buffered can be peeked
	_, _, n, err := Next(buffered[f.used:])
	return n > 0 || err != nil
}

// Dial is the dialling end over a stream of bytes, for Serve at the other.
func Dial(stream io.ReadWriteCloser, buffer int) load.Conn {
	c := &conn{stream: stream, w: bufio.NewWriterSize(stream, buffer)}
	c.running.Go(func() { c.read(buffer) })
	return c
}

// A conn is the dialling end. Writers share one buffer; of those that wait for it, the last one flushes.
type conn struct {
	stream  io.ReadWriteCloser
	calls   Calls
	running sync.WaitGroup
	waiting atomic.Int32 // writers that want the buffer, the one that has it included

	mu sync.Mutex
	w  *bufio.Writer
}

func (c *conn) Send(msg []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(0, msg)
}

func (c *conn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.w.Flush()
}

func (c *conn) Call(req, into []byte) ([]byte, error) {
	slot, err := c.calls.Begin(into)
	if err != nil {
		return into, err
	}
	c.waiting.Add(1)
	c.mu.Lock()
	err = c.write(slot.ID, req)
	if c.waiting.Add(-1) == 0 && err == nil {
		err = c.w.Flush()
	}
	c.mu.Unlock()
	if err != nil {
		c.calls.Fail(err) // the stream is broken for everybody
	}
	return c.calls.Wait(slot)
}

func (c *conn) write(id uint32, payload []byte) error {
	if c.w.Available() < HeaderSize {
		if err := c.w.Flush(); err != nil {
			return err
		}
	}
	header := c.w.AvailableBuffer()[:HeaderSize]
	putHeader(header, id, len(payload))
	_, _ = c.w.Write(header) // a bufio.Writer keeps its error for the next Write
	_, err := c.w.Write(payload)
	return err
}

func (c *conn) read(buffer int) {
	frames := frameReader{r: bufio.NewReaderSize(c.stream, buffer)}
	for {
		id, payload, err := frames.next()
		if err != nil {
			c.calls.Fail(errors.Join(ErrClosed, err))
			return
		}
		if !c.calls.Answer(id, payload) {
			c.calls.Fail(fmt.Errorf("framed: answer %d to no request", id))
			_ = c.stream.Close()
			return
		}
	}
}

func (c *conn) Close() error {
	err := c.stream.Close()
	c.running.Wait()
	return err
}
