// Package lab gives tests a small internet of network namespaces: two home routers with real NAT and a real gateway daemon
// (miniupnpd: UPnP IGD, NAT-PMP), hosts behind them, a public side, and faults on every link. It is support for tests and no
// part of a node.
//
//	lan-a   192.168.101.2 \                                        25.64.0.1 .. .5
//	                       [router-a]  25.64.0.10 ---+------------- wan (five public addresses)
//	lan-a2  192.168.101.3 /  192.168.101.1           |
//	lan-b   192.168.102.2 -- [router-b] 25.64.0.20 --+
//	                         192.168.102.1
//
// Nothing in it is linked to the machine's own network: its public addresses exist in it alone. A helper may send to them
// only from inside, which Start sees to.
//
// # In a test
//
// Require builds a lab of its own for the test and takes it down after it, also when the test is killed. Any number of labs
// stand side by side. It skips the test unless CARRIER_LAB is set in the environment, and where no lab can be: without root,
// without the packages that `natlab.sh deps` installs, off Linux. With CARRIER_LAB=require it fails there instead.
//
//	l := lab.Require(t, "NATLAB_NAT_A=symmetric")
//	server := l.Start("wan", "serve")                    // a process of this test binary, inside the namespace
//	addr := server.Expect("ready ")                      // waits for a line that begins so, returns the rest
//	client := l.Start("lan-a", "dial", addr)
//	l.Do("gw", "a", "restart")                           // natlab.sh
//	l.Fault("loss", "wan", "10")                         // faultlab.sh
//	client.Say("go on")                                  // a line on its standard input
//
// What runs inside is a Helper, by name. TestMain hands them over before anything else; a process that was started as a
// helper runs it and never returns from there:
//
//	func TestMain(m *testing.M) {
//		lab.Helpers(map[string]lab.Helper{"serve": serve, "dial": dial})
//		goleak.VerifyTestMain(m)
//	}
//
// A process is entered from outside (`ip netns exec`) and not with setns in the test: the runtime moves goroutines between
// threads, and a namespace belongs to a thread.
//
// # Routers
//
// `l.Do("nat", "a", MODE)`, or NATLAB_NAT_A=MODE at the start:
//
//	MODE       mapping                     filtering
//	none       no NAT, a plain router      open
//	cone       endpoint independent        endpoint independent (UDP; TCP as port)
//	addr       endpoint independent        by address           (UDP; TCP as port)
//	port       endpoint independent        by address and port  (the default)
//	symmetric  by address and port         by address and port
//
// `gw a stop|start|restart|crash|mute|unmute` switches the gateway daemon; `renumber a 11` gives the router another public
// address, 25.64.0.11; `udp a off`, `udp-timeout a 5`, `forget a` do what they say. Router a is an IGD of version 2, b of
// version 1. NATLAB_WAN=100.64.7 puts both behind a carrier-grade NAT's addresses, where they refuse to map. A router drops
// packets it does not know and has no hairpin. natlab.sh and faultlab.sh without arguments list all there is.
package lab
