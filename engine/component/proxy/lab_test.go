package proxy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// helpers are what runs inside the lab; see TestMain.
var helpers = map[string]lab.Helper{"relay": labRelay, "reserve": labReserve, "talk": labTalk}

// A scale answers how many bytes of opNote have come.
type scale struct {
	engine.Component
	bytes uint64 // one peer at a time sends in these tests
}

func (s *scale) Receive(ctx *engine.ComponentContext) error {
	if !ctx.IsRequest() {
		s.bytes += uint64(len(ctx.Payload()))
		return nil
	}
	return ctx.ReplyRaw(opTold, binary.LittleEndian.AppendUint64(nil, s.bytes))
}

func labNode(seed byte, cfg proxy.Config, listen ...transport.Addr) (*engine.Network, *proxy.Component, error) {
	id, err := identity.FromSeed(context.Background(), [32]byte{seed}, identity.Puzzle{})
	if err != nil {
		return nil, nil, err
	}
	p, err := proxy.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	n, err := engine.New(engine.Config{Transport: gnetio.New(gnetio.Config{Loops: 1}), MoreTransports: []transport.Transport{p.Transport()},
		Identity: id, Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, HandshakeTimeout: time.Minute})
	if err != nil {
		return nil, nil, err
	}
	if err := n.AddComponent(p); err != nil {
		return nil, nil, err
	}
	if err := n.AddComponent(&scale{}, engine.Opcodes(opNote, opAsk)); err != nil {
		return nil, nil, err
	}
	return n, p, n.Start(context.Background())
}

// labRelay is a relay on the public side.
func labRelay(ctx context.Context, _ <-chan string, addr ...string) error {
	n, _, err := labNode(1, proxy.Config{Serve: true}, transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort(addr[0])})
	if err != nil {
		return err
	}
	fmt.Println("ready", n.Target())
	<-ctx.Done()
	return n.Shutdown(context.Background())
}

// labReserve is a node that only the relay makes reachable.
func labReserve(ctx context.Context, _ <-chan string, relay ...string) error {
	at, err := engine.ParseTarget(relay[0])
	if err != nil {
		return err
	}
	n, p, err := labNode(2, proxy.Config{Relays: []engine.Target{at}})
	if err != nil {
		return err
	}
	reachable(n, p)
	fmt.Println("reachable", engine.Target{Addr: p.Addrs()[0], ID: n.ID()})
	<-ctx.Done()
	return n.Shutdown(context.Background())
}

// labTalk dials what it is told, and says after how long it has had an answer and how many bytes per second went there.
func labTalk(ctx context.Context, lines <-chan string, _ ...string) error {
	ctx, cancel := context.WithTimeout(ctx, lab.ExpectTimeout) // and not SendTimeout, which a busy machine may need
	defer cancel()
	n, _, err := labNode(3, proxy.Config{})
	if err != nil {
		return err
	}
	for line := range lines {
		began := time.Now()
		p, err := n.Dial(ctx, line)
		if err != nil {
			return err
		}
		had, err := weigh(ctx, p)
		if err != nil {
			return err
		}
		fmt.Println("answered", time.Since(began), p.Relayed())
		rate, err := push(ctx, p, had)
		if err != nil {
			return err
		}
		fmt.Println("rate", rate)
	}
	return n.Shutdown(context.Background())
}

// weigh asks how many bytes have arrived.
func weigh(ctx context.Context, p *engine.PeerClient) (uint64, error) {
	_, got, err := p.RequestRaw(ctx, opAsk, nil, nil)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(got), nil
}

// push sends for some seconds to a peer that has had so many bytes, and returns bytes per second, as they have arrived.
func push(ctx context.Context, p *engine.PeerClient, had uint64) (int, error) {
	const size = 2 << 20
	body := make([]byte, 16<<10)
	began := time.Now()
	for range size / len(body) {
		if err := p.SendRaw(ctx, opNote, body); err != nil {
			return 0, err
		}
	}
	for {
		got, err := weigh(ctx, p)
		if err != nil {
			return 0, err
		}
		if got-had >= size {
			return int(size / time.Since(began).Seconds()), nil
		}
	}
}

// Two nodes behind routers that map by address and port, so that neither can be reached, and no hole can be
// punched, talk through a relay, and get at least half of what the relay's own link gives. The link is slow,
// so that it is what bounds both, and measured three times at most: a machine that is held up while it
// measures one of the two says nothing about them.
func TestBehindSymmetricNAT(t *testing.T) {
	l := lab.Require(t, "NATLAB_NAT_A=symmetric", "NATLAB_NAT_B=symmetric")
	for _, router := range []string{"a", "b"} {
		l.Fault("wire", router, "-delay", "10ms", "-rate", "5000000")
	}
	relay := l.Start("wan", "relay", "25.64.0.1:4001").Expect("ready ")
	outside := l.Start("lan-b", "talk")
	began := time.Now()
	addr := l.Start("lan-a", "reserve", relay).Expect("reachable ")
	// talk dials, and returns whether that went through the relay, and the bytes per second.
	talk := func(to string) (relayed string, rate int) {
		outside.Say("%s", to)
		took, relayed, _ := strings.Cut(outside.Expect("answered "), " ")
		t.Logf("%s: relayed %s, an answer %s after dialling, %v after the start", to, relayed, took, time.Since(began))
		if _, err := fmt.Sscan(outside.Expect("rate "), &rate); err != nil {
			t.Fatal(err)
		}
		return relayed, rate
	}
	for try := 1; ; try++ {
		how, through := talk(addr)
		if how != "true" {
			t.Fatalf("relayed: %s", how)
		}
		_, direct := talk(relay)
		t.Logf("%.1f Mbit/s relayed, %.1f to the relay itself", float64(through)*8e-6, float64(direct)*8e-6)
		if 2*through >= direct {
			return
		}
		if try == 3 {
			t.Fatalf("%d bytes a second relayed, %d to the relay itself", through, direct)
		}
	}
}
