package shell_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/cmd/p2pbench/internal/shell"
)

// program has everything that could go wrong in a script: quotes, brackets, commands in commands, values, files.
var program = shell.Command{
	Name: "prog", Help: "A program: it's [odd]; and more.", Detail: "Does things.\n\n  prog run --all\n\n.not a request", Usage: "<command> [flags]",
	Flags: []shell.Flag{{Name: "help", Short: "h", Help: "Show help."}},
	Commands: []shell.Command{
		{Name: "run", Help: `Runs "it" for $HOME's sake.`, Usage: "[flags]", Flags: []shell.Flag{
			{Name: "driver", Help: "What: a, b.", Value: "NAME", Values: []string{"alpha", "beta"}}, {Name: "out", Help: "Where.", Value: "FILE", Files: true}, {Name: "rate", Help: `Back\slash.`, Value: "N"}, {Name: "all", Help: "All."},
		}},
		{Name: "sim", Help: "Has commands.", Commands: []shell.Command{{Name: "run", Help: "Below, and called as another."}, {Name: "deep", Help: "Below.", Files: true, Args: []string{"ready", "made"}, Flags: []shell.Flag{{Name: "seed", Help: "Seed.", Value: "N"}}}}},
	},
}

func script(t *testing.T, kind string) string {
	t.Helper()
	var b strings.Builder
	if err := shell.Complete(&b, kind, program); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A real bash completes commands, commands of commands, flags and values.
func TestBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	path := filepath.Join(t.TempDir(), "prog")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "a b"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(script(t, "bash")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ line, want string }{
		{"prog ", "run sim --help"}, {"prog r", "run"}, {"prog sim ", "run deep --help"}, {"prog sim deep r", "ready"}, {"prog sim deep -", "--seed --help"}, {"prog sim deep ./a", "./a b"}, {"prog sim deep --s", "--seed"}, {"prog run --d", "--driver"},
		{"prog run --driver ", "alpha beta"}, {"prog run --driver b", "beta"}, {"prog run --driver = be", "beta"}, {"prog run --rate ", ""}, {"prog run --all --o", "--out"},
	} {
		words := strings.Split(test.line, " ")
		code := `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _prog; echo "${COMPREPLY[*]}"`
		cmd := exec.Command(bash, append([]string{"-c", code, "bash", path}, words...)...)
		cmd.Dir = filepath.Dir(path)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != test.want {
			t.Errorf("%q: %q, %v; want %q", test.line, got, err, test.want)
		}
	}
}

// The scripts of zsh and fish have every word, with its help escaped for them.
func TestZshAndFish(t *testing.T) {
	for kind, wants := range map[string][]string{
		"zsh": {
			"#compdef prog\n", "_prog() {", "_prog_sim_deep() {", `'run:Runs "it" for $HOME'\''s sake'`, "'--driver=[What\\: a, b]:NAME:(alpha beta)'",
			"'--out=[Where]:FILE:_files'", `'--rate=[Back\\slash]:N: '`, "'--all[All]'", `'*: :{_alternative "words:name:(ready made)" "files:file:_files"}'`, "'sim') _prog_sim ;;",
		},
		"fish": {
			"complete -c prog -n 'not __fish_seen_subcommand_from run sim' -a 'run' -d 'Runs \"it\" for $HOME\\'s sake'\n",
			"-n '__fish_seen_subcommand_from run; and not __fish_seen_subcommand_from sim' -l driver -x -a 'alpha beta' -d 'What: a, b'\n", "-l out -r -F -d 'Where'\n", `-d 'Back\\slash'`,
			"-n '__fish_seen_subcommand_from sim; and __fish_seen_subcommand_from deep' -l seed -x",
			"-n '__fish_seen_subcommand_from sim; and __fish_seen_subcommand_from deep' -a 'ready made'\n",
		},
	} {
		text := script(t, kind)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", kind, want, text)
			}
		}
		if interpreter, err := exec.LookPath(kind); err == nil {
			path := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(interpreter, "-n", path).CombinedOutput(); err != nil {
				t.Errorf("%s does not read it: %v\n%s", kind, err, out)
			}
		}
	}
}

// Other shells there are none.
func TestOtherShells(t *testing.T) {
	if err := shell.Complete(nil, "tcsh", program); !errors.Is(err, shell.ErrShell) {
		t.Errorf("%v, want ErrShell", err)
	}
}

// The manual page has its sections, every command and flag, and nothing of a text becomes a request.
func TestMan(t *testing.T) {
	var b strings.Builder
	if err := shell.Man(&b, program, [][2]string{{"Exit status", "0 fine.\n'1 not"}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		".TH PROG 1\n", ".SH NAME\nprog \\- A program: it's [odd]\n", ".SH SYNOPSIS\n", ".SS sim deep", ".B \\-\\-driver=NAME\n", ".B \\-h, \\-\\-help\n",
		"Back\\eslash", "Does things.\n.PP\n.nf\n  prog run \\-\\-all\n", "\n\\&.not a request\n", ".SH EXIT STATUS\n0 fine.\n\\&'1 not\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if groff, err := exec.LookPath("groff"); err == nil {
		cmd := exec.Command(groff, "-man", "-Tutf8", "-ww")
		cmd.Stdin = strings.NewReader(b.String())
		var complaints strings.Builder
		cmd.Stderr = &complaints
		if err := cmd.Run(); err != nil || complaints.Len() > 0 {
			t.Errorf("groff: %v\n%s", err, complaints.String())
		}
	}
}
