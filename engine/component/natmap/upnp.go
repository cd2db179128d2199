package natmap

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"
)

// upnp speaks to the Internet Gateway Device at the gateway, version 1 or 2. It remembers the device from one call to the
// next, and looks for it again after a call that failed. One call at a time.
type upnp struct {
	gateway   Gateway
	http      http.Client
	device    *device // nil: not found
	strangers []netip.Addr
}

// A device is a gateway device whose services are known.
type device struct {
	name    string
	service wanService
}

// wanService is what WANIPConnection 1 and 2 and WANPPPConnection have in common.
type wanService interface {
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
	AddPortMappingCtx(ctx context.Context, host string, external uint16, protocol string, internal uint16, client string,
		enabled bool, description string, lease uint32) error
	DeletePortMappingCtx(ctx context.Context, host string, external uint16, protocol string) error
	GetSpecificPortMappingEntryCtx(ctx context.Context, host string, external uint16, protocol string) (internal uint16,
		client string, enabled bool, description string, lease uint32, err error)
	GetGenericPortMappingEntryCtx(ctx context.Context, index uint16) (host string, external uint16, protocol string,
		internal uint16, client string, enabled bool, description string, lease uint32, err error)
}

// serviceNames are the services that map ports, best first.
var serviceNames = [...]string{
	internetgateway2.URN_WANIPConnection_2, internetgateway2.URN_WANIPConnection_1, internetgateway2.URN_WANPPPConnection_1,
}

// mappingName is what shows in the router's list.
const mappingName = "carrier"

var errRedirect = errors.New("natmap: the gateway sends us elsewhere")

func newUPnP(g Gateway) *upnp {
	d := &upnp{gateway: g}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: g.Local.AsSlice()}}
	d.http = http.Client{
		// What the gateway says is only asked of the gateway, and no proxy stands between.
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
		Transport: bounded{&http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: headerLimit,
		}},
	}
	return d
}

// bounded cuts off what is longer than descriptionLimit.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, descriptionLimit)
	}
	return resp, err
}

func (d *upnp) do(ctx context.Context, act action) result {
	ctx, cancel := context.WithTimeout(ctx, upnpTimeout)
	defer cancel()
	r := result{Action: act}
	r.Err = d.find(ctx)
	r.Others = d.strangers
	if r.Err != nil {
		return r
	}
	switch act.Verb {
	case verbProbe:
		d.probe(ctx, &r)
	case verbMap:
		d.mapPort(ctx, &r)
	case verbUnmap:
		err := d.device.service.DeletePortMappingCtx(ctx, "", act.External, soapProtocol(act.Port))
		if r.Err = upnpError(err); errors.Is(r.Err, errNoEntry) {
			r.Err = nil
		}
	}
	if r.Err != nil {
		d.device = nil // it may be another one by now
	}
	return r
}

// find finds the device, if it is not known.
func (d *upnp) find(ctx context.Context) error {
	if d.device != nil {
		return nil
	}
	locations, strangers, err := search(ctx, d.gateway)
	d.strangers = strangers
	for _, loc := range locations {
		d.device, err = d.describe(ctx, loc)
	}
	return err
}

// describe gets the description of the device and picks the service.
func (d *upnp) describe(ctx context.Context, loc *url.URL) (*device, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, loc.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNonsense, err)
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, httpError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: the description: HTTP %.60q", ErrNonsense, resp.Status)
	}
	root, err := parseDescription(resp.Body)
	if err != nil {
		return nil, err
	}
	// URLBase was deprecated by UPnP 1.1 and is a way to send us elsewhere: what the device says is relative to its location.
	root.SetURLBase(loc)
	return d.pick(ctx, root, loc)
}

func parseDescription(r io.Reader) (*goupnp.RootDevice, error) {
	root := new(goupnp.RootDevice)
	dec := xml.NewDecoder(r)
	dec.DefaultSpace = goupnp.DeviceXMLNamespace
	if err := dec.Decode(root); err != nil {
		return nil, fmt.Errorf("%w: the description: %s", ErrNonsense, shown(err.Error(), errorLimit))
	}
	return root, nil
}

// pick takes the service that has a public address, or the first that answers.
func (d *upnp) pick(ctx context.Context, root *goupnp.RootDevice, loc *url.URL) (*device, error) {
	var found *device
	tried := 0
	err := fmt.Errorf("%w: the device at %v has no service that maps ports", ErrRefused, loc)
	for _, urn := range serviceNames {
		for _, srv := range root.Device.FindService(urn) {
			if !srv.ControlURL.Ok || !onGateway(&srv.ControlURL.URL, d.gateway.Addr) || tried == serviceLimit {
				continue
			}
			tried++
			one := &device{name: deviceName(root, urn), service: d.service(urn, root, srv, loc)}
			said, bad := one.service.GetExternalIPAddressCtx(ctx)
			if bad = upnpError(bad); bad != nil && !errors.Is(bad, ErrNoAddress) {
				err = bad
				continue
			}
			if address, _ := netip.ParseAddr(said); public(address) {
				return one, nil
			}
			if found == nil {
				found = one
			}
		}
	}
	if found == nil {
		return nil, err
	}
	return found, nil
}

