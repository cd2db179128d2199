package lab

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ExpectTimeout is how long Expect and Wait wait. Everything in the lab answers within a second or has a time-out of its
// own; minutes are for recoveries: what goes over TCP through loss and partitions takes half a minute, or one and a half.
const ExpectTimeout = 4 * time.Minute

// linesAhead bounds what a process may say before the test listens.
const linesAhead = 1024

// A Process is a helper that runs inside a namespace. The test that started it uses it, from one goroutine.
type Process struct {
	lab   *Lab
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // what it said; closed when it has ended
	past  []string    // the last lines that were taken
}

// Start runs a helper of this test binary inside a namespace: wan, router-a, router-b, lan-a, lan-a2, lan-b. It is told
// to end, and then made to, when the test ends.
func (l *Lab) Start(ns, helper string, args ...string) *Process {
	l.t.Helper()
	self, err := os.Executable()
	if err != nil {
		l.t.Fatalf("lab: %v", err)
	}
	p := &Process{lab: l, name: ns + " " + helper, lines: make(chan string, linesAhead)}
	p.cmd = exec.Command(filepath.Join(l.dir, "natlab.sh"), append([]string{"exec", ns, self}, args...)...)
	p.cmd.Env = append(l.env, helperVar+"="+helper)
	p.cmd.Stderr = logTo(l.t, p.name)
	p.cmd.WaitDelay = time.Second
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		l.t.Fatalf("lab: %s: %v", p.name, err)
	}
	go p.listen(out)
	l.t.Cleanup(p.stop)
	return p
}

func (p *Process) listen(out io.Reader) {
	defer close(p.lines)
	for s := bufio.NewScanner(out); s.Scan(); {
		p.lines <- s.Text()
	}
}

// Say sends a line.
func (p *Process) Say(format string, args ...any) {
	p.lab.t.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.lab.t.Fatalf("lab: %s does not listen any more: %v", p.name, err)
	}
}

// Expect waits for a line that begins with prefix, skipping others, and returns the rest of it. A process that ends
// without, or says nothing of the kind within ExpectTimeout, ends the test.
func (p *Process) Expect(prefix string) string {
	p.lab.t.Helper()
	deadline := time.NewTimer(ExpectTimeout)
	defer deadline.Stop()
	for {
		select {
		case line, alive := <-p.lines:
			if !alive {
				p.lab.t.Fatalf("lab: %s ended without saying %q; it said\n%s", p.name, prefix, strings.Join(p.past, "\n"))
			}
			p.past = append(p.past, line)
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
		case <-deadline.C:
			p.lab.t.Fatalf("lab: %s did not say %q within %v; it said\n%s", p.name, prefix, ExpectTimeout, strings.Join(p.past, "\n"))
		}
	}
}

// Kill ends the process with no chance to say goodbye.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	p.drain()
	_ = p.cmd.Wait()
}

// End closes the helper's input, which asks it to end, and waits until it has. A helper that failed ends the test.
func (p *Process) End() {
	p.lab.t.Helper()
	if err := p.stopped(); err != nil {
		p.lab.t.Fatalf("lab: %s: %v", p.name, err)
	}
}

// stop is for processes that the test has left running.
func (p *Process) stop() {
	if p.cmd.ProcessState == nil {
		_ = p.stopped()
	}
}

func (p *Process) stopped() error {
	_ = p.in.Close()
	late := time.AfterFunc(endTimeout, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	p.drain()
	return p.cmd.Wait()
}

func (p *Process) drain() {
	for range p.lines {
	}
}
