package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed ready
var ready embed.FS

// ErrNoReady is returned by Ready for names that it does not know.
var ErrNoReady = errors.New("scenario: no ready scenario of that name")

const readySuffix = ".scenario"

// ReadyNames returns the names of the scenarios that come with the program.
func ReadyNames() (names []string) {
	files, err := fs.ReadDir(ready, "ready")
	if err != nil {
		panic("scenario: bug: the ready scenarios are missing: " + err.Error())
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), readySuffix))
	}
	return names
}

// Ready returns the text of one of them.
func Ready(name string) (string, error) {
	b, err := ready.ReadFile("ready/" + name + readySuffix)
	if err != nil {
		return "", fmt.Errorf("%w: want one of %s", ErrNoReady, strings.Join(ReadyNames(), ", "))
	}
	return string(b), nil
}
