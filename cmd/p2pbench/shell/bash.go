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
		files := ""
		if p.Files {
			files = " -o default"
		}
		fmt.Fprintf(b, "\t%s) compopt%s 2>/dev/null; COMPREPLY=($(compgen -W %s -- \"$cur\")) ;;\n", single(at), files, single(strings.Join(p.following(), " ")))
	}
	fmt.Fprintf(b, "\tesac\n}\ncomplete -F %s %s\n", function, program.Name)
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
