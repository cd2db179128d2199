package natmap

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// native prints an address as the kernel does on this machine.
func native(s string) string {
	a := netip.MustParseAddr(s).As4()
	return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(a[:]))
}

const routeHead = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

// line is a line of /proc/net/route.
func line(iface, destination, gateway, flags, metric, mask string) string {
	return strings.Join([]string{iface, native(destination), native(gateway), flags, "0", "0", metric, native(mask), "0", "0", "0"}, "\t") + "\n"
}

// The table is read with care: only default routes that are up and have a gateway, the best first.
func TestDefaultRoutes(t *testing.T) {
	plain := line("eth0", "0.0.0.0", "192.168.1.1", "0003", "100", "0.0.0.0")
	for _, c := range []struct {
		name, table string
		want        []string
	}{
		{"plain", plain, []string{"eth0 192.168.1.1"}},
		{"none", "", nil},
		{"two gateways, the better one last", plain + line("wlan0", "0.0.0.0", "10.0.0.1", "0003", "50", "0.0.0.0"),
			[]string{"wlan0 10.0.0.1", "eth0 192.168.1.1"}},
		{"equal metrics keep their order", plain + line("wlan0", "0.0.0.0", "10.0.0.1", "0003", "100", "0.0.0.0"),
			[]string{"eth0 192.168.1.1", "wlan0 10.0.0.1"}},
		{"the local network first", line("eth0", "192.168.1.0", "0.0.0.0", "0001", "0", "255.255.255.0") + plain, []string{"eth0 192.168.1.1"}},
		{"no gateway", line("tun0", "0.0.0.0", "0.0.0.0", "0001", "0", "0.0.0.0"), nil},
		{"a gateway that is none", line("tun0", "0.0.0.0", "0.0.0.0", "0003", "0", "0.0.0.0"), nil},
		{"down", line("eth0", "0.0.0.0", "192.168.1.1", "0002", "0", "0.0.0.0"), nil},
		{"half of the internet", line("tun0", "0.0.0.0", "10.8.0.1", "0003", "0", "128.0.0.0"), nil},
		{"a host route", line("eth0", "9.9.9.9", "192.168.1.1", "0007", "0", "255.255.255.255"), nil},
		{"cut off", strings.Join(strings.Fields(plain)[:7], "\t"), nil},
		{"not hexadecimal", strings.Replace(plain, native("192.168.1.1"), "0101A8CG", 1), nil},
		{"too long an address", strings.Replace(plain, native("192.168.1.1"), native("192.168.1.1")+"00", 1), nil},
		{"not a number", strings.Replace(plain, "100", "1e2", 1), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, r := range defaultRoutes(strings.NewReader(routeHead + c.table)) {
				got = append(got, r.Interface+" "+r.Gateway.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Law: whatever the table says, a route has a gateway that is an address, and the best is first.
func FuzzRoutes(f *testing.F) {
	f.Add(routeHead + line("eth0", "0.0.0.0", "192.168.1.1", "0003", "100", "0.0.0.0"))
	f.Add("a b c d e f g h")
	f.Fuzz(func(t *testing.T, table string) {
		var last uint64
		for _, r := range defaultRoutes(strings.NewReader(table)) {
			if !r.Gateway.Is4() || r.Gateway.IsUnspecified() || r.Metric < last {
				t.Fatalf("%+v", r)
			}
			last = r.Metric
		}
	})
}

// The named gateway needs no table, and the local address is the one towards it.
func TestFindGateway(t *testing.T) {
	g, err := findGateway(netip.MustParseAddr("127.0.0.1"))
	if err != nil || g.Local != g.Addr || g.Interface != "" {
		t.Errorf("%+v, %v", g, err)
	}
}
