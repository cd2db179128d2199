package gnetio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// descriptorsEnv says to this test binary that it is the child of TestDescriptorsRunOut.
const descriptorsEnv = "GNETIO_TEST_DESCRIPTORS"

// TestDescriptorsRunOut: a process with few descriptors is connected to far more often than it has any. gnet's engine
// dies of the first accept that fails for that; this transport turns away what is too much, and goes on. The process is
// a child of the test, since the limit is the whole process's.
func TestDescriptorsRunOut(t *testing.T) {
	if os.Getenv(descriptorsEnv) != "" {
		servePoorly(t)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestDescriptorsRunOut$")
	cmd.Env = append(os.Environ(), descriptorsEnv+"=1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	var limit int
	if _, err := fmt.Fscanln(out, &addr, &limit); err != nil {
		t.Fatal(err)
	}
	if limit <= 0 || limit >= poor {
		t.Errorf("of %d descriptors %d are for links", poor, limit)
	}
	kept := 0
	for range 3 * poor {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatalf("the child accepts no more: %v", err)
		}
		defer c.Close()
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err == nil {
			kept++
		} else if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	}
	if kept != limit {
		t.Errorf("%d links were kept, want the limit, %d", kept, limit)
	}
	in.Close()
	said, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || !strings.Contains(string(said), "alive") {
		t.Errorf("the child: %v: %s", err, said)
	}
}

// poor is the child's limit on descriptors.
const poor = 200

// servePoorly is the child: it greets each link with a byte, until its input ends.
func servePoorly(t *testing.T) {
	limit := unix.Rlimit{Cur: poor, Max: poor}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	p := greeter{newProbe()}
	tr, bound := start(t, Config{Loops: 2}, p, loopback())
	fmt.Println(bound[0].AddrPort, tr.LinkLimit())
	io.Copy(io.Discard, os.Stdin)
	if len(p.died) == 0 && len(p.refused) == 3*poor-tr.LinkLimit() {
		fmt.Println("alive")
	}
}

type greeter struct{ *probe }

func (greeter) Opened(l transport.Link, _ any) { l.Write([]byte{1}) }
