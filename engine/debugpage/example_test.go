package debugpage_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/carrier-p2p/carrier/engine/debugpage"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func ExampleNew() {
	net, err := node.New(node.Config{Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
	if err != nil {
		panic(err)
	}
	defer net.Shutdown(context.Background())
	mux := http.NewServeMux()
	mux.Handle("/debug/", http.StripPrefix("/debug", debugpage.New(net)))

	w := httptest.NewRecorder() // in place of http.ListenAndServe("127.0.0.1:4003", mux)
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/debug/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
