package docs_test

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	mdLink   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	htmlLink = regexp.MustCompile(`\b(?:src|srcset|href)="([^"]+)"`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	codeSpan = regexp.MustCompile("`[^`\n]*`")
)

// checkLinks finds relative links that lead nowhere. Addresses with a scheme are not looked at: a test needs no network.
func checkLinks(tr *tree) (problems []string) {
	for _, page := range tr.pages {
		text := prose(tr, page)
		for _, m := range append(mdLink.FindAllStringSubmatch(text, -1), htmlLink.FindAllStringSubmatch(text, -1)...) {
			if why := leads(tr, page, m[1]); why != "" {
				problems = append(problems, fmt.Sprintf("%s: link %s: %s", page, m[1], why))
			}
		}
	}
	return problems
}

// leads says why a link of a page leads nowhere; "": it does lead somewhere.
func leads(tr *tree, page, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	file, anchor, anchored := strings.Cut(link, "#")
	target := page
	if file != "" {
		target = path.Join(path.Dir(page), file)
	}
	switch {
	case strings.HasPrefix(file, "/") || strings.HasPrefix(target, "../"):
		return "leaves the repository"
	case !exists(tr.files, target):
		return "no such file"
	case !anchored:
		return ""
	case !strings.HasSuffix(target, ".md"):
		return "an anchor in something that is no document"
	case !slices.Contains(anchors(prose(tr, target)), anchor):
		return "no such heading"
	}
	return ""
}

// prose is a page without its code.
func prose(tr *tree, page string) string {
	b, err := fs.ReadFile(tr.files, page)
	if err != nil {
		return ""
	}
	var out strings.Builder
	fence := ""
	for line := range strings.Lines(string(b)) {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:3]
		default:
			out.WriteString(line)
		}
	}
	return codeSpan.ReplaceAllStringFunc(out.String(), func(s string) string { return strings.Map(noBrackets, s) })
}

func noBrackets(r rune) rune {
	if strings.ContainsRune("[]()", r) {
		return -1
	}
	return r
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the names of a page's headings, as the usual renderers make them.
func anchors(text string) (names []string) {
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		if n := seen[name]; n > 0 {
			names = append(names, fmt.Sprintf("%s-%d", name, n))
		} else {
			names = append(names, name)
		}
		seen[name]++
	}
	return names
}

// TestLinks holds every document to it.
func TestLinks(t *testing.T) {
	tr := repository(t)
	if len(tr.pages) < 5 {
		t.Fatalf("only %d documents found: this test looks in the wrong place", len(tr.pages))
	}
	none(t, checkLinks(tr))
}

func TestLinksRefuse(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a file", "[x](other.md)", ""},
		{"a folder", "[x](../engine)", ""},
		{"another site", "[x](https://example.com/none.md)", ""},
		{"a heading", "[x](other.md#the-2-floors)", ""},
		{"a heading here", "# Some `code` here\n[x](#some-code-here)", ""},
		{"in code", "```\n[x](none.md)\n```\nand `[x](none.md)`", ""},
		{"after code", "```\ncode\n```\n[x](none.md)", "no such file"},
		{"no file", "[x](none.md)", "no such file"},
		{"no heading", "[x](other.md#none)", "no such heading"},
		{"a heading of code", "[x](other.go#L3)", "an anchor in something that is no document"},
		{"out of the tree", "[x](../../elsewhere)", "leaves the repository"},
		{"absolute", "[x](/etc/passwd)", "leaves the repository"},
		{"a picture", `<img src="none.svg" alt="">`, "no such file"},
		{"a picture of markdown", `![x](none.svg)`, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			one(t, checkLinks(mapTree(t, map[string]string{
				"docs/page.md": c.text, "docs/other.md": "# The 2 floors\n", "docs/other.go": "package x\n", "engine/x.go": "package x\n",
			})), c.want)
		})
	}
}
