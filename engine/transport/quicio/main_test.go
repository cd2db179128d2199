package quicio_test

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/lab"
)

func TestMain(m *testing.M) {
	lab.Helpers(map[string]lab.Helper{"serve": labServe, "dial": labDial})
	enginetest.VerifyMain(m)
}
