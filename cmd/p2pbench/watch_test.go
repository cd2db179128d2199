package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
)

// A serving node is watched: the page, its figures, the metrics; until it is told to stop.
func TestWatch(t *testing.T) {
	server, err := driver.Carrier().Serve("127.0.0.1:0", load.Shape{}, load.NewSink(load.NewPattern()))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	at, stop, err := watch("127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/debug": "<title>carrier node</title>", "/debug/": "<title>carrier node</title>", "/": "<title>carrier node</title>",
		"/debug/state.json": `"peers":{"open":0`, "/metrics": "carrier_peers{direction=\"in\"} 0", "/other": "404",
	} {
		r, err := http.Get("http://" + at + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, no %q in %.300s", path, r.StatusCode, want, body)
		}
	}
	stop()
	http.DefaultClient.CloseIdleConnections()
	if _, err := http.Get("http://" + at); err == nil {
		t.Error("it is still served")
	}
	if _, _, err := watch("256.0.0.1:0", server); err == nil {
		t.Error("an address that is none")
	}
	tls, err := driver.ByName("tls")
	if err != nil {
		t.Fatal(err)
	}
	other, err := tls.Serve("127.0.0.1:0", load.Shape{}, load.NewSink(load.NewPattern()))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, _, err := watch("127.0.0.1:0", other); !errors.Is(err, errUsage) {
		t.Errorf("a server of another driver: %v", err)
	}
}

// Only who names the host by its address is served: a page of somebody else, whose name leads here, is not.
func TestNamed(t *testing.T) {
	fine := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for host, code := range map[string]int{
		"127.0.0.1:4003": 204, "localhost:4003": 204, "[::1]:4003": 204, "127.0.0.1": 204, "[::1]": 204,
		"evil.example:4003": 403, "evil.example": 403, "": 403, "[evil]": 403,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		named(fine).ServeHTTP(w, r)
		if w.Code != code {
			t.Errorf("host %q: %d, want %d", host, w.Code, code)
		}
	}
}
