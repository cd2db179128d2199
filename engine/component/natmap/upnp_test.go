package natmap

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huin/goupnp"
)

// brief is for calls that a fake lets hang.
func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// All the verbs, against a device that behaves, of each kind.
func TestUPnP(t *testing.T) {
	for _, service := range []string{"WANIPConnection:2", "WANIPConnection:1", "WANPPPConnection:1"} {
		t.Run(service, func(t *testing.T) {
			f := newFake(t)
			f.set(func() {
				f.device = func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, description(service, "/control", ""))
				}
			})
			d := newUPnP(f.gateway())
			r := d.do(t.Context(), action{Verb: verbProbe})
			if r.Err != nil || r.Address != outside1 || r.Device != "fake ("+service+")" || r.HasEpoch {
				t.Fatalf("probe: %+v", r)
			}
			r = d.do(t.Context(), action{Verb: verbMap, Port: udp4001, External: 4002, Lifetime: time.Minute})
			if r.Err != nil || r.External != 4002 || r.Lifetime != time.Minute || f.mapped("udp 4002") != 4001 {
				t.Fatalf("map: %+v", r)
			}
			r = d.do(t.Context(), action{Verb: verbProbe, Held: []held{{udp4001, 4002}, {tcp4001, 4002}}})
			if r.Err != nil || !slices.Equal(r.Missing, []Port{tcp4001}) {
				t.Fatalf("probe for two: %+v", r)
			}
			r = d.do(t.Context(), action{Verb: verbUnmap, Port: udp4001, External: 4002})
			if r.Err != nil || f.mapped("udp 4002") != 0 {
				t.Fatalf("unmap: %+v", r)
			}
			if f.searches != 1 {
				t.Errorf("%d searches for one device", f.searches)
			}
		})
	}
}

// Answers of a hostile or broken device, and what each is taken for. Nothing of them leads anywhere else.
func TestUPnPHostile(t *testing.T) {
	var astray atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { astray.Add(1) }))
	t.Cleanup(elsewhere.Close) // after the parallel tests
	say := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for _, c := range []struct {
		name  string
		spoil func(f *fake)
		want  error
	}{
		{"huge description", func(f *fake) {
			f.device = say(strings.Repeat("<!-- -->", descriptionLimit) + description("WANIPConnection:1", "/control", ""))
		}, ErrNonsense},
		{"malformed description", func(f *fake) { f.device = say("<root><device></root>") }, ErrNonsense},
		{"not XML", func(f *fake) { f.device = say("\x00\xff{}") }, ErrNonsense},
		{"empty", func(f *fake) { f.device = say("") }, ErrNonsense},
		{"nested without end", func(f *fake) { f.device = say("<root>" + strings.Repeat("<device>", 30000)) }, ErrNonsense},
		{"an error", func(f *fake) {
			f.device = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) }
		}, ErrNonsense},
		{"redirect elsewhere", func(f *fake) {
			f.device = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.URL, http.StatusFound)
			}
		}, ErrNonsense},
		{"hangs", func(f *fake) { f.device = func(http.ResponseWriter, *http.Request) { <-hang } }, ErrSilent},
		{"no service", func(f *fake) { f.device = say(description("Layer3Forwarding:1", "/control", "")) }, ErrRefused},
		{"control elsewhere", func(f *fake) { f.device = say(description("WANIPConnection:1", elsewhere.URL, "")) }, ErrRefused},
		{"control over another scheme", func(f *fake) {
			f.device = say(description("WANIPConnection:1", "https://"+f.http+"/control", ""))
		}, ErrRefused},
		{"description elsewhere", func(f *fake) {
			f.found = func(string) string { return goodFound(elsewhere.URL) }
		}, ErrSilent},
		{"description on a name", func(f *fake) {
			f.found = func(string) string { return goodFound("http://localhost/root.xml") }
		}, ErrSilent},
		{"description with a password", func(f *fake) {
			f.found = func(l string) string { return goodFound(strings.Replace(l, "//", "//a:b@", 1)) }
		}, ErrSilent},
		{"description in a file", func(f *fake) { f.found = func(string) string { return goodFound("file:///etc/passwd") } }, ErrSilent},
		{"search answered with rubbish", func(f *fake) { f.found = func(string) string { return "\x00\x01\x02" } }, ErrSilent},
		{"search answered with an error", func(f *fake) {
			f.found = func(l string) string { return strings.Replace(goodFound(l), "200 OK", "500 No", 1) }
		}, ErrSilent},
		{"search not answered", func(f *fake) { f.found = func(string) string { return "" } }, ErrSilent},
		{"calls answered with rubbish", func(f *fake) {
			f.soap = func(string, map[string]string) (int, string) { return 200, "rubbish" }
		}, ErrNonsense},
		{"calls answered without end", func(f *fake) {
			f.soap = func(string, map[string]string) (int, string) { return 200, strings.Repeat("<a>", descriptionLimit) }
		}, ErrNonsense},
		{"calls answered with nothing", func(f *fake) { f.soap = func(string, map[string]string) (int, string) { return 500, "" } }, ErrNonsense},
		{"a fault", func(f *fake) { f.soap = func(string, map[string]string) (int, string) { return soapFault(606) } }, ErrRefused},
		{"no address", func(f *fake) { f.address = "" }, ErrNoAddress},
		{"an address that is none", func(f *fake) { f.address = "<![CDATA[" + strings.Repeat("9", 10000) + "]]>" }, ErrNonsense},
		{"an address of version 6", func(f *fake) { f.address = "2001:db8::1" }, ErrNonsense},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.set(func() { c.spoil(f) })
			d := newUPnP(f.gateway())
			r := d.do(brief(t), action{Verb: verbProbe})
			if !errors.Is(r.Err, c.want) {
				t.Errorf("%v, want %v", r.Err, c.want)
			}
			if d.device != nil {
				t.Error("the device is remembered")
			}
		})
	}
	t.Cleanup(func() {
		if n := astray.Load(); n != 0 {
			t.Errorf("%d requests went to another host", n)
		}
	})
}

