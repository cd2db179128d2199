package natmap

import (
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fake is a gateway on a loopback address of its own. By default it behaves; every answer can be replaced. Its mappings are
// in table, by "udp 4001".
type fake struct {
	at   netip.Addr
	http string // host and port of its device

	mu       sync.Mutex
	address  string            // external
	table    map[string]uint16 // external port -> internal, "udp 4001"
	deaf     bool              // to NAT-PMP
	pmp      func(req []byte) []byte
	found    func(location string) string // the answer to a search
	asker    net.Addr                     // who has searched last
	device   http.HandlerFunc             // the description
	soap     func(action string, args map[string]string) (int, string)
	searches int
	calls    []string
}

// loopback is an address that no other test uses: the ports of the protocols are fixed.
func loopback() netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(1 + rand.N(250)), byte(rand.N(250)), byte(1 + rand.N(250))})
}

func newFake(t testing.TB) *fake {
	f := &fake{at: loopback(), address: "25.64.0.10", table: map[string]uint16{}}
	f.pmp, f.found, f.device, f.soap = f.goodPMP, goodFound, f.goodDevice, f.goodSOAP
	f.listen(t, 5351, func(req []byte) []byte {
		if f.deaf {
			return nil
		}
		return f.pmp(req)
	})
	l, err := net.Listen("tcp4", netip.AddrPortFrom(f.at, 0).String())
	if err != nil {
		t.Skipf("no loopback address but one here: %v", err)
	}
	f.http = l.Addr().String()
	f.listen(t, 1900, func([]byte) []byte {
		f.searches++
		return []byte(f.found("http://" + f.http + "/root.xml"))
	})
	srv := &http.Server{Handler: f}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-served })
	return f
}

// listen answers datagrams; an empty answer is none.
func (f *fake) listen(t testing.TB, port uint16, answer func([]byte) []byte) {
	c, err := net.ListenPacket("udp4", netip.AddrPortFrom(f.at, port).String())
	if err != nil {
		t.Skipf("no loopback address but one here: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			f.mu.Lock()
			f.asker = from
			out := answer(buf[:n])
			f.mu.Unlock()
			if len(out) > 0 {
				_, _ = c.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-ended })
}

// set changes the fake while it runs.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) gateway() Gateway {
	return Gateway{Addr: f.at, Local: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
}

func (f *fake) mapped(key string) uint16 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.table[key]
}

// goodPMP answers as RFC 6886 has it.
func (f *fake) goodPMP(req []byte) []byte {
	if req[1] == 0 {
		out := []byte{0, 128, 0, 0, 0, 0, 1, 0}
		a := netip.MustParseAddr(f.address).As4()
		return append(out, a[:]...)
	}
	internal, external := binary.BigEndian.Uint16(req[4:]), binary.BigEndian.Uint16(req[6:])
	key := map[byte]string{1: "udp ", 2: "tcp "}[req[1]]
	if lifetime := binary.BigEndian.Uint32(req[8:]); lifetime == 0 {
		for k, v := range f.table {
			if v == internal && strings.HasPrefix(k, key) {
				delete(f.table, k)
			}
		}
	} else {
		f.table[key+fmt.Sprint(external)] = internal
	}
	out := append([]byte{0, req[1] | 128, 0, 0, 0, 0, 1, 0}, req[4:8]...)
	return append(out, req[8:12]...)
}

func goodFound(location string) string {
	return "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: upnp:rootdevice\r\nUSN: uuid:1::upnp:rootdevice\r\nLOCATION: " + location + "\r\n\r\n"
}

// description is a device with one service, nested as the standard has it.
func description(service, control, urlBase string) string {
	return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>` + urlBase +
		`<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>fake</friendlyName><deviceList><device>` +
		`<deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType>` +
		`<serviceList><service><serviceType>urn:schemas-upnp-org:service:` + service + `</serviceType><controlURL>` + control + `</controlURL></service></serviceList>` +
		`</device></deviceList></device></deviceList></device></root>`
}

func (f *fake) goodDevice(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, description("WANIPConnection:2", "/control", ""))
}

// ServeHTTP serves the description and the calls.
func (f *fake) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		f.mu.Lock()
		device := f.device
		f.mu.Unlock()
		device(w, req)
		return
	}
	action := strings.Trim(req.Header.Get("SOAPACTION"), `"`)
	action = action[strings.LastIndex(action, "#")+1:]
	args := soapArgs(req.Body)
	f.mu.Lock()
	f.calls = append(f.calls, action)
	status, body := f.soap(action, args)
	f.mu.Unlock()
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// soapArgs are the leaves of a call.
func soapArgs(r io.Reader) map[string]string {
	args, name := map[string]string{}, ""
	for dec := xml.NewDecoder(r); ; {
		tok, err := dec.Token()
		if err != nil {
			return args
		}
		switch x := tok.(type) {
		case xml.StartElement:
			name = x.Name.Local
		case xml.CharData:
			args[name] = string(x)
		case xml.EndElement:
			name = ""
		}
	}
}

func soapAnswer(action, inside string) string {
	return `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:` +
		action + `Response xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:2">` + inside + `</u:` + action + `Response></s:Body></s:Envelope>`
}

func soapFault(code int) (int, string) {
	return 500, fmt.Sprintf(`<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><s:Fault>`+
		`<faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode>`+
		`<errorDescription>no</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code)
}

func (f *fake) goodSOAP(action string, args map[string]string) (int, string) {
	key := strings.ToLower(args["NewProtocol"]) + " " + args["NewExternalPort"]
	switch action {
	case "GetExternalIPAddress":
		return 200, soapAnswer(action, "<NewExternalIPAddress>"+f.address+"</NewExternalIPAddress>")
	case "AddPortMapping":
		var internal uint16
		_, _ = fmt.Sscan(args["NewInternalPort"], &internal)
		f.table[key] = internal
		return 200, soapAnswer(action, "")
	case "DeletePortMapping":
		delete(f.table, key)
		return 200, soapAnswer(action, "")
	case "GetGenericPortMappingEntry":
		if args["NewPortMappingIndex"] != "0" {
			return soapFault(713)
		}
		return 200, soapAnswer(action, "<NewRemoteHost></NewRemoteHost><NewExternalPort>80</NewExternalPort><NewProtocol>TCP</NewProtocol>"+
			"<NewInternalPort>8080</NewInternalPort><NewInternalClient>192.168.1.3</NewInternalClient><NewEnabled>1</NewEnabled>"+
			"<NewPortMappingDescription>web\u0085</NewPortMappingDescription><NewLeaseDuration>60</NewLeaseDuration>")
	case "GetSpecificPortMappingEntry":
		internal, ok := f.table[key]
		if !ok {
			return soapFault(714)
		}
		return 200, soapAnswer(action, fmt.Sprintf("<NewInternalPort>%d</NewInternalPort><NewInternalClient>127.0.0.1</NewInternalClient>"+
			"<NewEnabled>1</NewEnabled><NewPortMappingDescription>x</NewPortMappingDescription><NewLeaseDuration>60</NewLeaseDuration>", internal))
	}
	return soapFault(401)
}

// until waits for a condition that the test's own goroutines bring about.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	giveUp := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
