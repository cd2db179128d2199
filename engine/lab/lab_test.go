package lab_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine/lab"
)

func TestMain(m *testing.M) {
	lab.Helpers(map[string]lab.Helper{"echo": echo, "ask": ask, "fail": fail})
	goleak.VerifyTestMain(m)
}

// echo sends UDP packets back, and says who asked.
func echo(ctx context.Context, _ <-chan string, args ...string) error {
	c, err := net.ListenPacket("udp4", args[0])
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	fmt.Println("ready", c.LocalAddr())
	buf := make([]byte, 64)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return nil
		}
		fmt.Println("from", from)
		_, _ = c.WriteTo(buf[:n], from)
	}
}

// ask sends a packet for every line it is told and says what became of it. "lost" is not waited for as long as the others.
func ask(_ context.Context, lines <-chan string, args ...string) error {
	c, err := net.Dial("udp4", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, 64)
	for line := range lines {
		if _, err := c.Write([]byte(line)); err != nil {
			return err
		}
		wait := time.Minute // a busy machine takes its time
		if line == "lost" {
			wait = 300 * time.Millisecond
		}
		_ = c.SetReadDeadline(time.Now().Add(wait))
		n, err := c.Read(buf)
		fmt.Printf("answer %q %v\n", buf[:n], errors.Is(err, os.ErrDeadlineExceeded))
	}
	return nil
}

func fail(context.Context, <-chan string, ...string) error { return errors.New("as it should") }

// A host behind router a reaches the public side under the router's address, and both helpers talk with the test.
func TestLab(t *testing.T) {
	l := lab.Require(t)
	server := l.Start("wan", "echo", "25.64.0.1:7000")
	addr := server.Expect("ready ")
	client := l.Start("lan-a", "ask", addr)
	client.Say("hello")
	if got := client.Expect("answer "); got != `"hello" false` {
		t.Errorf("the answer: %s", got)
	}
	if from, _, _ := strings.Cut(server.Expect("from "), ":"); from != l.Env("NATLAB_ROUTER_A_PUBLIC") {
		t.Errorf("the public side saw %s", from)
	}

	l.Fault("block", "wan", "in", "25.64.0.10")
	client.Say("lost")
	if got := client.Expect("answer "); got != `"" true` {
		t.Errorf("through a blocked link: %s", got)
	}
	l.Fault("clear", "wan")
	client.Say("again")
	if got := client.Expect("answer "); got != `"again" false` {
		t.Errorf("after the fault: %s", got)
	}
	client.End()
}

// The wire is this test binary under another name; all is lost on a cable that loses all.
func TestWire(t *testing.T) {
	l := lab.Require(t)
	server := l.Start("wan", "echo", "25.64.0.1:7000")
	client := l.Start("lan-a", "ask", server.Expect("ready "))
	l.Fault("wire", "a", "-delay", "20ms")
	client.Say("slowly")
	if got := client.Expect("answer "); got != `"slowly" false` {
		t.Errorf("through a slow cable: %s", got)
	}
	l.Fault("wire", "a", "-loss", "100")
	client.Say("lost")
	if got := client.Expect("answer "); got != `"" true` {
		t.Errorf("through a cable that loses all: %s", got)
	}
	l.Fault("unwire", "a")
	client.Say("plain")
	if got := client.Expect("answer "); got != `"plain" false` {
		t.Errorf("through the plain cable: %s", got)
	}
}

// Two labs of one process do not see each other: the same address is another host's.
func TestSideBySide(t *testing.T) {
	one, other := lab.Require(t), lab.Require(t, "NATLAB_NAT_A=symmetric")
	if a, b := one.Env("NATLAB_PREFIX"), other.Env("NATLAB_PREFIX"); a == b {
		t.Fatalf("both are called %s", a)
	}
	one.Start("wan", "echo", "25.64.0.1:7000").Expect("ready ")
	client := other.Start("lan-a", "ask", "25.64.0.1:7000")
	client.Say("lost")
	if got := client.Expect("answer "); !strings.HasPrefix(got, `""`) {
		t.Errorf("an answer from another lab: %s", got)
	}
}

