package shell

import (
	"fmt"
	"strings"
)

// bash finds the longest way of commands among the words, then offers what may follow it or what the flag before takes.
func bash(b *strings.Builder, program Command) {
	function := "_" + strings.ReplaceAll(program.Name, "-", "_")
	fmt.Fprintf(b, "# bash completion of %s\n%s() {\n", program.Name, function)
	b.WriteString("\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at='' word\n")
	b.WriteString("\tif [[ $cur == '=' ]]; then cur=''; elif [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n")
	b.WriteString("\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase \"$at $word\" in\n")
	for _, p := range places(program)[1:] {
		fmt.Fprintf(b, "\t\t%s) at=%s ;;\n", single(" "+strings.Join(p.words, " ")), single(" "+strings.Join(p.words, " ")))
	}
	b.WriteString("\t\tesac\n\tdone\n\tcase \"$at:$prev\" in\n")
	for _, p := range places(program) {
		for _, f := range p.Flags {
			bashFlag(b, p, f)
		}
	}
	b.WriteString("\tesac\n\tcase \"$at\" in\n")
	for _, p := range places(program) {
		at := ""
		if len(p.words) > 0 {
			at = " " + strings.Join(p.words, " ")
		}
		if len(p.Args) > 0 || p.Files {
			bashArguments(b, single(at), p)
			continue
		}
		fmt.Fprintf(b, "\t%s) COMPREPLY=($(compgen -W %s -- \"$cur\")) ;;\n", single(at), single(strings.Join(p.following(), " ")))
	}
	fmt.Fprintf(b, "\tesac\n}\ncomplete -F %s %s\n", function, program.Name)
}

// bashArguments offers flags after a dash, and else what an argument may be: words, and files with blanks in their names.
func bashArguments(b *strings.Builder, at string, p place) {
	fmt.Fprintf(b, "\t%s) if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W %s -- \"$cur\")); return; fi\n", at, single(strings.Join(p.flags(), " ")))
	fmt.Fprintf(b, "\t\tCOMPREPLY=($(compgen -W %s -- \"$cur\"))\n", single(strings.Join(p.Args, " ")))
	if p.Files {
		b.WriteString("\t\tcompopt -o filenames 2>/dev/null; local IFS=$'\\n'; COMPREPLY+=($(compgen -f -- \"$cur\"))\n")
	}
	b.WriteString("\t\t;;\n")
}

func bashFlag(b *strings.Builder, p place, f Flag) {
	if f.Value == "" {
		return
	}
	at := ""
	if len(p.words) > 0 {
		at = " " + strings.Join(p.words, " ")
	}
	offer := "COMPREPLY=()"
	switch {
	case len(f.Values) > 0:
		offer = fmt.Sprintf("COMPREPLY=($(compgen -W %s -- \"$cur\"))", single(strings.Join(f.Values, " ")))
	case f.Files:
		offer = "COMPREPLY=($(compgen -f -- \"$cur\"))"
	}
	fmt.Fprintf(b, "\t%s) %s; return ;;\n", single(at+":--"+f.Name), offer)
}
