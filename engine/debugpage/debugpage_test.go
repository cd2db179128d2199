package debugpage

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

func TestMain(m *testing.M) {
	enginetest.VerifyMain(m)
}

func started(t *testing.T) *engine.Network {
	t.Helper()
	n, err := node.New(node.Config{Listen: []string{"tcp://127.0.0.1:0"}, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func get(p *Page, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// What the page shows of a node: before it has started, and with a peer that has sent something.
func TestState(t *testing.T) {
	n, other := started(t), started(t)
	page := New(n)
	var s state
	read := func() {
		t.Helper()
		s = state{}
		if err := json.Unmarshal(get(page, "GET", "/state.json").Body.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if s.ID != n.ID().String() || len(s.Loops) != 0 || s.Peers.Open != 0 {
		t.Errorf("before Start: %+v", s)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := other.Dial(t.Context(), n.Target().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SendRaw(t.Context(), opcode.MetricRequestCode, []byte("no request")); err != nil {
		t.Fatal(err)
	}
	asked := func(o opcodeRow) bool { return o.Name == "MetricRequest" && o.Messages == 1 && o.Bytes == 10 }
	giveUp := time.After(time.Minute)
	for !slices.ContainsFunc(s.Opcodes, asked) || len(s.Events) == 0 || len(s.Peers.Shown) == 0 || s.Peers.Shown[0].BytesIn == 0 {
		select {
		case <-giveUp:
			t.Fatalf("waited in vain: %+v", s)
		default:
			read()
		}
	}
	shown := s.Peers.Shown[0]
	if shown.ID != other.ID().String() || shown.Dialled || shown.Addr == "" || s.Peers.Open != 1 || s.Peers.Inbound != 1 || s.Peers.Held {
		t.Errorf("the peer: %+v of %+v", shown, s.Peers)
	}
	if len(s.Loops) != 2 || len(s.Loops[0].Held) != len(s.SpanBounds) || s.Loops[0].Peers+s.Loops[1].Peers != 1 {
		t.Errorf("loops: %+v", s.Loops)
	}
	if e := s.Events[0]; e.Kind != "peer up" || !strings.Contains(e.Text, other.ID().Short()) {
		t.Errorf("events: %+v", s.Events)
	}
	if len(s.Books) != 2 || s.Books[0].Name != "ack" || len(s.Limits) != 4 || s.Limits[0].Limit != engine.PeersDefault {
		t.Errorf("books %+v, limits %+v", s.Books, s.Limits)
	}
}

// The page itself needs nothing from elsewhere and may load nothing; what is not there is not served.
func TestServe(t *testing.T) {
	page := New(started(t))
	for _, x := range []struct {
		method, path string
		code         int
		content      string
	}{
		{"GET", "/", 200, "text/html"}, {"GET", "/state.json", 200, "application/json"}, {"HEAD", "/", 200, "text/html"},
		{"GET", "/../etc/passwd", 404, ""}, {"GET", "/page.html", 404, ""}, {"POST", "/", 405, ""}, {"DELETE", "/state.json", 405, ""},
	} {
		w := get(page, x.method, x.path)
		if w.Code != x.code || !strings.HasPrefix(w.Header().Get("Content-Type"), x.content) {
			t.Errorf("%s %s: %d, %s", x.method, x.path, w.Code, w.Header().Get("Content-Type"))
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: headers %v", x.method, x.path, w.Header())
		}
	}
	body := get(page, "GET", "/").Body.String()
	if csp := get(page, "GET", "/").Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
	for _, bad := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %s in it", bad)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", `name="viewport"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// What the script reads is in state.json, and what it writes to is on the page.
func TestScript(t *testing.T) {
	keys := map[string]bool{}
	for _, v := range []any{state{}, peers{}, peer{}, counter{}, limit{}, loop{}, opcodeRow{}, component{}, book{}, event{}} {
		for i, typ := 0, reflect.TypeOf(v); i < typ.NumField(); i++ {
			keys[typ.Field(i).Tag.Get("json")] = true
		}
	}
	script := string(html[strings.Index(string(html), "<script>"):])
	read := 0
	for _, m := range regexp.MustCompile(`\b(?:s|p|l|o|c|b|e|was|before)\.([a-zA-Z]+)\b(\()?`).FindAllStringSubmatch(script, -1) {
		if m[2] == "(" || slices.Contains([]string{"length", "rin", "rout", "className", "textContent", "style"}, m[1]) {
			continue
		}
		if read++; !keys[m[1]] {
			t.Errorf("the script reads %s, which nobody writes", m[0])
		}
	}
	ids := 0
	for _, m := range regexp.MustCompile(`(?:\$|rows|big|spark)\("([a-z-]+)"`).FindAllStringSubmatch(script, -1) {
		if ids++; !strings.Contains(string(html), `id="`+m[1]+`"`) {
			t.Errorf("the script writes to %s, which is not on the page", m[1])
		}
	}
	if read < 40 || ids < 20 {
		t.Errorf("%d fields and %d elements found: this test looks in the wrong place", read, ids)
	}
}

// Events are kept in their order, and no more than eventsKept of them, with what a peer has said in them as text.
func TestEvents(t *testing.T) {
	page := New(started(t))
	evil := &engine.CloseError{Remote: true, Code: 1001, Text: "</script><script>alert(1)"}
	for i := range 2 * eventsKept {
		page.keep(told(engine.Event{Kind: engine.PeerDown, ID: identity.ID{byte(i)}, Err: evil, Duration: time.Duration(i)}, time.Unix(0, 0)))
	}
	s := page.state(t.Context())
	if len(s.Events) != eventsKept || !strings.Contains(s.Events[0].Text, identity.ID{eventsKept}.Short()) {
		t.Errorf("%d events, the first %+v", len(s.Events), s.Events[0])
	}
	if body := get(page, "GET", "/state.json").Body.String(); strings.Contains(body, "<script>") {
		t.Error("markup of a peer is passed on as it is")
	}
}

// A page of a node of which a loop is held says so, and shows what can be known without it.
func TestHeldLoop(t *testing.T) {
	n := started(t)
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := started(t)
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Dial(t.Context(), n.Target().String()); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	for _, l := range n.Loops() {
		l.Post(func() { <-release })
	}
	s := New(n).state(t.Context())
	close(release)
	if !s.Peers.Held || len(s.Peers.Shown) != 1 || s.Peers.Shown[0].ID != other.ID().String() {
		t.Errorf("%+v", s.Peers)
	}
}
