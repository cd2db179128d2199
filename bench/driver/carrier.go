package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/quicio"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

const (
	opMessage = opcode.ApplicationOpCodeStart     // one way
	opRequest = opcode.ApplicationOpCodeStart + 1 // answered with the same bytes

	// churnNodes is how many nodes take turns where connections come and go. 2048 is eight times what a node remembers of peers
	// that it has checked, so that the serving side checks every newcomer's signature and puzzle anew.
	churnNodes = 2048

	// carrierPeersLimit lets a benchmark reach the limits of the machine before those of the node.
	carrierPeersLimit = 1 << 20

	// carrierPatience replaces the time-outs of dials, handshakes, records, and senders that wait for room:
	// on a machine that is busy with other things a run that takes longer is a result, and one that gives up
	// is none. Drivers on plain sockets never give up.
	carrierPatience = time.Minute

	// carrierSocketBuffer is what a UDP socket asks of the kernel, which without privileges gives
	// net.core.rmem_max. 32 MiB are some 40,000 keepalives: what 200,000 peers say in the three seconds that
	// a busy machine may not run a loop.
	carrierSocketBuffer = 32 << 20

	// carrierWaitingLimit bounds a peer's requests whose answers wait until it has read others. 256: what a run has in flight at
	// most, and what one who reads nothing can make the serving side keep.
	carrierWaitingLimit = 256

	// carrierStopLimit bounds the goodbyes at the end.
	carrierStopLimit = 5 * time.Second
)

// noPuzzle asks for no proof of work: a network of one machine for the length of a run. What checking a proof costs,
// under a microsecond, stays; what finding one costs is not what is measured.
var noPuzzle = identity.Puzzle{}

// Carrier is the engine of this module as a program embeds it, keepalive included, over TCP.
func Carrier() load.Driver { return carrierDriver{transport.TCP} }

// CarrierUDP is the same over UDP: what it sends one way may be lost.
func CarrierUDP() load.Driver { return carrierDriver{transport.UDP} }

// CarrierQUIC is the same over QUIC.
func CarrierQUIC() load.Driver { return carrierDriver{transport.QUIC} }

type carrierDriver struct{ proto transport.Proto }

func (c carrierDriver) Name() string {
	if c.proto == transport.TCP {
		return "carrier"
	}
	return "carrier-" + c.proto.String()
}

// transport makes a transport of the driver's protocol.
func (c carrierDriver) transport(loops int) transport.Transport {
	switch c.proto {
	case transport.UDP:
		return udpio.New(udpio.Config{Loops: loops, Buffer: carrierSocketBuffer})
	case transport.QUIC:
		return quicio.New(quicio.Config{Loops: loops, LinkLimit: carrierPeersLimit})
	}
	return gnetio.New(gnetio.Config{Loops: loops})
}

func newNode(id *identity.Identity, listen []string, change func(*engine.Config)) (*engine.Network, error) {
	puzzle := noPuzzle
	patient := func(c *engine.Config) {
		c.DialTimeout, c.HandshakeTimeout, c.RecordTimeout = carrierPatience, carrierPatience, carrierPatience
		c.SendTimeout, c.RequestTimeout = carrierPatience, carrierPatience
		if change != nil {
			change(c)
		}
	}
	return node.New(node.Config{
		Listen: listen, Identity: id, Loops: runtime.NumCPU(), NetworkID: "bench", Puzzle: &puzzle, WeakPuzzle: true, Engine: patient,
		Peers: engine.PeerLimits{All: carrierPeersLimit},
	})
}

func newIdentity() (*identity.Identity, error) {
	return identity.Generate(context.Background(), noPuzzle, identity.GenerateOptions{Workers: 1})
}

func (c carrierDriver) Serve(addr string, shape load.Shape, sink *load.Sink) (load.Server, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	makeRoom(shape)
	n, err := newNode(id, []string{c.proto.String() + "://" + addr}, func(e *engine.Config) { e.Transport = c.transport(runtime.NumCPU()) })
	if err != nil {
		return nil, err
	}
	if err := n.AddComponent(newCarrierSink(sink, runtime.NumCPU()), engine.Opcodes(opMessage, opRequest)); err != nil {
		return nil, err
	}
	if err := n.Start(context.Background()); err != nil {
		return nil, err
	}
	return carrierServer{n}, nil
}

// makeRoom does what docs/tuning.md tells who expects strangers: the niced handshake workers get processors of their own, and
// one is left over.
func makeRoom(shape load.Shape) {
	if shape.Storm || shape.Churn {
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2*runtime.NumCPU()+1))
	}
}

type carrierServer struct{ node *engine.Network }

