package handshake

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/engine/transport"
)

func TestParamsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Params{Instance: rapid.Uint64().Draw(t, "instance"), Agent: rapid.StringMatching(`[ -~]{0,64}`).Draw(t, "agent"),
			Compression: rapid.Uint8().Draw(t, "compression")}
		if rapid.Bool().Draw(t, "observed") {
			ip := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip")))
			want.Observed = transport.Addr{Proto: transport.UDP, AddrPort: netip.AddrPortFrom(ip, rapid.Uint16().Draw(t, "port"))}
		}
		got, err := ParseParams(want.Append(nil))
		if err != nil || got != want {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	})
}

func TestParseParams(t *testing.T) {
	instance := []byte{paramInstance, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0}
	agent := []byte{paramAgent, 2, 0, 'o', 'k'}
	observed := []byte{paramObserved, 8, 0, 1, 4, 10, 0, 0, 1, 1, 0}
	compression := []byte{paramCompression, 1, 0, 1}
	unknown := []byte{99, 3, 0, 1, 2, 3}
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	all := Params{Instance: 7, Agent: "ok", Observed: addr(t, "tcp://10.0.0.1:1"), Compression: 1}
	tests := []struct {
		name string
		b    []byte
		want Params
		ok   bool
	}{
		{"nothing", nil, Params{}, true},
		{"all", cat(instance, agent, observed, compression), all, true},
		{"all backwards", cat(compression, observed, agent, instance), all, true},
		{"unknown in between, twice", cat(unknown, instance, unknown, agent, compression, observed), all, true},
		{"unknown and empty", []byte{255, 0, 0}, Params{}, true},
		{"as long as allowed", cat([]byte{99, 0xfd, 0x03}, make([]byte, ParamsSizeLimit-3)), Params{}, true},
		{"longer than allowed", cat([]byte{99, 0xfe, 0x03}, make([]byte, ParamsSizeLimit-2)), Params{}, false},
		{"instance twice", cat(instance, instance), Params{}, false},
		{"agent twice, apart", cat(agent, unknown, agent), Params{}, false},
		{"observed twice", cat(observed, observed), Params{}, false},
		{"compression twice", cat(compression, compression), Params{}, false},
		{"compression empty", []byte{paramCompression, 0, 0}, Params{}, false},
		{"compression of 2 bytes", []byte{paramCompression, 2, 0, 1, 0}, Params{}, false},
		{"number 0", []byte{0, 0, 0}, Params{}, false},
		{"type alone", []byte{paramAgent}, Params{}, false},
		{"half a length", []byte{paramAgent, 1}, Params{}, false},
		{"cut off", agent[:4], Params{}, false},
		{"unknown cut off", unknown[:5], Params{}, false},
		{"instance of 7 bytes", cat([]byte{paramInstance, 7, 0}, make([]byte, 7)), Params{}, false},
		{"instance of 9 bytes", cat([]byte{paramInstance, 9, 0}, make([]byte, 9)), Params{}, false},
		{"longest agent", cat([]byte{paramAgent, AgentLimit, 0}, bytes.Repeat([]byte{'x'}, AgentLimit)), Params{Agent: strings.Repeat("x", AgentLimit)}, true},
		{"agent too long", cat([]byte{paramAgent, AgentLimit + 1, 0}, bytes.Repeat([]byte{'x'}, AgentLimit+1)), Params{}, false},
		{"agent with escape", []byte{paramAgent, 1, 0, 0x1b}, Params{}, false},
		{"agent with delete", []byte{paramAgent, 1, 0, 0x7f}, Params{}, false},
		{"agent with an umlaut", []byte{paramAgent, 2, 0, 0xc3, 0xa4}, Params{}, false},
		{"observed with a byte too many", cat([]byte{paramObserved, 9, 0}, observed[3:], []byte{0}), Params{}, false},
		{"observed, IP version 5", []byte{paramObserved, 8, 0, 1, 5, 10, 0, 0, 1, 1, 0}, Params{}, false},
		{"observed empty", []byte{paramObserved, 0, 0}, Params{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseParams(tt.b)
			if got != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrMessage) {
				t.Errorf("ParseParams(%x) = %+v, %v, want %+v, ok %v", tt.b, got, err, tt.want, tt.ok)
			}
		})
	}
}

// Law: what parses, appends and parses again to the same; known values are bounded; errors are ErrMessage.
func FuzzParseParams(f *testing.F) {
	p := Params{Instance: 1, Agent: "a", Observed: transport.Addr{Proto: 1, AddrPort: netip.MustParseAddrPort("10.0.0.1:1")}}
	f.Add(p.Append(nil))
	f.Add([]byte{99, 3, 0, 1, 2, 3})
	f.Add([]byte{paramAgent, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseParams(b)
		if err != nil {
			if !errors.Is(err, ErrMessage) || p != (Params{}) {
				t.Fatalf("%+v, %v", p, err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("parsed what may not be sent: %v", err)
		}
		again, err := ParseParams(p.Append(nil))
		if err != nil || again != p {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}
