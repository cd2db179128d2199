package shell

import (
	"fmt"
	"strings"
)

// fish has a line for each word that can be completed, with the condition under which it can.
func fish(b *strings.Builder, program Command) {
	fmt.Fprintf(b, "# fish completion of %s\ncomplete -c %s -f\n", program.Name, program.Name)
	for _, p := range places(program) {
		when := fishWhen(program, p)
		for _, c := range p.Commands {
			fmt.Fprintf(b, "complete -c %s -n %s -a %s -d %s\n", program.Name, fishQuote(when), fishQuote(c.Name), fishQuote(oneLine(c.Help)))
		}
		if len(p.Args) > 0 {
			fmt.Fprintf(b, "complete -c %s -n %s -a %s\n", program.Name, fishQuote(when), fishQuote(strings.Join(p.Args, " ")))
		}
		if p.Files {
			fmt.Fprintf(b, "complete -c %s -n %s -F\n", program.Name, fishQuote(when))
		}
		for _, f := range p.Flags {
			fmt.Fprintf(b, "complete -c %s -n %s -l %s", program.Name, fishQuote(when), f.Name)
			if f.Short != "" {
				fmt.Fprintf(b, " -s %s", f.Short)
			}
			switch {
			case len(f.Values) > 0:
				fmt.Fprintf(b, " -x -a %s", fishQuote(strings.Join(f.Values, " ")))
			case f.Files:
				b.WriteString(" -r -F")
			case f.Value != "":
				b.WriteString(" -x")
			}
			fmt.Fprintf(b, " -d %s\n", fishQuote(oneLine(f.Help)))
		}
	}
}

// fishWhen is true while the words of a place have been seen and none of its own commands has, nor a command
// that has one of the same name.
func fishWhen(program Command, p place) string {
	var conditions []string
	for _, word := range p.words {
		conditions = append(conditions, "__fish_seen_subcommand_from "+word)
	}
	if len(p.Commands) > 0 {
		var names []string
		for _, c := range p.Commands {
			names = append(names, c.Name)
		}
		conditions = append(conditions, "not __fish_seen_subcommand_from "+strings.Join(names, " "))
	}
	for _, other := range places(program) {
		if n := len(other.words); n > 1 && len(p.words) == 1 && other.words[n-1] == p.words[0] {
			conditions = append(conditions, "not __fish_seen_subcommand_from "+other.words[0])
		}
	}
	return strings.Join(conditions, "; and ")
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
