package reach_test

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/lab"
)

func TestMain(m *testing.M) {
	lab.Helpers(map[string]lab.Helper{"others": others, "asker": asks})
	enginetest.VerifyMain(m)
}