// Addr names the node, so that a dial insists on it.
func (s carrierServer) Addr() string {
	at := s.node.Addrs()[0]
	return fmt.Sprintf("%v://%s@%s", at.Proto, s.node.ID(), at.AddrPort)
}

// Network is the node itself, for those who want to watch it.
func (s carrierServer) Network() *engine.Network { return s.node }

func (s carrierServer) Close() error { return stopNode(s.node) }

func stopNode(n *engine.Network) error {
	ctx, cancel := context.WithTimeout(context.Background(), carrierStopLimit)
	defer cancel()
	return n.Shutdown(ctx)
}

// carrierSink is the component that reports to the Sink. What it keeps for a loop belongs to that loop.
type carrierSink struct {
	engine.Component
	sink  *load.Sink
	loops []carrierLoop // by Loop.Index
}

type carrierLoop struct {
	peers   map[*engine.PeerClient]*load.Receiver
	waiting map[*engine.PeerClient]int // requests whose answers wait for room

	// Of the last message: the next one is most often from the same peer.
	last     *engine.PeerClient
	receiver *load.Receiver

	_ [64]byte // no loop writes into the cache line of another
}

func newCarrierSink(sink *load.Sink, loops int) *carrierSink {
	c := &carrierSink{sink: sink, loops: make([]carrierLoop, loops)}
	for i := range c.loops {
		c.loops[i].peers = map[*engine.PeerClient]*load.Receiver{}
		c.loops[i].waiting = map[*engine.PeerClient]int{}
	}
	return c
}

// of returns what is kept for the peer's loop. On that loop.
func (c *carrierSink) of(p *engine.PeerClient) *carrierLoop { return &c.loops[p.Loop().Index()] }

func (c *carrierSink) PeerConnect(p *engine.PeerClient) {
	c.of(p).peers[p] = c.sink.Open()
}

func (c *carrierSink) PeerDisconnect(p *engine.PeerClient) {
	l := c.of(p)
	if r := l.peers[p]; r != nil {
		r.Close()
		delete(l.peers, p)
	}
	l.last, l.receiver = nil, nil
}

func (c *carrierSink) Receive(ctx *engine.ComponentContext) error {
	p := ctx.Client()
	l := c.of(p)
	if l.last != p {
		l.last, l.receiver = p, l.peers[p]
	}
	if ctx.Opcode() == opMessage {
		l.receiver.Message(ctx.Payload())
		return engine.ErrIntercepted
	}
	answer := l.receiver.Request(ctx.Payload())
	err := ctx.ReplyRaw(opRequest, answer)
	if errors.Is(err, engine.ErrSendBufferFull) && l.waiting[p] < carrierWaitingLimit {
		l.waiting[p]++
		kept := ctx.Retain()
		if len(answer) > 0 && &answer[0] == &ctx.Payload()[0] {
			answer = kept.Payload()
		}
		c.answerLater(kept, answer)
		err = nil
	}
	if err != nil {
		return err
	}
	return engine.ErrIntercepted
}

// answerLater tries again when the asker has read some of its answers, or forgets the request with the asker.
func (c *carrierSink) answerLater(ctx *engine.ComponentContext, answer []byte) {
	p := ctx.Client()
	p.OnRoom(func() {
		l := c.of(p)
		err := ctx.ReplyRaw(opRequest, answer)
		if errors.Is(err, engine.ErrSendBufferFull) {
			c.answerLater(ctx, answer)
			return
		}
		if l.waiting[p]--; l.waiting[p] <= 0 {
			delete(l.waiting, p)
		}
	})
}

// NewDialer makes a dialling side of which every connection is a node of its own, as the serving side allows one connection
// to each. Where there is only one, it has a transport to itself, like any program; more share one.
func (c carrierDriver) NewDialer(shape load.Shape) (load.Dialer, error) {
	d := &carrierDialer{driver: c, limit: max(shape.Conns, 1)}
	if shape.Churn {
		d.limit = churnNodes
	}
	if d.limit > 1 && c.proto != transport.QUIC { // a QUIC transport proves the key of one node
		loops := 0 // as many as there are processors
		if shape.Idle {
			loops = 1 // which is enough for keepalives, and each costs each node 7 kB
		}
		hub, err := shared.New(c.transport(loops), 0)
		if err != nil {
			return nil, err
		}
		d.hub = hub
	}
	d.nodes = make([]*engine.Network, d.limit+1) // one more for a reader that stops
	for i := range d.nodes {
		if err := d.prepare(i); err != nil {
			_ = d.Close()
			return nil, err
		}
	}
	return d, nil
}

type carrierDialer struct {
	driver carrierDriver
	limit  int
	hub    *shared.Hub
	nodes  []*engine.Network
}

