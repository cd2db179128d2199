package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/bench/scenario"
	"github.com/carrier-p2p/carrier/cmd/p2pbench/internal/shell"
)

type completionCommand struct {
	Shell string `arg:"" help:"bash, zsh or fish."`
}

func (completionCommand) Help() string {
	return `Prints a script that completes commands, flags and their values.

  p2pbench completion bash > ~/.local/share/bash-completion/completions/p2pbench
  p2pbench completion zsh > "${fpath[1]}/_p2pbench"
  p2pbench completion fish > ~/.config/fish/completions/p2pbench.fish`
}

func (c *completionCommand) Run(a *app) error {
	if err := shell.Complete(a.stdout, c.Shell, describe(a.model.Node)); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

type manCommand struct{}

func (manCommand) Help() string {
	return `Prints the manual page, made of the same texts as --help.

  p2pbench man | man -l -
  p2pbench man > ~/.local/share/man/man1/p2pbench.1`
}

func (manCommand) Run(a *app) error {
	return shell.Man(a.stdout, describe(a.model.Node), [][2]string{
		{"Exit status", `  0    all that was sent was received and verified
  1    could not run
  2    wrong usage
  3    messages were lost, doubled, altered or not answered
  4    a threshold was not met, something crept, or got slower
  130  interrupted; what was measured until then was printed`},
		{"Environment", "NO_COLOR: when set, nothing is coloured. Output that goes to no terminal never is."},
		{"Thresholds", thresholds},
	})
}

const thresholds = `Rules stand between commas, each a measure, a comparison and a bound.

  p50 p75 p90 p95 p99 p99.9 p99.99 max mean   latency, from the planned time: p99<2ms
  service-p99 and so on                       latency, from the actual sending
  errors late unsent                          shares: errors<0.1%
  rate                                        messages, requests, handshakes a second: rate>=10k
  heap-B/conn rss-B/conn goroutines cpu-s/million and other units of --format bench`

// describe is the command line as it is parsed, for completions and the manual.
func describe(n *kong.Node) shell.Command {
	c := shell.Command{Name: n.Name, Help: n.Help, Detail: n.Detail, Usage: "[flags]"}
	if n.Detail == "" && n.Parent == nil {
		c.Help, c.Detail, _ = strings.Cut(n.Help, "\n")
	}
	usage := make([]string, 0, len(n.Positional)+1)
	for _, positional := range n.Positional {
		usage = append(usage, positional.Summary())
		switch n.Name {
		case "play":
			c.Args = scenario.ReadyNames()
		case "completion":
			c.Args = shell.Shells()
		}
		c.Files = c.Files || slices.Contains([]string{"file", "files", "before", "after", "path"}, positional.Name)
	}
	c.Usage = strings.Join(append(usage, c.Usage), " ")
	for _, child := range n.Children {
		if !child.Hidden {
			c.Commands = append(c.Commands, describe(child))
		}
	}
	if len(c.Commands) > 0 {
		c.Usage = "<command> [flags]"
	}
	for _, f := range n.Flags {
		if !f.Hidden {
			c.Flags = append(c.Flags, describeFlag(f))
		}
	}
	return c
}

func describeFlag(f *kong.Flag) shell.Flag {
	d := shell.Flag{Name: f.Name, Help: f.Help}
	if f.Short != 0 {
		d.Short = string(f.Short)
	}
	if f.IsBool() {
		return d
	}
	d.Value = strings.ToUpper(f.Name)
	if f.PlaceHolder != "" {
		d.Value = f.PlaceHolder
	}
	if f.Enum != "" {
		d.Values = f.EnumSlice()
	}
	switch f.Name {
	case "driver", "against":
		d.Values = driver.Names()
	case "only":
		d.Values = report.PictureKinds()
	case "json", "out", "into", "profile", "program", "svg", "csv":
		d.Files = true
	}
	return d
}
