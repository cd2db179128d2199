package enginetest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyMain runs a package's tests, and fails if they leave a goroutine behind:
//
//	func TestMain(m *testing.M) { enginetest.VerifyMain(m) }
//
// Those of gnet's worker pool are the process's and do not count: gnet makes the pool when it is loaded, and
// its idle workers live for ten seconds.
func VerifyMain(m *testing.M, ignore ...goleak.Option) {
	goleak.VerifyTestMain(m, append(ignore,
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)...)
}