// deviceName is what people are shown.
func deviceName(root *goupnp.RootDevice, urn string) string {
	return fmt.Sprintf("%s (%s)", printable(root.Device.FriendlyName), urn[len("urn:schemas-upnp-org:service:"):])
}

func (d *upnp) service(urn string, root *goupnp.RootDevice, srv *goupnp.Service, loc *url.URL) wanService {
	client := goupnp.ServiceClient{
		SOAPClient: &soap.SOAPClient{EndpointURL: srv.ControlURL.URL, HTTPClient: d.http},
		RootDevice: root, Location: loc, Service: srv,
	}
	switch urn {
	case internetgateway2.URN_WANIPConnection_2:
		return &internetgateway2.WANIPConnection2{ServiceClient: client}
	case internetgateway2.URN_WANIPConnection_1:
		return &internetgateway2.WANIPConnection1{ServiceClient: client}
	}
	return &internetgateway2.WANPPPConnection1{ServiceClient: client}
}

func soapProtocol(p Port) string {
	if p.UDP {
		return "UDP"
	}
	return "TCP"
}

func (d *upnp) probe(ctx context.Context, r *result) {
	r.Device = d.device.name
	said, err := d.device.service.GetExternalIPAddressCtx(ctx)
	if r.Err = upnpError(err); r.Err != nil {
		return
	}
	if said == "" {
		r.Err = ErrNoAddress
		return
	}
	if r.Address, err = netip.ParseAddr(said); err != nil || !r.Address.Is4() {
		r.Err = fmt.Errorf("%w: its external address is %.40q", ErrNonsense, said)
		return
	}
	for _, h := range r.Action.Held {
		port, client, enabled, _, _, err := d.device.service.GetSpecificPortMappingEntryCtx(ctx, "", h.External, soapProtocol(h.Port))
		err = upnpError(err)
		switch {
		case errors.Is(err, errNoEntry), err == nil && (port != h.Port.Number || client != d.gateway.Local.String() || !enabled):
			r.Missing = append(r.Missing, h.Port)
		case errors.Is(err, ErrSilent), errors.Is(err, ErrGone):
			r.Err = err
			return
		} // any other fault: it does not know this call, and the mapping is renewed in its time
	}
}

func (d *upnp) mapPort(ctx context.Context, r *result) {
	act := &r.Action
	err := d.device.service.AddPortMappingCtx(ctx, "", act.External, soapProtocol(act.Port), act.Port.Number,
		d.gateway.Local.String(), true, mappingName, uint32(act.Lifetime/time.Second))
	if r.Err = upnpError(err); r.Err == nil {
		r.External, r.Lifetime = act.External, act.Lifetime
	}
}

// errNoEntry: the gateway knows no such mapping.
var errNoEntry = fmt.Errorf("%w: no such mapping", ErrRefused)

// Fault codes of WANIPConnection:2, section 2.5, and of UPnP itself.
const (
	faultActionFailed = 501
	faultNoEntry      = 714
	faultTaken        = 718
	faultPermanent    = 725
	faultTakenToo     = 729 // by another mechanism
)

// upnpError turns the library's errors into ours.
func upnpError(err error) error {
	var fault *soap.SOAPFaultError
	if err == nil {
		return nil
	}
	if !errors.As(err, &fault) {
		return httpError(err)
	}
	code := fault.Detail.UPnPError.Errorcode
	kind := ErrRefused
	switch code {
	case faultNoEntry:
		kind = errNoEntry
	case faultTaken, faultTakenToo:
		kind = ErrTaken
	case faultPermanent:
		kind = ErrPermanent
	case faultActionFailed:
		kind = ErrNoAddress
	}
	return fmt.Errorf("%w: fault %d %.60q", kind, code, fault.Detail.UPnPError.ErrorDescription)
}

// httpError tells a gateway that is silent from one that is gone and one that talks nonsense. goupnp wraps
// some causes as text only, and puts whole answers into others.
func httpError(err error) error {
	kind := ErrNonsense
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), textHas(err, "connection refused"):
		kind = ErrGone
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		textHas(err, "deadline exceeded"), textHas(err, "i/o timeout"), textHas(err, "context canceled"), textHas(err, "no route to host"):
		kind = ErrSilent
	}
	return fmt.Errorf("%w: %s", kind, shown(err.Error(), errorLimit))
}

func textHas(err error, part string) bool { return strings.Contains(err.Error(), part) }
