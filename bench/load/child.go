package load

import (
	"fmt"
	"io"
	"os/exec"
	"time"
)

// A Child is a serving process that this process has started. It ends when its standard input does, so it cannot outlive us.
type Child struct {
	*Remote
	Ready Ready

	cmd   *exec.Cmd
	stdin io.Closer
}

// childStartLimit is how long a child may take to say that it is ready. 60 s: making an identity with the default puzzles takes
// a couple of seconds, on a loaded machine many more.
const childStartLimit = 60 * time.Second

// childStopLimit is how long a child may take to end by itself.
const childStopLimit = 5 * time.Second

// StartChild runs cmd, which must speak control lines on its standard input and output, and waits until it is ready.
func StartChild(cmd *exec.Cmd) (*Child, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("load: serving child: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("load: serving child: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("load: serving child: %w", err)
	}
	c := &Child{Remote: NewRemote(stdout, stdin), cmd: cmd, stdin: stdin}
	tooLate := time.AfterFunc(childStartLimit, func() { _ = cmd.Process.Kill() })
	c.Ready, err = c.Remote.Ready()
	tooLate.Stop()
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("load: serving child did not get ready: %w", err)
	}
	return c, nil
}

// Close ends the child and waits for it; one that does not end by itself is killed.
func (c *Child) Close() error {
	_ = c.stdin.Close() // tells the child to end; that it is gone already is not our concern here
	tooLate := time.AfterFunc(childStopLimit, func() { _ = c.cmd.Process.Kill() })
	defer tooLate.Stop()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("load: serving child: %w", err)
	}
	return nil
}