// What a gateway says ends in errors, which end in logs and on terminals: it is short, and printable.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	_, undescribed := parseDescription(strings.NewReader("<root><" + long + "></root>"))
	for _, err := range []error{undescribed, httpError(errors.New("goupnp: SOAP request got HTTP 500 \x1b[2J\xff\n")), httpError(errors.New(long))} {
		text := err.Error()
		foul := strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) })
		if !errors.Is(err, ErrNonsense) || len(text) > 2*errorLimit || foul {
			t.Errorf("%d bytes: %.400q", len(text), text)
		}
	}
}

// URLBase is a thing of the past, and would lead elsewhere.
func TestUPnPBase(t *testing.T) {
	f := newFake(t)
	f.set(func() {
		f.device = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, description("WANIPConnection:1", "/control", "<URLBase>http://127.0.0.1:1/</URLBase>"))
		}
	})
	if r := newUPnP(f.gateway()).do(t.Context(), action{Verb: verbProbe}); r.Err != nil {
		t.Error(r.Err)
	}
}

// Somebody else answers the search, first and in the gateway's name: people are told, nobody listens.
func TestUPnPStranger(t *testing.T) {
	f, impostor := newFake(t), newFake(t)
	c, err := net.ListenPacket("udp4", netip.AddrPortFrom(impostor.at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f.set(func() {
		f.found = func(location string) string {
			for range 3 {
				_, _ = c.WriteTo([]byte(goodFound("http://"+impostor.http+"/root.xml")), f.asker)
				_, _ = c.WriteTo([]byte(goodFound(location)), f.asker)
			}
			return goodFound(location)
		}
		impostor.address = "25.64.0.66"
	})
	r := newUPnP(f.gateway()).do(t.Context(), action{Verb: verbProbe})
	if r.Err != nil || r.Address != outside1 || !slices.Equal(r.Others, []netip.Addr{impostor.at}) {
		t.Errorf("%+v", r)
	}
	if len(impostor.calls) != 0 {
		t.Errorf("the impostor was asked %v", impostor.calls)
	}
}

// What the faults of a device are taken for.
func TestUPnPFaults(t *testing.T) {
	for _, c := range []struct {
		code int
		want error
	}{{718, ErrTaken}, {729, ErrTaken}, {725, ErrPermanent}, {606, ErrRefused}, {401, ErrRefused}, {501, ErrNoAddress}, {0, ErrRefused}} {
		f := newFake(t)
		f.set(func() {
			f.soap = func(action string, args map[string]string) (int, string) {
				if action == "AddPortMapping" {
					return soapFault(c.code)
				}
				return f.goodSOAP(action, args)
			}
		})
		r := newUPnP(f.gateway()).do(t.Context(), action{Verb: verbMap, Port: tcp4001, External: 4001, Lifetime: time.Minute})
		if !errors.Is(r.Err, c.want) {
			t.Errorf("fault %d: %v, want %v", c.code, r.Err, c.want)
		}
	}
	f := newFake(t)
	f.set(func() { f.soap = func(a string, m map[string]string) (int, string) { return f.missing(a, m) } })
	if r := newUPnP(f.gateway()).do(t.Context(), action{Verb: verbUnmap, Port: tcp4001, External: 4001}); r.Err != nil {
		t.Errorf("removing what is not there: %v", r.Err)
	}
}

// missing knows no mappings.
func (f *fake) missing(action string, args map[string]string) (int, string) {
	if action == "DeletePortMapping" {
		return soapFault(714)
	}
	return f.goodSOAP(action, args)
}

// A mapping that leads to another host, port, or is switched off is not ours.
func TestUPnPNotOurs(t *testing.T) {
	for _, entry := range []string{
		"<NewInternalPort>4001</NewInternalPort><NewInternalClient>192.168.1.99</NewInternalClient><NewEnabled>1</NewEnabled><NewLeaseDuration>1</NewLeaseDuration>",
		"<NewInternalPort>22</NewInternalPort><NewInternalClient>127.0.0.1</NewInternalClient><NewEnabled>1</NewEnabled><NewLeaseDuration>1</NewLeaseDuration>",
		"<NewInternalPort>4001</NewInternalPort><NewInternalClient>127.0.0.1</NewInternalClient><NewEnabled>0</NewEnabled><NewLeaseDuration>1</NewLeaseDuration>",
	} {
		f := newFake(t)
		f.set(func() {
			f.soap = func(action string, args map[string]string) (int, string) {
				if action == "GetSpecificPortMappingEntry" {
					return 200, soapAnswer(action, entry)
				}
				return f.goodSOAP(action, args)
			}
		})
		r := newUPnP(f.gateway()).do(t.Context(), action{Verb: verbProbe, Held: []held{{tcp4001, 4001}}})
		if r.Err != nil || !slices.Equal(r.Missing, []Port{tcp4001}) {
			t.Errorf("%s: %+v", entry, r)
		}
	}
}

// The device has gone: its port is closed. It is looked for anew at the next call.
func TestUPnPGone(t *testing.T) {
	f := newFake(t)
	d := newUPnP(f.gateway())
	if r := d.do(t.Context(), action{Verb: verbProbe}); r.Err != nil {
		t.Fatal(r.Err)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	d.device.service = d.service(serviceNames[0], nil, &goupnp.Service{ControlURL: goupnp.URLField{URL: *mustURL(closed.URL)}}, nil)
	if r := d.do(t.Context(), action{Verb: verbProbe}); !errors.Is(r.Err, ErrGone) {
		t.Errorf("%v", r.Err)
	}
	if r := d.do(t.Context(), action{Verb: verbProbe}); r.Err != nil || f.searches != 2 {
		t.Errorf("after looking again: %v, %d searches", r.Err, f.searches)
	}
}

// Law: a description is an error or a device, whatever the bytes; and every control address that is taken is on the gateway.
func FuzzDescription(f *testing.F) {
	f.Add(description("WANIPConnection:2", "/control", ""))
	f.Add(description("WANIPConnection:1", "http://10.0.0.1/x", "<URLBase>http://a/</URLBase>"))
	f.Add(description("WANPPPConnection:1", "//evil/x", ""))
	gateway := netip.MustParseAddr("192.168.1.1")
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parseDescription(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrNonsense) {
				t.Fatal(err)
			}
			return
		}
		root.SetURLBase(mustURL("http://192.168.1.1:5000/root.xml"))
		for _, urn := range serviceNames {
			for _, s := range root.Device.FindService(urn) {
				if s.ControlURL.Ok && onGateway(&s.ControlURL.URL, gateway) && s.ControlURL.URL.Hostname() != "192.168.1.1" {
					t.Fatalf("%v", s.ControlURL.URL)
				}
			}
		}
		if name := deviceName(root, serviceNames[0]); len([]rune(name)) > nameLimit+20 {
			t.Fatalf("a name of %d runes", len([]rune(name)))
		}
	})
}

// Law: a location is on the gateway, whatever the answer.
func FuzzLocation(f *testing.F) {
	f.Add([]byte(goodFound("http://192.168.1.1:5000/root.xml")))
	f.Add([]byte(goodFound("http://192.168.1.1@10.0.0.1/")))
	f.Add([]byte(goodFound("http://[::ffff:192.168.1.1]/")))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	gateway := netip.MustParseAddr("192.168.1.1")
	f.Fuzz(func(t *testing.T, b []byte) {
		if u, ok := location(b, gateway); ok && (u.Hostname() != "192.168.1.1" || u.Scheme != "http" || u.User != nil) {
			t.Fatalf("%v", u)
		}
	})
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}
