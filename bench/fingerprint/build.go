package fingerprint

import (
	"runtime"
	"runtime/debug"
)

// A Build is what a program was made of.
type Build struct {
	Go       string `json:"go"`
	Module   string `json:"module,omitempty"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"` // of the source, if the toolchain saw a repository
	Modified bool   `json:"modified,omitempty"` // beyond that revision
	Settings string `json:"settings,omitempty"` // flags and processor level that are not the default
}

// ReadBuild looks at this program.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Go: runtime.Version()}
	}
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) Build {
	b := Build{Go: runtime.Version(), Module: info.Main.Path, Version: info.Main.Version}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "-race", "-tags", "-gcflags", "-pgo", "GOAMD64", "GOARM64", "GOEXPERIMENT", "CGO_ENABLED":
			if s.Value != "" {
				if b.Settings != "" {
					b.Settings += " "
				}
				b.Settings += s.Key + "=" + s.Value
			}
		}
	}
	return b
}

// Short names the source in a few letters: a revision, marked if there is more than it, else a version.
func (b Build) Short() string {
	if len(b.Revision) < 12 {
		return b.Version
	}
	if b.Modified {
		return b.Revision[:12] + "+"
	}
	return b.Revision[:12]
}
