package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/process"
	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/engine/lab"
)

func TestMain(m *testing.M) {
	lab.Helpers(map[string]lab.Helper{"p2pbench": inLab, "peer": peerInLab})
	testscript.Main(m, map[string]func(){"p2pbench": main, "lender": lender})
}

// lender is a program that lends drivers: plain TCP under another name, one that can do nothing, one that
// breaks and one that hangs.
func lender() {
	process.Main(lentDriver{driver.TCP()}, unable{driver.TCP()}, broken{unable{driver.TCP()}}, hanging{unable{driver.TCP()}})
}

type lentDriver struct{ load.Driver }

func (lentDriver) Name() string    { return "lent" }
func (lentDriver) Version() string { return "the lent library v1.2.3" }

type unable struct{ load.Driver }

func (unable) Name() string { return "unable" }

func (u unable) NewDialer(shape load.Shape) (load.Dialer, error) {
	d, err := u.Driver.NewDialer(shape)
	return unableDialer{d}, err
}

type unableDialer struct{ load.Dialer }

func (unableDialer) Dial(context.Context, string, int) (load.Conn, error) {
	return nil, fmt.Errorf("%w: it is a test", load.ErrCannot)
}

type broken struct{ unable }

func (broken) Name() string                              { return "broken" }
func (broken) NewDialer(load.Shape) (load.Dialer, error) { return nil, errors.New("it is broken") }

type hanging struct{ unable }

func (hanging) Name() string                              { return "hanging" }
func (hanging) NewDialer(load.Shape) (load.Dialer, error) { return hangingDialer{}, nil }

type hangingDialer struct{ unableDialer }

func (hangingDialer) Close() error { return nil }

func (hangingDialer) Dial(ctx context.Context, _ string, _ int) (load.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// The command line as people meet it; see testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"result": checkResults,
			"begin":  begin,
			"signal": signalBegun,
		},
		Setup: func(env *testscript.Env) error {
			env.Values["begun"] = new(begun)
			return nil
		},
	})
}

// checkResults is the script command "result FILE SCENARIO DRIVER...": the file holds one fine run for each
// driver, in this order, and for more than one line of conclusion.
func checkResults(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: result FILE SCENARIO DRIVER...")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	for i, driver := range args[2:] {
		if i >= len(lines) {
			ts.Fatalf("%d lines, want a run of %s", len(lines), driver)
		}
		var r load.Result
		if err := json.Unmarshal([]byte(lines[i]), &r); err != nil {
			ts.Fatalf("line %d: %v", i+1, err)
		}
		if r.Scenario != args[1] || r.Driver != driver || r.Messages == 0 || len(r.Errors) > 0 || r.Server == nil {
			ts.Fatalf("line %d: %s", i+1, lines[i])
		}
	}
	if len(args) == 3 {
		return
	}
	var c report.Group
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &c); err != nil || c.Scenario != args[1] || len(c.Ratios) != len(args)-3 {
		ts.Fatalf("last line: %v: %s", err, lines[len(lines)-1])
	}
}

// begun is a process that a script has started and will send a signal.
type begun struct {
	cmd    *exec.Cmd
	stdout strings.Builder
	stderr *os.File
}

// begin is the script command "begin WAITFOR ARGS...": starts p2pbench and returns when its standard error shows WAITFOR.
func begin(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value("begun").(*begun)
	r, w, err := os.Pipe()
	ts.Check(err)
	path, err := exec.LookPath("p2pbench")
	if err != nil {
		path = filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "p2pbench")
	}
	b.cmd = exec.Command(path, args[1:]...)
	b.cmd.Stdout, b.cmd.Stderr, b.cmd.Dir = &b.stdout, w, ts.Getenv("WORK")
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(b.cmd.Start())
	ts.Check(w.Close())
	b.stderr = r
	ts.Defer(func() {
		_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
		_ = r.Close()
	})
	ts.Check(r.SetReadDeadline(time.Now().Add(2 * time.Minute)))
	var seen []byte
	buf := make([]byte, 4096)
	for !strings.Contains(string(seen), args[0]) {
		n, err := r.Read(buf)
		if err != nil {
			ts.Fatalf("%v after %q, waiting for %q", err, seen, args[0])
		}
		seen = append(seen, buf[:n]...)
	}
}

// signalBegun is the script command "signal EXITCODE WANT...": interrupts the whole process group, as a terminal does, waits for
// the end, and wants every string in the output.
func signalBegun(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value("begun").(*begun)
	ts.Check(syscall.Kill(-b.cmd.Process.Pid, syscall.SIGINT))
	err := b.cmd.Wait()
	code := b.cmd.ProcessState.ExitCode()
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d (%v), want %s\n%s", code, err, args[0], b.stdout.String())
	}
	for _, want := range args[1:] {
		if !strings.Contains(b.stdout.String(), want) {
			ts.Fatalf("output lacks %q:\n%s", want, b.stdout.String())
		}
	}
	if slices.Contains(args, "") {
		ts.Fatalf("an empty string is in every output")
	}
}
