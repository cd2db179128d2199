package natmap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// ssdpGroup is where devices listen for searches.
var ssdpGroup = netip.MustParseAddrPort("239.255.255.250:1900")

// question is a search for root devices: UPnP Device Architecture 2.0, section 1.3.2. It is sent from this file, and not by
// goupnp, because that waits for its whole time-out, keeps every answer of a flood, logs what it cannot read, and does not
// tell who has answered.
const question = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n"

// search looks for the description of the gateway: a location is taken from no one but the gateway, and only if it is on
// the gateway. strangers are addresses that have answered and are not: other devices, or somebody who would like to be it.
func search(ctx context.Context, g Gateway) (locations []*url.URL, strangers []netip.Addr, err error) {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, "udp4", netip.AddrPortFrom(g.Local, 0).String())
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSilent, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := c.(*net.UDPConn)
	if err := ask(conn, g.Addr); err != nil {
		return nil, nil, err
	}
	end := time.Now().Add(searchTimeout)
	_ = conn.SetReadDeadline(end.Add(-searchTimeout / 2))
	again := true
	buf := make([]byte, datagramLimit)
	for range answerLimit {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, context.Canceled) || ctx.Err() != nil {
			break
		}
		if err != nil { // time-out, or a port that is unreachable
			if !again {
				break
			}
			again = false
			_ = ask(conn, g.Addr)
			_ = conn.SetReadDeadline(end)
			continue
		}
		who := from.Addr().Unmap()
		if who != g.Addr {
			if len(strangers) < strangersLimit && !slices.Contains(strangers, who) {
				strangers = append(strangers, who)
			}
			continue
		}
		if loc, ok := location(buf[:n], g.Addr); ok {
			return []*url.URL{loc}, strangers, nil
		}
	}
	return nil, strangers, ErrSilent
}

// ask sends the search to the gateway itself, for networks that lose what is sent to groups, and to all, for devices that
// listen to nothing else. A gateway on this host is no business of the network's.
func ask(c *net.UDPConn, gateway netip.Addr) error {
	_, err := c.WriteToUDPAddrPort([]byte(question), netip.AddrPortFrom(gateway, ssdpGroup.Port()))
	if !gateway.IsLoopback() {
		if _, err2 := c.WriteToUDPAddrPort([]byte(question), ssdpGroup); err2 == nil {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return nil
}

// location reads an answer to a search.
func location(answer []byte, gateway netip.Addr) (*url.URL, bool) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		return nil, false
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, false
	}
	loc, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || !onGateway(loc, gateway) {
		return nil, false
	}
	return loc, true
}

// onGateway reports whether a URL leads to the gateway and nowhere else. Names are not looked up.
func onGateway(u *url.URL, gateway netip.Addr) bool {
	host, err := netip.ParseAddr(u.Hostname())
	return err == nil && host == gateway && u.Scheme == "http" && u.User == nil
}
