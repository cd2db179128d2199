package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// Each test here is named after a mistake that an older library with the same description made. What allocates per
// message, and what a peer costs, is in alloc_test.go.

// One global lock was held across a dial and taken for every received message: a black-holed dial stopped all reception.
func TestAncestorDialStopsReception(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	var seen witness
	a := w.node(func(c *engine.Config) { c.DialTimeout = 3 * time.Second }, withWitness(&seen))
	hole := netip.MustParseAddr("10.9.9.9")
	w.Net().Host(hole).Vanish()
	p := w.dial(w.node(nil), a)
	dial := w.startDial(a, engine.Target{Addr: transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(hole, 4001)}})
	for i := range 100 {
		if err := p.TrySendRaw(opNote, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		w.Pass(20 * time.Millisecond)
		if _, _, notes := seen.count(); notes != i+1 {
			t.Fatalf("%d notes after the send of number %d", notes, i+1)
		}
	}
	if dial.done() {
		t.Error("the dial into nothing has ended early")
	}
	w.Until("the dial to end", dial.done)
	if _, err := dial.get(); !errors.Is(err, engine.ErrDialTimeout) {
		t.Errorf("the dial into nothing: %v", err)
	}
}

// Three goroutines and more were started for every peer.
func TestAncestorGoroutinesPerPeer(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(nil, withWitness(&seen))
	hub, err := shared.New(gnetio.New(gnetio.Config{}), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.End(); hub.Close() })
	connect := func(count int) {
		for range count {
			a := w.node(func(c *engine.Config) { c.Transport, c.Listen = hub.Port(), nil })
			w.dial(a, n)
		}
	}
	connect(5)
	before := runtime.NumGoroutine()
	connect(100)
	w.Until("no goroutine for 100 peers more", func() bool { return runtime.NumGoroutine() <= before })
	if ups, _, _ := seen.count(); ups != 105 {
		t.Errorf("%d peers, want 105", ups)
	}
}

// Every end of a connection was put into a channel of 128 that the application had to read, else the 129th blocked for ever;
// and each forced a collection of all garbage.
func TestAncestorDisconnectsNobodyReads(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	var seen witness
	a, b := w.node(nil), w.node(nil, withWitness(&seen))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	unread := b.Events(ctx)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const cycles = 300
	for i := range cycles {
		w.dial(a, b).Close()
		w.Until("the end", func() bool { _, downs, _ := seen.count(); return downs == i+1 })
	}
	runtime.ReadMemStats(&after)
	if forced := after.NumForcedGC - before.NumForcedGC; forced != 0 {
		t.Errorf("%d forced collections", forced)
	}
	if s := b.Stats(); s.Opened != cycles || s.Closed != cycles || s.EventsDropped != 2*cycles-engine.EventsDefault {
		t.Errorf("%d opened, %d closed, %d events dropped", s.Opened, s.Closed, s.EventsDropped)
	}
	if len(unread) != engine.EventsDefault {
		t.Errorf("%d events wait, want the last %d", len(unread), engine.EventsDefault)
	}
}

// The accepting side noticed the end of a connection only when it next wrote to it. The dial is repeatable at once.
func TestAncestorEOFUnnoticed(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(nil, withWitness(&seen))
	for i, end := range []func(*net.TCPConn){
		func(c *net.TCPConn) { c.Close() },                 // FIN
		func(c *net.TCPConn) { c.CloseWrite() },            // half a FIN
		func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, // RST
	} {
		s := greetAs(t, n, w.key(50), nil) // always the same peer
		w.Until("PeerConnect", func() bool { ups, _, _ := seen.count(); return ups == i+1 })
		end(s.conn.(*net.TCPConn))
		w.Until("PeerDisconnect", func() bool { _, downs, _ := seen.count(); return downs == i+1 })
		if err := seen.peer(i).CloseReason(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("end %d: the reason is %v", i, err)
		}
	}
}

// A lifecycle counts the callbacks of one component.
type lifecycle struct {
	engine.Component
	mu                             sync.Mutex
	startups, cleanups, ups, downs int
	anonymous                      int // PeerConnect without an identity
}

