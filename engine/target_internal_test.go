package engine

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Addresses of a name are tried in turn, until one works or nobody waits any more.
func TestFirstOf(t *testing.T) {
	var ts []Target
	for _, s := range []string{"tcp://[::1]:1", "tcp://127.0.0.1:1", "tcp://127.0.0.2:1"} {
		a, err := transport.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		ts = append(ts, Target{Addr: a})
	}
	refused := errors.New("refused")
	for _, c := range []struct {
		name        string
		works, ends int // which of them, if any
		tried       int
		err         string
	}{
		{"the first", 0, -1, 1, ""},
		{"the second", 1, -1, 2, ""},
		{"none", -1, -1, 3, "dial tcp://[::1]:1: refused; dial tcp://127.0.0.1:1: refused; dial tcp://127.0.0.2:1: refused"},
		{"the caller goes", -1, 0, 1, "engine: dial tcp://[::1]:1: refused"},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		p, tried := &PeerClient{}, []Target(nil)
		got, err := firstOf(ctx, ts, func(_ context.Context, at Target) (*PeerClient, error) {
			tried = append(tried, at)
			if c.ends == len(tried)-1 {
				cancel()
			}
			if c.works == len(tried)-1 {
				return p, nil
			}
			return nil, dialFailed(at, refused)
		})
		cancel()
		if !slices.Equal(tried, ts[:c.tried]) {
			t.Errorf("%s: tried %v", c.name, tried)
		}
		switch {
		case c.err == "" && (got != p || err != nil):
			t.Errorf("%s: %v, %v", c.name, got, err)
		case c.err != "" && (got != nil || err == nil || err.Error() != c.err || !errors.Is(err, refused)):
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// What is no address is told as such before anybody is asked.
func TestResolve(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", `transport: not an address: "" has no scheme such as tcp://`},
		{"127.0.0.1:4001", `transport: not an address: "127.0.0.1:4001" has no scheme such as tcp://`},
		{"tcp://127.0.0.1", `transport: not an address: "tcp://127.0.0.1": want a host and a port, such as tcp://198.51.100.7:4001`},
	} {
		ts, err := resolve(t.Context(), c.in)
		if err == nil || err.Error() != c.want || !errors.Is(err, transport.ErrAddress) || ts != nil {
			t.Errorf("%q: %v, %v, want %s", c.in, ts, err, c.want)
		}
	}
	ts, err := resolve(t.Context(), "tcp://localhost:4001")
	if err != nil || len(ts) == 0 || len(ts) > namedAddrs {
		t.Fatalf("localhost: %v, %v", ts, err)
	}
	for _, at := range ts {
		if !at.Addr.Addr().IsLoopback() || at.Addr.Port() != 4001 {
			t.Errorf("localhost leads to %v", at)
		}
	}
}
