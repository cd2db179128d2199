package docs_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// A floor says how high a package stands and which outside packages, with all below them, may enter the module through it.
type floor struct {
	level int
	doors []string
}

// floors is the policy. A package imports only packages on strictly lower floors; docs/decisions/0001-floors.md tells why.
var floors = map[string]floor{
	// 0: words and contracts.
	"internal/invariant": {0, nil},
	"internal/wire":      {0, nil},
	"internal/vectors":   {0, nil}, // for tests
	"opcode":             {0, nil},
	"engine/transport":   {0, nil},

	// 1: parsers and small machines.
	"framing":                        {1, nil},
	"opcode/codec":                   {1, nil},
	"opcode/codec/protobuf":          {1, []string{"google.golang.org/protobuf"}},
	"opcode/codec/msgpack":           {1, []string{"github.com/vmihailenco/msgpack/v5"}},
	"handshake/identity":             {1, []string{"golang.org/x/crypto/blake2b", "github.com/hashicorp/golang-lru/v2"}},
	"engine/internal/fair":           {1, nil},
	"engine/internal/timer":          {1, nil},
	"engine/transport/transporttest": {1, nil},
	"engine/transport/datagram":      {1, nil},
	"engine/lab":                     {1, nil}, // for tests
	"engine/internal/worker":         {1, []string{"golang.org/x/sys/unix"}},

	// 2: protocols without sockets, and transports, which have nothing else.
	"handshake":                 {2, []string{"github.com/cloudflare/circl/dh/x25519", "github.com/flynn/noise"}}, // the latter in tests only
	"skad":                      {2, []string{"golang.org/x/crypto/blake2b"}},
	"engine/transport/gnetio":   {2, []string{"github.com/panjf2000/gnet/v2", "golang.org/x/sys/unix"}},
	"engine/transport/udpio":    {2, []string{"golang.org/x/sys/unix"}},
	"engine/transport/quicio":   {2, []string{"github.com/quic-go/quic-go"}},
	"engine/transport/simnet":   {2, nil},
	"engine/transport/shared":   {2, nil},
	"engine/transport/postloop": {1, nil},

	// 3: what stands between a protocol and the engine.
	"engine/internal/session": {3, nil},
	"skad/spread":             {3, nil},
	"skad/sim":                {4, nil},

	// 4: the engine. It imports no concrete transport and no component.
	"engine": {4, []string{"github.com/hashicorp/golang-lru/v2", "github.com/klauspost/compress/s2", "golang.org/x/sys/unix"}},

	// 5: components.
	"engine/component/keepalive":                {5, nil},
	"engine/component/ack":                      {5, nil},
	"engine/component/backoff":                  {5, nil},
	"engine/component/metric":                   {5, nil},
	"engine/component/natmap":                   {5, []string{"github.com/huin/goupnp", "github.com/jackpal/go-nat-pmp"}},
	"engine/component/discovery":                {5, nil},
	"engine/component/discovery/internal/store": {2, []string{"go.etcd.io/bbolt"}},
	"engine/component/proxy":                    {5, nil},
	"engine/component/broadcast":                {5, nil},
	"engine/component/overlay":                  {5, nil},
	"engine/component/addressmap":               {5, nil},
	"engine/component/reach":                    {5, nil},
	"engine/enginetest":                         {5, []string{"go.uber.org/goleak"}}, // for tests

	// 6: ready nodes.
	"engine/node":       {6, nil},
	"engine/promexport": {6, []string{"github.com/prometheus/client_golang"}},
	"engine/debugpage":  {6, nil},

	// 7 and up: programs and what measures.
	"examples/hello":              {7, nil},
	"examples/unixtransport":      {7, nil},
	"examples/chat":               {7, nil},
	"examples/overlaychat":        {7, nil},
	"bench/stats":                 {6, nil},
	"bench/plot":                  {6, nil},
	"bench/fingerprint":           {6, []string{"golang.org/x/sys/unix"}},
	"bench/report":                {8, nil},
	"bench/swarm/host":            {7, []string{"golang.org/x/sys/unix"}},
	"bench/swarm":                 {8, nil},
	"bench/process":               {8, nil},
	"bench/slo":                   {9, nil},
	"bench/scenario":              {10, nil},
	"bench/load":                  {7, []string{"github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys/unix"}},
	"bench/framed":                {8, nil},
	"bench/driver":                {9, []string{"github.com/panjf2000/gnet/v2", "github.com/quic-go/quic-go", "golang.org/x/sys/unix"}}, // of a baseline, not a transport
	"bench":                       {10, nil},
	"cmd/p2pbench/internal/shell": {0, nil},
	"cmd/p2pbench":                {11, []string{"github.com/alecthomas/kong", "golang.org/x/term"}},

	// This package: tests only.
	"docs": {12, nil},
}

// testDoors may enter every package's tests, besides what the package itself may import.
var testDoors = []string{
	"github.com/google/go-cmp/cmp",
	"github.com/rogpeppe/go-internal",
	"go.uber.org/goleak",
	"pgregory.net/rapid",
}

