package shell

import (
	"fmt"
	"strings"
)

// zsh has a function for each command; one that has commands of its own passes on to theirs.
func zsh(b *strings.Builder, program Command) {
	fmt.Fprintf(b, "#compdef %s\n", program.Name)
	for _, p := range places(program) {
		fmt.Fprintf(b, "\n%s() {\n", zshName(program, p.words))
		if len(p.Commands) > 0 {
			zshCommands(b, program, p)
		} else {
			zshArguments(b, p)
		}
		b.WriteString("}\n")
	}
	name := zshName(program, nil)
	fmt.Fprintf(b, "\nif [ \"$funcstack[1]\" = %s ]; then %s \"$@\"; else compdef %s %s; fi\n", single(name), name, name, program.Name)
}

func zshName(program Command, words []string) string {
	return "_" + strings.Join(append([]string{program.Name}, words...), "_")
}

func zshCommands(b *strings.Builder, program Command, p place) {
	b.WriteString("  local -a commands\n  local line state\n  commands=(\n")
	for _, c := range p.Commands {
		fmt.Fprintf(b, "    %s\n", single(c.Name+":"+zshEscape(oneLine(c.Help))))
	}
	b.WriteString("  )\n  _arguments -C \\\n")
	for _, f := range p.Flags {
		fmt.Fprintf(b, "    %s \\\n", zshFlag(f))
	}
	b.WriteString("    '1: :->command' '*:: :->rest'\n  case $state in\n  command) _describe -t commands command commands ;;\n  rest)\n    case $line[1] in\n")
	for _, c := range p.Commands {
		fmt.Fprintf(b, "    %s) %s ;;\n", single(c.Name), zshName(program, append(append([]string{}, p.words...), c.Name)))
	}
	b.WriteString("    esac ;;\n  esac\n")
}

func zshArguments(b *strings.Builder, p place) {
	b.WriteString("  _arguments")
	for _, f := range p.Flags {
		fmt.Fprintf(b, " \\\n    %s", zshFlag(f))
	}
	words := strings.Join(p.Args, " ")
	switch {
	case len(p.Args) > 0 && p.Files:
		fmt.Fprintf(b, " \\\n    '*: :{_alternative \"words:name:(%s)\" \"files:file:_files\"}'", words)
	case len(p.Args) > 0:
		fmt.Fprintf(b, " \\\n    '*:name:(%s)'", words)
	case p.Files:
		b.WriteString(" \\\n    '*:file:_files'")
	}
	b.WriteString("\n")
}

func zshFlag(f Flag) string {
	text := "--" + f.Name
	if f.Value != "" {
		text += "="
	}
	text += "[" + zshEscape(oneLine(f.Help)) + "]"
	switch {
	case len(f.Values) > 0:
		text += ":" + zshEscape(f.Value) + ":(" + strings.Join(f.Values, " ") + ")"
	case f.Files:
		text += ":" + zshEscape(f.Value) + ":_files"
	case f.Value != "":
		text += ":" + zshEscape(f.Value) + ": "
	}
	return single(text)
}

// zshEscape takes away what has a meaning in a specification.
func zshEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, "[", `\[`, "]", `\]`).Replace(s)
}
