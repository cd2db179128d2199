package shell

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrShell is returned for a shell that there is no completion for.
var ErrShell = errors.New("shell: want bash, zsh or fish")

// A Command is a program, or a command of it.
type Command struct {
	Name     string
	Help     string   // one line
	Detail   string   // the long help; "": none. Lines that begin with blanks are shown as they are
	Usage    string   // what follows the name: "<files> ... [flags]"
	Files    bool     // its arguments are files
	Args     []string // words that its arguments may be, besides files; empty: none are known
	Flags    []Flag
	Commands []Command
}

// A Flag is one option.
type Flag struct {
	Name   string // without dashes
	Short  string // one letter; "": none
	Help   string
	Value  string   // what a value is called; "": it takes none
	Values []string // all values there are; empty: any
	Files  bool     // the value is a file
}

// Shells are those that Complete writes for.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// Complete writes the completion of a program for a shell.
func Complete(w io.Writer, shell string, program Command) error {
	write := map[string]func(*strings.Builder, Command){"bash": bash, "zsh": zsh, "fish": fish}[shell]
	if write == nil {
		return fmt.Errorf("%w, not %q", ErrShell, shell)
	}
	var b strings.Builder
	write(&b, program)
	_, err := io.WriteString(w, b.String())
	return err
}

// A place is a command and the words that lead to it, without the program's.
type place struct {
	words []string
	Command
}

// places are all commands, the program itself first. A command offers its parents' flags, too.
func places(program Command) (all []place) {
	var walk func(words []string, c Command, inherited []Flag)
	walk = func(words []string, c Command, inherited []Flag) {
		c.Flags = append(append([]Flag{}, c.Flags...), inherited...)
		all = append(all, place{words, c})
		for _, child := range c.Commands {
			walk(append(append([]string{}, words...), child.Name), child, c.Flags)
		}
	}
	walk(nil, program, nil)
	return all
}

// words are what can follow a command: its commands and its flags.
func (p place) following() (words []string) {
	for _, c := range p.Commands {
		words = append(words, c.Name)
	}
	return append(words, p.flags()...)
}

func (p place) flags() (words []string) {
	for _, f := range p.Flags {
		words = append(words, "--"+f.Name)
	}
	return words
}

// single puts a text between single quotes for a POSIX shell.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// oneLine is the beginning of a help text, as much as fits beside a word.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if head, _, ok := strings.Cut(s, "; "); ok {
		s = head
	}
	return strings.TrimSuffix(s, ".")
}