// prepare makes and starts a node before the clock runs: that a program has an identity is not what is measured.
func (d *carrierDialer) prepare(i int) error {
	id, err := newIdentity()
	if err != nil {
		return err
	}
	n, err := newNode(id, nil, func(c *engine.Config) {
		c.Transport = d.driver.transport(runtime.NumCPU())
		if d.hub != nil {
			c.Transport = d.hub.Port()
		}
	})
	if err != nil {
		return err
	}
	if err := n.Start(context.Background()); err != nil {
		return err
	}
	d.nodes[i] = n
	return nil
}

// Sparing implements load.Sparing: over UDP all connections of a loop share one socket.
func (d *carrierDialer) Sparing() bool { return d.driver.proto == transport.UDP }

func (d *carrierDialer) Close() error {
	var first error
	var stopping sync.WaitGroup
	for _, n := range d.nodes {
		if n != nil {
			stopping.Go(func() { _ = stopNode(n) }) // a goodbye that nobody hears is no failure of the run
		}
	}
	stopping.Wait()
	if d.hub != nil {
		first = d.hub.Close()
	}
	return first
}

func (d *carrierDialer) Dial(ctx context.Context, addr string, n int) (load.Conn, error) {
	return dialFrom(ctx, d.nodes[n%d.limit], addr)
}

func dialFrom(ctx context.Context, n *engine.Network, addr string) (*carrierConn, error) {
	peer, err := n.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &carrierConn{peer}, nil
}

// carrierConn has no context of its own: whoever waits is woken when the connection ends.
type carrierConn struct{ peer *engine.PeerClient }

func (c *carrierConn) Send(msg []byte) error {
	return c.peer.SendRaw(context.Background(), opMessage, msg)
}

func (c *carrierConn) Flush() error { return nil } // the engine writes when its loop turns

func (c *carrierConn) Call(req, into []byte) ([]byte, error) {
	_, reply, err := c.peer.RequestRaw(context.Background(), opRequest, req, into[:0])
	return reply, err
}

func (c *carrierConn) Close() error { return c.peer.Close() }

// DialStopped implements load.Stopper. The engine always reads, so the peer that stops is a node behind a relay that does.
func (d *carrierDialer) DialStopped(ctx context.Context, addr string, _, size int) (net.Conn, error) {
	if d.driver.proto != transport.TCP {
		return nil, load.ErrNoStopper // nobody stops a datagram by not reading it
	}
	at, err := engine.ParseTarget(addr)
	if err != nil {
		return nil, err
	}
	relay, err := newStoppingRelay(ctx, at.Addr.AddrPort.String())
	if err != nil {
		return nil, err
	}
	c, err := dialFrom(ctx, d.nodes[d.limit], fmt.Sprintf("tcp://%s@%s", at.ID, relay.listener.Addr()))
	if err != nil {
		_ = relay.Close()
		return nil, err
	}
	relay.stopReading()
	relay.running.Go(func() {
		defer c.Close()
		request := make([]byte, size)
		for {
			err := c.peer.RequestRawAsync(opRequest, request, time.Minute, func(*engine.ComponentContext, error) {})
			if err == nil {
				continue
			}
			select {
			case <-relay.closed:
				return
			case <-time.After(time.Millisecond): // full: as the engine means it to be
			}
		}
	})
	return relay, nil
}

// A stoppingRelay passes bytes between one connection and a server until it is told to read nothing more from the server.
type stoppingRelay struct {
	net.Conn // to the server
	listener net.Listener
	stop     chan struct{}
	closed   chan struct{}
	once     sync.Once
	running  sync.WaitGroup
}

func newStoppingRelay(ctx context.Context, server string) (*stoppingRelay, error) {
	var dialer net.Dialer
	to, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = to.Close()
		return nil, err
	}
	r := &stoppingRelay{Conn: to, listener: listener, stop: make(chan struct{}), closed: make(chan struct{})}
	r.running.Go(func() {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() {
			<-r.closed
			_ = from.Close()
		})
		r.running.Go(func() { _, _ = io.Copy(to, from) })
		r.copyUntilStopped(from, to)
	})
	return r, nil
}

func (r *stoppingRelay) copyUntilStopped(to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-r.stop:
			return // what was read is lost, as on a host that hangs
		default:
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// stopReading returns at once; the read that waits takes what comes next, and nothing after it is read.
func (r *stoppingRelay) stopReading() { close(r.stop) }

func (r *stoppingRelay) Close() error {
	var err error
	r.once.Do(func() {
		close(r.closed)
		_ = r.listener.Close()
		err = r.Conn.Close()
		r.running.Wait()
	})
	return err
}
