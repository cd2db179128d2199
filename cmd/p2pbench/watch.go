package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/debugpage"
	"github.com/carrier-p2p/carrier/engine/promexport"
)

const (
	// watchHeaderTimeout and watchIdleTimeout bound what a visitor may keep open: the page asks once a second.
	watchHeaderTimeout = 5 * time.Second
	watchIdleTimeout   = time.Minute

	// watchStopLimit bounds the wait for answers under way at the end.
	watchStopLimit = time.Second
)

// watch serves /metrics and /debug/ of a serving node, if it is one of this module, until the returned function is called.
func watch(addr string, server load.Server) (at string, stop func(), err error) {
	carrier, ok := server.(interface{ Network() *engine.Network })
	if !ok {
		return "", nil, fmt.Errorf("%w: --http shows nodes of the carrier driver only", errUsage)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: named(watchHandler(carrier.Network())), ReadHeaderTimeout: watchHeaderTimeout, IdleTimeout: watchIdleTimeout}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(listener) // ends with Shutdown or Close
	}()
	return listener.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), watchStopLimit)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
		<-ended
	}, nil
}

func watchHandler(n *engine.Network) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promexport.Handler(n))
	mux.Handle("/debug/", http.StripPrefix("/debug", debugpage.New(n)))
	mux.Handle("GET /{$}", http.RedirectHandler("/debug/", http.StatusFound))
	return mux
}

// named refuses requests that name a host by anything but an address or localhost: a name that somebody else's server
// resolves to this machine would let their page read ours.
func named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if len(host) > 2 && host[0] == '[' {
			host = host[1 : len(host)-1]
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			http.Error(w, "name the host by its address", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
