package lab

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

//go:embed natlab.sh faultlab.sh
var scripts embed.FS

const (
	// commandTimeout ends a script that hangs. up and down take half a second each, and half a minute when thirty labs are built
	// at a time on two cores.
	commandTimeout = 4 * time.Minute

	// requireVar is set where tests shall build labs; to "require" where a lab that cannot be is a failure.
	requireVar = "CARRIER_LAB"
)

// A Lab is one network, of one test, which may use it from one goroutine.
type Lab struct {
	t   testing.TB
	dir string // scripts and the link that the wire is started through
	env []string
}

// labs counts the labs of this process: each has a prefix of its own.
var labs atomic.Int64

// Require builds a lab for t, with the settings vars ("NATLAB_NAT_A=cone"), and takes it down when t ends. It skips t unless the
// environment variable CARRIER_LAB is set: labs are for root and take minutes. Where there can be none it skips t too and
// says why, or fails it if CARRIER_LAB is "require".
func Require(t testing.TB, vars ...string) *Lab {
	t.Helper()
	wanted := os.Getenv(requireVar)
	required := wanted == "require"
	if wanted == "" {
		t.Skip("lab: set " + requireVar + "=1 for the tests in network namespaces; they want root")
	}
	if runtime.GOOS != "linux" {
		refuse(t, required, "needs Linux")
	}
	prefix := fmt.Sprintf("lab%dx%d", os.Getpid(), labs.Add(1))
	l := &Lab{t: t, env: append(append(os.Environ(), vars...), "NATLAB_PREFIX="+prefix)}
	if out, err := l.check(); err != nil {
		refuse(t, required, strings.TrimSpace(out))
	}
	dir, err := os.MkdirTemp("", "carrier-lab-") //nolint:usetesting // the reaper removes it, also when the test is killed
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	l.dir, l.env = dir, append(l.env, "NATLAB_WIRE="+filepath.Join(dir, wireName))
	l.reap() // first: from here on a test may be killed at any moment
	if err := unpack(dir); err != nil {
		t.Fatalf("lab: %v", err)
	}
	l.Do("up")
	return l
}

// check asks natlab.sh, which is nowhere yet, whether a lab can be here.
func (l *Lab) check() (string, error) {
	script, err := scripts.ReadFile("natlab.sh")
	if err != nil {
		return "", err
	}
	return l.run("bash", "-c", string(script), "natlab.sh", "check")
}

func refuse(t testing.TB, required bool, why string) {
	t.Helper()
	if required {
		t.Fatalf("lab: %s=require, and %s", requireVar, why)
	}
	t.Skipf("lab: %s (as root, engine/lab/natlab.sh deps installs what it needs)", why)
}

// unpack writes the scripts, and the link through which the test binary becomes a wire, to a directory of their own.
func unpack(dir string) error {
	for _, name := range []string{"natlab.sh", "faultlab.sh"} {
		b, err := scripts.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o700)
		}
		if err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return os.Symlink(self, filepath.Join(dir, wireName))
}

// reap starts the process that takes the lab down: it does so when its input ends, which it does when the test is over,
// and also when the test's process has been killed.
func (l *Lab) reap() {
	const undo = `cat >/dev/null; code=0; if [ -x "$0/natlab.sh" ]; then "$0/natlab.sh" down || code=$?; fi; rm -rf "$0"; exit $code`
	c := exec.Command("bash", "-c", undo, l.dir)
	c.Env = l.env
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is not for it
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		l.t.Fatalf("lab: %v", err)
	}
	l.t.Cleanup(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			l.t.Errorf("lab: down: %v\n%s", err, &said)
		}
	})
}

// script runs one of the scripts and returns what it said.
func (l *Lab) script(name string, args ...string) (string, error) {
	return l.run(filepath.Join(l.dir, name), args...)
}

func (l *Lab) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = l.env
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

func (l *Lab) do(name string, args []string) string {
	l.t.Helper()
	out, err := l.script(name, args...)
	if err != nil {
		l.t.Fatalf("lab: %s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// Do runs natlab.sh and returns what it printed; an error ends the test.
func (l *Lab) Do(args ...string) string { l.t.Helper(); return l.do("natlab.sh", args) }

// Fault runs faultlab.sh likewise.
func (l *Lab) Fault(args ...string) string { l.t.Helper(); return l.do("faultlab.sh", args) }

// Exec runs a command inside a namespace and returns what it printed, errors included.
func (l *Lab) Exec(ns string, args ...string) (string, error) {
	return l.script("natlab.sh", append([]string{"exec", ns}, args...)...)
}

// Env is one of the lab's addresses by the name that `natlab.sh env` gives it, such as "NATLAB_ROUTER_A_PUBLIC".
func (l *Lab) Env(name string) string {
	l.t.Helper()
	for line := range strings.Lines(l.Do("env")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	l.t.Fatalf("lab: no %s in the lab's environment", name)
	return ""
}

// logTo copies what a process complains about into the test's log, line by line.
func logTo(t testing.TB, who string) io.Writer { return &logger{t: t, who: who} }

type logger struct {
	t    testing.TB
	who  string
	rest []byte
}

func (g *logger) Write(b []byte) (int, error) {
	g.rest = append(g.rest, b...)
	for {
		line, rest, whole := bytes.Cut(g.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		g.t.Logf("%s: %s", g.who, line)
		g.rest = rest
	}
}
