package deps

import (
	_ "github.com/HdrHistogram/hdrhistogram-go"
	_ "github.com/alecthomas/kong"
	_ "github.com/cloudflare/circl/dh/x25519"
	_ "github.com/cockroachdb/datadriven"
	_ "github.com/flynn/noise"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/hashicorp/golang-lru/v2"
	_ "github.com/panjf2000/gnet/v2"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/vmihailenco/msgpack/v5"
	_ "go.uber.org/goleak"
	_ "golang.org/x/crypto/blake2b"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
	_ "google.golang.org/protobuf/proto"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
	_ "pgregory.net/rapid"
)