func (c *lifecycle) add(n *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

func (c *lifecycle) Startup(*engine.Network) { c.add(&c.startups) }
func (c *lifecycle) Cleanup(*engine.Network) { c.add(&c.cleanups) }
func (c *lifecycle) PeerConnect(p *engine.PeerClient) {
	rec, ok := p.Record()
	known, there := p.Network().ConnMgr().Peer(p.ID())
	if p.ID() == (identity.ID{}) || !ok || rec.ID() != p.ID() || !there || known != p || !p.Connected() {
		c.add(&c.anonymous)
	}
	c.add(&c.ups)
}
func (c *lifecycle) PeerDisconnect(*engine.PeerClient) { c.add(&c.downs) }

// Closing the network replaced the list of components by an empty one first, so that nobody was told anything; a second
// Close panicked. PeerConnect was called before the peer had an identity.
func TestAncestorShutdownTellsNobody(t *testing.T) {
	worlds(t, func(w *world) {
		components := []*lifecycle{{}, {}, {}}
		n := w.node(nil, func(n *engine.Network) {
			for _, c := range components {
				if err := n.AddComponent(c); err != nil {
					w.Fatal(err)
				}
			}
		})
		const peers = 5
		for range peers {
			w.dial(w.node(nil), n)
		}
		for range 3 {
			w.Do(func() {
				if err := n.Shutdown(brief(w)); err != nil {
					w.Error(err)
				}
			})
		}
		for i, c := range components {
			if c.startups != 1 || c.cleanups != 1 || c.ups != peers || c.downs != peers || c.anonymous != 0 {
				w.Errorf("component %d: %d startups, %d cleanups, %d up, %d down, %d without a name", i, c.startups, c.cleanups, c.ups, c.downs, c.anonymous)
			}
		}
		if s := n.Stats(); s.Opened != peers || s.Closed != peers || s.Peers != 0 {
			w.Errorf("%+v", s)
		}
	})
}

// A forgotten Unlock parked the receiver, and Disconnect waited for it for ever.
func TestAncestorForgottenUnlock(t *testing.T) {
	worlds(t, func(w *world) {
		var seen witness
		a := w.node(nil)
		b := w.node(func(c *engine.Config) { c.GateTimeout = time.Hour }, withWitness(&seen))
		p := w.dial(a, b)
		w.Until("b to see a", func() bool { ups, _, _ := seen.count(); return ups == 1 })
		q := seen.peer(0)
		w.Do(func() {
			gate, err := q.LockOnReceive(brief(w), opNote)
			if err != nil {
				w.Error(err)
				return
			}
			if err := p.TrySendRaw(opNote, nil); err != nil {
				w.Error(err)
			}
			if _, err := gate.Receive(brief(w)); err != nil {
				w.Error(err)
			}
		})
		q.Close()
		w.Until("both ends", func() bool { _, downs, _ := seen.count(); return downs == 1 && !p.Connected() })
	})
}

// Lengths were believed: one message claiming 4 GiB ended the process. Whatever is claimed, at every layer, costs what has
// arrived.
func TestAncestorLengthBombs(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	type blob struct{ B []byte }
	const opBlob = 2000
	n := w.node(nil, withWitness(&seen), func(n *engine.Network) {
		if err := engine.Handle(n, opBlob, func(*engine.ComponentContext, *blob) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
	huge := binary.LittleEndian.AppendUint32(nil, 0xffffffff)
	bombs := map[string]func(){
		"handshake": func() { s := meet(t, n); s.write([]byte{0xff, 0xff}); s.hungUp() },
		"record":    func() { s := greet(t, n); s.write([]byte{0xff, 0xff, 0xff, 0, 1, 2}); s.hungUp() },
		"frame": func() {
			s := greet(t, n)
			s.write(s.seal([]byte{0xff, 0xff, 0xff, 0, 0xd0, 7, 0, 0, 0, 0, 0, 0}))
			s.hungUp()
		},
		"message": func() {
			before := n.Stats().Undecodable
			s := greet(t, n)
			s.frames(framing.Frame{Op: opBlob, Payload: huge})
			w.Until("it to be counted", func() bool { return n.Stats().Undecodable > before })
			s.conn.Close()
		},
	}
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			bomb() // what is made once is made
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			const times = 10
			for range times {
				bomb()
			}
			runtime.ReadMemStats(&after)
			if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 2<<20 {
				t.Errorf("%d bytes for each bomb, both sides and the handshake included", each)
			}
		})
	}
	t.Run("begun", func(t *testing.T) { // the largest legal claims, and nothing behind them
		const strangers = 20
		for range strangers {
			s := greet(t, n)
			s.write(s.seal(make([]byte, framing.RecordGather))[:10])
		}
		w.Until("the strangers", func() bool { return n.Stats().Peers >= strangers })
		if held := n.Stats().BufferBytes; held > strangers*4<<10 {
			t.Errorf("%d bytes of buffers for %d records of which 10 bytes have come", held, strangers)
		}
	})
}

// The sender was whoever a message said it was.
func TestAncestorSenderUnproven(t *testing.T) {
	w := liveWorld(t)
	var mu sync.Mutex
	var from []identity.ID
	c := &witness{on: func(ctx *engine.ComponentContext) error {
		mu.Lock()
		defer mu.Unlock()
		from = append(from, ctx.Client().ID())
		if identity.PublicKey(ctx.Client().PublicKey()) == (identity.PublicKey{}) {
			t.Error("no public key")
		}
		return nil
	}}
	n := w.node(nil, withWitness(c))
	victim := w.key(60)
	s := greet(t, n)
	claimed := victim.ID()
	s.frames(note(claimed[:]))
	w.Until("the note", func() bool { mu.Lock(); defer mu.Unlock(); return len(from) == 1 })
	if from[0] != s.key.ID() {
		t.Errorf("the sender is %v, want the proven %v", from[0], s.key.ID())
	}
	rec, err := victim.NewRecord(nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	thief := greetAs(t, n, w.key(61), func(c *handshake.Config) { c.Record = rec.Append(nil) })
	thief.hungUp()
	w.Until("it to be counted", func() bool { return n.Stats().HandshakesFailed == 1 })
	if _, ok := n.ConnMgr().Peer(victim.ID()); ok {
		t.Error("somebody is connected under another's identity")
	}
}

// A second connection of the same peer was accepted and read.
func TestAncestorSecondConnection(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(nil, withWitness(&seen))
	key := w.key(70)
	first := greetAs(t, n, key, nil)
	w.Until("the first", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	second := greetAs(t, n, key, nil)
	second.frames(framing.Frame{Op: opcode.CreditCode, Payload: binary.LittleEndian.AppendUint64(nil, 1<<20)}, note([]byte("second")))
	if code, ok := second.lastWord(); ok && code != engine.CodeDuplicate {
		t.Errorf("the second connection is closed for %v", code)
	}
	second.hungUp()
	first.frames(framing.Frame{Op: opcode.CreditCode, Payload: binary.LittleEndian.AppendUint64(nil, 1<<20)}, note([]byte("first")))
	w.Until("the note", func() bool { _, _, notes := seen.count(); return notes > 0 })
	if got := seen.seen(); !slices.Equal(got, []string{"up", "first"}) {
		t.Errorf("the component saw %q", got)
	}
	if s := n.Stats(); s.Duplicates != 1 || s.Peers != 1 {
		t.Errorf("%d duplicates, %d peers", s.Duplicates, s.Peers)
	}
}

// A goroutine was started for each message: their order was lost. Here three peers send at the same time, each through
// both the waiting and the trying call.
func TestAncestorOrderLost(t *testing.T) {
	worlds(t, func(w *world) {
		var mu sync.Mutex
		got := map[identity.ID][]uint32{}
		c := &witness{on: func(ctx *engine.ComponentContext) error {
			mu.Lock()
			defer mu.Unlock()
			id := ctx.Client().ID()
			got[id] = append(got[id], binary.LittleEndian.Uint32(ctx.Payload()))
			return nil
		}}
		n := w.node(nil, withWitness(c))
		const peers, notes = 3, 3000
		var from []*engine.PeerClient
		for range peers {
			from = append(from, w.dial(w.node(nil), n))
		}
		w.Do(func() {
			var wait sync.WaitGroup
			for _, p := range from {
				wait.Go(func() {
					for i := range uint32(notes) {
						b := binary.LittleEndian.AppendUint32(nil, i)
						if p.TrySendRaw(opNote, b) == nil {
							continue
						}
						if err := p.SendRaw(brief(w), opNote, b); err != nil {
							w.Error(err)
						}
					}
				})
			}
			wait.Wait()
		})
		total := func() int {
			mu.Lock()
			defer mu.Unlock()
			sum := 0
			for _, g := range got {
				sum += len(g)
			}
			return sum
		}
		w.Until("all notes", func() bool { return total() >= peers*notes })
		for id, g := range got {
			for i, v := range g {
				if uint32(i) != v {
					w.Fatalf("note %d of %s is %d", i, id.Short(), v)
				}
			}
		}
	})
}

// The library ended the process on a signal, printed for every message, and collected garbage when it liked. The source
// says that none of this is here. engine/lab is for tests, and starts processes of their binary: it is one.
func TestAncestorManners(t *testing.T) {
	banned := map[string]string{
		"os.Exit": "a library does not end the process", "fmt.Print": "standard output is the program's",
		"fmt.Printf": "standard output is the program's", "fmt.Println": "standard output is the program's",
		"os.Stdout": "standard output is the program's", "os.Stderr": "so is standard error",
		"signal.Notify": "signals are the program's", "runtime.GC": "so is the collector",
		"debug.FreeOSMemory": "so is the collector", "slog.SetDefault": "so is the logger",
	}
	bannedImports := map[string]string{"log": "slog, given by Config, is the logger", "os/signal": "signals are the program's",
		"net/http/pprof": "it registers itself with a global"}
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && path == "lab" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			if why := bannedImports[name]; why != "" {
				t.Errorf("%v: import %q: %s", set.Position(i.Pos()), name, why)
			}
		}
		ast.Inspect(f, func(node ast.Node) bool {
			switch x := node.(type) {
			case *ast.SelectorExpr:
				if pkg, ok := x.X.(*ast.Ident); ok {
					if why := banned[pkg.Name+"."+x.Sel.Name]; why != "" {
						t.Errorf("%v: %s.%s: %s", set.Position(x.Pos()), pkg.Name, x.Sel.Name, why)
					}
				}
			case *ast.CallExpr:
				if f, ok := x.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
					t.Errorf("%v: %s", set.Position(x.Pos()), f.Name)
				}
			case *ast.FuncDecl:
				if x.Recv == nil && x.Name.Name == "init" {
					t.Errorf("%v: an init function: two Networks would share what it does", set.Position(x.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 40 {
		t.Errorf("only %d files have been read: is the path right?", files)
	}
}

// Logs are silent by default, and what a logger is given never holds a key or a payload.
func TestAncestorChattyLogs(t *testing.T) {
	w := liveWorld(t)
	var log lockedBuffer
	var seen witness
	n := w.node(func(c *engine.Config) { c.Logger = log.logger() }, withWitness(&seen))
	p := w.dial(w.node(nil), n)
	for range 1000 {
		if err := p.TrySendRaw(opNote, []byte("a very private payload")); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("the notes", func() bool { _, _, notes := seen.count(); return notes == 1000 })
	if got := log.Bytes(); bytes.Contains(got, []byte("private")) || bytes.Count(got, []byte("\n")) > 20 {
		t.Errorf("for 1000 messages the log says\n%s", got[:min(len(got), 4000)])
	}
}

// What has ended well leaves no clock behind: a connection whose handshake, requests, gate and large messages are long over
// is still there an hour later, and holds nothing.
func TestNoClockIsLeftBehind(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Cut: 0.5})
	var seen witness
	a, b := w.node(nil), w.node(nil, withWitness(&seen))
	p := w.dial(a, b)
	w.Until("b to see a", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	w.Do(func() {
		gate, err := seen.peer(0).LockOnReceive(brief(t), opTold)
		if err != nil {
			t.Error(err)
			return
		}
		if err := p.TrySendRaw(opTold, make([]byte, 300_000)); err != nil {
			t.Error(err)
		}
		if _, err := gate.Receive(brief(t)); err != nil {
			t.Error(err)
		}
		gate.Unlock()
		if _, _, err := p.RequestRaw(brief(t), opAsk, make([]byte, 100_000), nil); err != nil {
			t.Error(err)
		}
	})
	answered := 0
	if err := p.RequestRawAsync(opAsk, nil, time.Second, func(_ *engine.ComponentContext, err error) {
		if answered++; err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Error(err)
	}
	w.Pass(time.Hour)
	if !p.Connected() || !seen.peer(0).Connected() {
		t.Errorf("after an hour: %v, %v", p.CloseReason(), seen.peer(0).CloseReason())
	}
	if answered != 1 {
		t.Errorf("a request has ended %d times", answered)
	}
	for _, n := range []*engine.Network{a, b} {
		if s := n.Stats(); s.BufferBytes != 0 || s.FaultsOurs+s.FaultsPath+s.FaultsPeers != 0 {
			t.Errorf("after an hour: %+v", s)
		}
	}
}
