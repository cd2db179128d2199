package gnetio_test

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.VerifyMain(m) }