func checkFloors(tr *tree, floors map[string]floor, testDoors []string) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for name := range floors {
		if tr.dirs[name] == nil {
			bad("%s has a floor and does not exist: take its row out", name)
		}
	}
	for _, p := range tr.packages() {
		here, known := floors[p.dir]
		if !known {
			bad("%s has no floor: give it a row in docs/floors_test.go, on the lowest floor above everything it imports", p.dir)
			continue
		}
		for _, s := range p.files {
			for _, spec := range s.ast.Imports {
				target, _ := strconv.Unquote(spec.Path.Value)
				if why := mayImport(floors, testDoors, here, s.test, target); why != "" {
					bad("%s imports %s: %s", s.name, target, why)
				}
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// mayImport says why a file of a package on this floor may not import target; "": it may.
func mayImport(floors map[string]floor, testDoors []string, here floor, test bool, target string) string {
	if inside, ok := strings.CutPrefix(target, module); ok && (inside == "" || inside[0] == '/') {
		inside = strings.TrimPrefix(inside, "/")
		there, known := floors[inside]
		switch {
		case test: // a test may build on what stands above it
			return ""
		case !known:
			return "it has no floor"
		case there.level >= here.level:
			return fmt.Sprintf("it is on floor %d, and this is floor %d: imports only go down", there.level, here.level)
		}
		return ""
	}
	if first, _, _ := strings.Cut(target, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	if behind(here.doors, target) || test && behind(testDoors, target) {
		return ""
	}
	var through []string
	for name, f := range floors {
		if behind(f.doors, target) {
			through = append(through, name)
		}
	}
	slices.Sort(through)
	switch {
	case len(through) > 0:
		return "outside libraries come in through one door, for this one " + strings.Join(through, ", ")
	case behind(testDoors, target):
		return "it is for tests only"
	}
	return "no package may import it"
}

// behind reports whether target is one of the doors or lies below one.
func behind(doors []string, target string) bool {
	return slices.ContainsFunc(doors, func(d string) bool { return target == d || strings.HasPrefix(target, d+"/") })
}

// TestFloors holds this repository to the policy.
func TestFloors(t *testing.T) { none(t, checkFloors(repository(t), floors, testDoors)) }

// TestFloorsRefuse shows that each way of breaking the policy is found.
func TestFloorsRefuse(t *testing.T) {
	policy := map[string]floor{"low": {0, []string{"example.com/lib"}}, "mid": {1, nil}, "side": {1, nil}, "high": {2, nil}}
	for _, c := range []struct{ name, file, target, want string }{
		{"down", "high/a.go", module + "/low", ""},
		{"up", "low/a.go", module + "/high", "it is on floor 2, and this is floor 0"},
		{"sideways", "mid/a.go", module + "/side", "it is on floor 1, and this is floor 1"},
		{"up in a test", "low/a_test.go", module + "/high", ""},
		{"to a package without a floor", "high/a.go", module + "/lost", "it has no floor"},
		{"the top of the module", "high/a.go", module, "it has no floor"},
		{"another module with our name in front", "high/a.go", module + "x/low", "no package may import it"},
		{"the standard library", "low/a.go", "go/parser", ""},
		{"through its door", "low/a.go", "example.com/lib/part", ""},
		{"a neighbour of the door", "low/a.go", "example.com/library", "no package may import it"},
		{"through another door", "high/a.go", "example.com/lib", "through one door, for this one low"},
		{"through another door in a test", "high/a_test.go", "example.com/lib", "through one door, for this one low"},
		{"a test library in a test", "mid/a_test.go", "example.com/check", ""},
		{"a test library outside", "mid/a.go", "example.com/check", "it is for tests only"},
		{"behind a build tag", "low/a_other.go", module + "/mid", "imports only go down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name := range policy {
				files[name+"/x.go"] = &fstest.MapFile{Data: []byte("package x\n")}
			}
			files[c.file] = &fstest.MapFile{Data: []byte("//go:build !linux\n\npackage x\n\nimport _ \"" + c.target + "\"\n")}
			one(t, checkFloors(readTree(t, files), policy, []string{"example.com/check"}), c.want)
		})
	}
	t.Run("no row", func(t *testing.T) {
		files := fstest.MapFS{"new/x.go": &fstest.MapFile{Data: []byte("package x\n")}}
		one(t, checkFloors(readTree(t, files), nil, nil), "new has no floor")
	})
	t.Run("no package", func(t *testing.T) {
		one(t, checkFloors(readTree(t, fstest.MapFS{}), map[string]floor{"gone": {}}, nil), "gone has a floor and does not exist")
	})
	t.Run("a module of its own is not looked at", func(t *testing.T) {
		files := fstest.MapFS{"own/go.mod": &fstest.MapFile{}, "own/x.go": &fstest.MapFile{Data: []byte("package x\nimport _ \"example.com/rival\"\n")}}
		one(t, checkFloors(readTree(t, files), nil, nil), "")
	})
}