// Outcomes of helpers reach the test: one that fails, one that is killed.
func TestProcessEnds(t *testing.T) {
	l := lab.Require(t)
	r := &recorder{TB: t}
	failing := l.Start("wan", "fail")
	failing.Report(r)
	if !stopped(failing.End) || !strings.Contains(r.fatal, "exit status 1") {
		t.Errorf("a helper that failed: %q", r.fatal)
	}
	killed := l.Start("wan", "echo", "25.64.0.1:7000")
	killed.Expect("ready ")
	killed.Kill()
	killed.Report(r)
	if !stopped(func() { killed.Expect("from ") }) || !strings.Contains(r.fatal, "ended without saying") {
		t.Errorf("a helper that was killed: %q", r.fatal)
	}
}

// A test that is killed leaves nothing behind: its reaper takes the lab down.
func TestKilled(t *testing.T) {
	if os.Getenv("LAB_TEST_KILLED") != "" {
		l := lab.Require(t)
		l.Start("wan", "echo", "25.64.0.1:7000").Expect("ready ")
		fmt.Println("prefix", l.Env("NATLAB_PREFIX"))
		select {}
	}
	lab.Require(t)
	c := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	c.Env = append(os.Environ(), "LAB_TEST_KILLED=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	prefix, lines := "", bufio.NewScanner(out)
	for prefix == "" && lines.Scan() {
		prefix, _ = strings.CutPrefix(lines.Text(), "prefix ")
		if prefix == lines.Text() {
			prefix = ""
		}
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	if prefix == "" {
		t.Fatal("no lab was built")
	}
	gone := func() bool {
		names, err := os.ReadDir("/run/netns")
		for _, n := range names {
			if strings.HasPrefix(n.Name(), prefix+"-") {
				return false
			}
		}
		return err == nil
	}
	for wait := time.NewTicker(50 * time.Millisecond); !gone(); <-wait.C {
		if t.Context().Err() != nil {
			t.Fatal("the lab of a killed test still stands")
		}
	}
}

// recorder takes what would end the test.
type recorder struct {
	testing.TB
	fatal, skip string
}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	panic(r)
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skip = fmt.Sprintf(format, args...)
	panic(r)
}

// stopped reports whether f has ended its test.
func stopped(f func()) (ended bool) {
	defer func() { ended = recover() != nil }()
	f()
	return false
}

// Where there can be no lab a test is skipped with a reason, or fails if that was asked for.
func TestRequire(t *testing.T) {
	for _, c := range []struct{ setting, fatal, skip string }{
		{"", "", "set CARRIER_LAB=1"},
		{"1", "", "natlab cannot run here: "},
		{"require", "CARRIER_LAB=require, and natlab cannot run here: ", ""},
	} {
		t.Run(c.setting, func(t *testing.T) {
			t.Setenv("CARRIER_LAB", c.setting)
			bare := t.TempDir()
			for _, tool := range []string{"bash", "id", "uname"} {
				path, err := exec.LookPath(tool)
				if err != nil {
					t.Skip(err)
				}
				if err := os.Symlink(path, bare+"/"+tool); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", bare) // no ip, no nft, no miniupnpd
			r := &recorder{TB: t}
			if !stopped(func() { lab.Require(r) }) {
				t.Fatal("a lab without tools")
			}
			if !strings.Contains(r.fatal, c.fatal) || !strings.Contains(r.skip, c.skip) || (r.fatal == "") != (c.fatal == "") {
				t.Errorf("fatal %q, skip %q", r.fatal, r.skip)
			}
			if c.setting != "" && !strings.Contains(r.fatal+r.skip, " no-ip ") { // beside not-root, where it is not root's
				t.Errorf("fatal %q, skip %q: neither names the tool that is missing", r.fatal, r.skip)
			}
		})
	}
}
