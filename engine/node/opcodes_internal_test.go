package node

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/opcode"
)

// Every stock component names the opcodes that it wants. One that does not is shown every message of the application, which costs
// each of them, and makes the engine believe that somebody has taken what nobody knows.
func TestStockComponentsNameOpcodes(t *testing.T) {
	cfg := Config{MapPorts: true, Reconnect: &backoff.Config{}, Overlay: &Overlay{}}
	all, err := cfg.components(nil)
	if err != nil {
		t.Fatal(err)
	}
	relays, err := proxy.New(cfg.Relay)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(all, relays) {
		s, ok := c.(engine.Subscriber)
		if !ok {
			t.Errorf("%T sees every message", c)
			continue
		}
		for _, op := range s.Opcodes() {
			if op >= opcode.ApplicationOpCodeStart {
				t.Errorf("%T wants the application's %v", c, op)
			}
		}
	}
}
