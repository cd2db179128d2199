// Package shell writes what a command line program leaves on a system besides itself: completions for bash, zsh and fish, and a
// manual page.
//
// It knows no flag parser. Whoever has one describes the program as a Command, and gets text. So the texts
// cannot fall behind the program: they are made of the same description as its help. Everything is a pure
// function of the description; nothing is escaped twice and nothing of a description can end a string in the
// scripts.
package shell
