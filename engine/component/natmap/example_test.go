package natmap_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/natmap"
)

// The machine says what to ask of the gateway; here the gateway is a few lines that agree to everything. A node uses the
// Component, which makes the calls, or node.Config.MapPorts.
func ExampleMachine() {
	m := natmap.NewMachine(10 * time.Minute)
	m.Gateway(0, natmap.Gateway{Addr: netip.MustParseAddr("192.168.1.1"), Local: netip.MustParseAddr("192.168.1.7")})
	m.Want(0, []natmap.Port{{Number: 4001}})
	for now := time.Duration(0); ; now += time.Millisecond {
		act, ok := m.Next()
		if !ok {
			break
		}
		r := natmap.Result{Action: act, Address: netip.MustParseAddr("25.64.0.10"), External: act.External, Lifetime: act.Lifetime}
		if act.Via == natmap.UPnP {
			r = natmap.Result{Action: act, Err: natmap.ErrSilent}
		}
		fmt.Println(act.Verb == natmap.Map, act.Via, r.Err)
		m.Receive(now, r)
	}
	for _, x := range m.Mappings() {
		fmt.Println(x.Port, "is reachable at", x.External)
	}
	fmt.Println("to be renewed or checked in", m.Deadline().Round(time.Second))
	// Output:
	// false NAT-PMP <nil>
	// false UPnP natmap: the gateway does not answer
	// true NAT-PMP <nil>
	// tcp/4001 is reachable at 25.64.0.10:4001
	// to be renewed or checked in 1s
}
