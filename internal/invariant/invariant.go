// Package invariant stops the program on its own mistakes, and looks harder for them in checked builds.
//
// It knows two strengths:
//
//	Bug    always on    a state that no input can cause was reached: panic, naming the package
//	Check  checked only a statement about our own state that is worth testing everywhere but on a serving node
//	Spoil  checked only overwrites a buffer whose lifetime has ended, so that whoever kept it reads 0xDB
//
// A checked build is made with -tags invariant. It looks harder and takes no different road: nothing may behave
// differently because Enabled is true, except that a bug is found earlier.
//
// What a peer sends is never a bug and never comes here: it is an error, returned.
package invariant

import "fmt"

// Spoiled is the byte Spoil writes. 0xDB is no small number, no text and no valid flag, so it is seen at once.
const Spoiled = 0xDB

// A Violation is what Bug and Check panic with. It is an error, so that whoever recovers can print or wrap it.
type Violation string

// Error returns the message that Bug or Check was given.
func (v Violation) Error() string { return string(v) }

// Bug panics with a Violation. The message starts with the package and the word bug: "session: bug: open -> greeting".
func Bug(format string, args ...any) {
	panic(Violation(fmt.Sprintf(format, args...)))
}

// Check panics with msg, as Bug does, if ok is false and the build is checked. In other builds it is nothing at all, but
// its arguments are still computed: guard a costly one with if invariant.Enabled.
func Check(ok bool, msg string) {
	if Enabled && !ok {
		panic(Violation(msg))
	}
}

// Spoil fills b with Spoiled in checked builds. Call it on a buffer at the moment its promised lifetime ends.
func Spoil(b []byte) {
	if Enabled {
		for i := range b {
			b[i] = Spoiled
		}
	}
}
