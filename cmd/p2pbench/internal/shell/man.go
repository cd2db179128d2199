package shell

import (
	"fmt"
	"io"
	"strings"
)

// Man writes a manual page in the man macros (groff_man(7)). Sections are name and text, put behind the commands.
func Man(w io.Writer, program Command, sections [][2]string) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1\n.SH NAME\n%s \\- %s\n", roff(strings.ToUpper(program.Name)), roff(program.Name), roff(oneLine(program.Help)))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n%s\n", roff(program.Name), roff(program.Usage))
	b.WriteString(".SH DESCRIPTION\n")
	manText(&b, program.Detail)
	b.WriteString(".SH COMMANDS\n")
	for _, p := range places(Command{Commands: program.Commands})[1:] {
		fmt.Fprintf(&b, ".SS %s %s\n", roff(strings.Join(p.words, " ")), roff(p.Usage))
		manText(&b, p.Help+"\n"+p.Detail)
		for _, f := range p.Flags {
			manFlag(&b, f)
		}
	}
	if len(program.Flags) > 0 {
		b.WriteString(".SH OPTIONS\n")
		for _, f := range program.Flags {
			manFlag(&b, f)
		}
	}
	for _, s := range sections {
		fmt.Fprintf(&b, ".SH %s\n", roff(strings.ToUpper(s[0])))
		manText(&b, s[1])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func manFlag(b *strings.Builder, f Flag) {
	b.WriteString(".TP\n.B ")
	if f.Short != "" {
		fmt.Fprintf(b, "%s, ", roff("-"+f.Short))
	}
	b.WriteString(roff("--" + f.Name))
	if f.Value != "" {
		b.WriteString(roff("=" + f.Value))
	}
	fmt.Fprintf(b, "\n%s\n", roff(f.Help))
}

// manText writes paragraphs; lines that begin with blanks stay as they are.
func manText(b *strings.Builder, text string) {
	asIs, apart := false, true // after a heading nothing need be set apart
	paragraph := func() {
		if !apart {
			b.WriteString(".PP\n")
		}
		apart = true
	}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimRight(line, "\n ")
		switch indented := strings.HasPrefix(line, " "); {
		case indented && !asIs:
			paragraph()
			b.WriteString(".nf\n")
			asIs = true
		case !indented && asIs && line != "":
			b.WriteString(".fi\n")
			paragraph()
			asIs = false
		}
		if line == "" && !asIs {
			paragraph()
			continue
		}
		apart = false
		b.WriteString(roff(line) + "\n")
	}
	if asIs {
		b.WriteString(".fi\n")
	}
}

// roff escapes what begins a request or a character.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
