package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// helperVar names the helper that a process of the test binary is to be.
	helperVar = "CARRIER_LAB_HELPER"

	// wireName is the name under which the test binary is a wire.
	wireName = "wire"

	// helperTimeout ends a helper whose test has forgotten it. Longer than any test in the lab.
	helperTimeout = 15 * time.Minute

	// endTimeout is how long a helper has to end once its input has ended. All of them do within seconds, but
	// not on a machine that does not let them run.
	endTimeout = time.Minute
)

// A Helper is what a process inside the lab does. ctx ends when the test wants it to end, or has ended
// itself. What it prints on standard output is what Process.Expect reads; lines is what Process.Say says. An
// error makes the process fail.
type Helper func(ctx context.Context, lines <-chan string, args ...string) error

// Helpers is for the beginning of TestMain. In a process that Start has started it runs the helper and exits; in the test itself
// it does nothing.
func Helpers(known map[string]Helper) {
	if filepath.Base(os.Args[0]) == wireName {
		os.Exit(runWire(os.Args[1:]))
	}
	name := os.Getenv(helperVar)
	if name == "" {
		return
	}
	if err := runHelper(known, name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runHelper(known map[string]Helper, name string) error {
	h := known[name]
	if h == nil {
		return fmt.Errorf("lab: no helper %q", name)
	}
	if os.Getenv("NATLAB_NS") == "" {
		return errors.New("lab: a helper outside the lab: it would send to addresses that are others'")
	}
	time.AfterFunc(helperTimeout, func() { os.Exit(3) })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lines := make(chan string)
	go func() {
		defer close(lines)
		defer cancel()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return h(ctx, lines, os.Args[1:]...)
}
