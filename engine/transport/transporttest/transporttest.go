// Package transporttest is the transport contract as tests: what every twin of transport.Transport must do, whether it
// moves bytes through the kernel or through a simulation.
//
// A twin's own test calls Run with a function that makes a Net: a place where transports of that kind can reach each
// other. Nothing here reads a clock or sleeps. Each test says what it is waiting for, and Net.Step lets something
// happen, so the same tests run in real and in virtual time:
//
//	test ──start, dial, write──▶ Transport ──Opened, Bytes, …──▶ recorder (checks every call, writes it down)
//	  ▲                                                              │
//	  └────────────── await(condition): Step until it holds ◀────────┘ changed
//
// The recorder is the Sink of every transport under test. Besides writing down what it is told, it holds the rules that
// no single test owns: Opened comes first and once, nothing comes after Closed, a loop makes one call at a time, every
// dial has one outcome, Writable only follows a short Write, a link keeps its loop.
package transporttest

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A Net is where the transports of one test live. One test uses it, from one goroutine.
type Net struct {
	// New makes a transport that is not started. Run stops every transport it has started.
	New func() transport.Transport

	// Listen returns an address that a transport of this Net may be started on and that the others reach: port 0 or
	// free, another one at each call unless the port is 0.
	Listen func() transport.Addr

	// Refusing returns an address that no one listens on, so that a dial to it fails by itself.
	Refusing func() transport.Addr

	// Silent returns an address that never answers, so that only its context ends a dial. A nil Silent skips the
	// tests that need one.
	Silent func() transport.Addr

	// Step lets something happen and returns: true if there may be more to come, false if the wait is hopeless.
	// changed is signalled after every call to a Sink. A real transport waits for it, with a generous time-out; a
	// simulation ignores it and runs its next event.
	Step func(changed <-chan struct{}) bool

	// Serial skips the tests that call one transport from several goroutines at once.
	Serial bool
}

// Run runs the contract tests. newNet is called once for each.
func Run(t *testing.T, newNet func(t testing.TB) *Net) {
	for _, c := range []struct {
		name string
		test func(*kit)
	}{
		{"Start", testStart},
		{"ListenSeveral", testListenSeveral},
		{"AddressInUse", testAddressInUse},
		{"DialOnly", testDialOnly},
		{"OpenClose", testOpenClose},
		{"CloseByAcceptor", testCloseByAcceptor},
		{"CloseTwice", testCloseTwice},
		{"CloseInsideOpened", testCloseInsideOpened},
		{"CloseInsideBytes", testCloseInsideBytes},
		{"CloseDelivers", testCloseDelivers},
		{"CloseDuringWrites", testCloseDuringWrites},
		{"HalfClose", testHalfClose},
		{"LastWrite", testLastWrite},
		{"WriteAfterClose", testWriteAfterClose},
		{"WriteInsideOpened", testWriteInsideOpened},
		{"DialRefused", testDialRefused},
		{"DialCancelled", testDialCancelled},
		{"DialExpired", testDialExpired},
		{"DialAfterStop", testDialAfterStop},
		{"DialFromLoop", testDialFromLoop},
		{"Order", testOrder},
		{"ShortWrites", testShortWrites},
		{"QueueLimit", testQueueLimit},
		{"Owner", testOwner},
		{"ManyLinks", testManyLinks},
		{"WakeOnce", testWakeOnce},
		{"WakeNextTurn", testWakeNextTurn},
		{"WakeFromAnywhere", testWakeFromAnywhere},
		{"Alarm", testAlarm},
		{"AlarmReplaced", testAlarmReplaced},
		{"AlarmCleared", testAlarmCleared},
		{"StopWithLinks", testStopWithLinks},
		{"StopWithDials", testStopWithDials},
		{"StopTwice", testStopTwice},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &kit{T: t, net: newNet(t), changed: make(chan struct{}, 1)}
			defer k.stopAll()
			c.test(k)
		})
	}
}
