package plot

import (
	_ "embed"
	"strings"
)

// Style is what pictures look like, in light and in dark, for a page's style sheet. The page may set the variables it begins
// with otherwise.
//
//go:embed plot.css
var Style string

// Standalone puts the style into a picture, and a background that suits it.
func Standalone(svg string) string {
	head, rest, ok := strings.Cut(svg, ">")
	if !ok {
		return svg
	}
	return head + "><style>" + Style + "</style><rect width=\"100%\" height=\"100%\" fill=\"var(--surface)\"/>" + rest
}
